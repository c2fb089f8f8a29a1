//! Customer records: loading, and changing by a decision.

use crate::customer_event::Happened;
use crate::id::CustomerId;
use crate::identity::{
    self,
    log::{self, Note},
};
use crate::keys;
use crate::port::store::{Query, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, insert_outgoing, put, to_outbox};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, HomeRecord};

/// A customer's record as it stands.
pub async fn load(context: &Context<'_>, id: CustomerId) -> Result<Loaded<CustomerRecord>, StoreError> {
    let loaded: Loaded<CustomerRecord> = context.record(id.shard(), keys::customer(id), "customer").await?;
    Ok(Loaded {
        stamp: loaded.stamp,
        value: loaded.value.map(|record| identity::whole(record, id)),
    })
}

/// What a decision makes of a record.
pub(super) struct Next {
    pub(super) record: CustomerRecord,
    pub(super) note: Option<Note>,
    /// Further writes of the same commit.
    pub(super) also: Vec<Write>,
}

impl Next {
    pub(super) fn noted(record: CustomerRecord, note: Note) -> Self {
        Self {
            note: Some(note),
            ..Self::from(record)
        }
    }

    /// The record and everything that is written beside it.
    fn writes(mut self, id: CustomerId, now: Moment) -> (CustomerRecord, Vec<Write>) {
        let mut write = self.also;
        if let Some(note) = self.note {
            write.push(log::note(&mut self.record, id, note, now));
        }
        write.push(put(keys::customer(id), &self.record));
        (self.record, write)
    }
}

impl From<CustomerRecord> for Next {
    fn from(record: CustomerRecord) -> Self {
        Self {
            record,
            note: None,
            also: Vec::new(),
        }
    }
}

/// Decides in a customer's record and writes what follows, if anything does.
pub(super) async fn change<T>(
    context: &Context<'_>,
    id: CustomerId,
    mut decide: impl FnMut(Option<&CustomerRecord>, Moment) -> (T, Option<Next>),
) -> Result<T, Stop> {
    for _ in 0..MAX_TRIES {
        let loaded = load(context, id).await?;
        let now = context.now();
        let (answer, next) = decide(loaded.value.as_ref(), now);
        let Some(next) = next else { return Ok(answer) };
        let expect = vec![expect_record(keys::customer(id), loaded.stamp)];
        let (_, write) = next.writes(id, now);
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(answer);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Builds a CustomerEvent.
pub(super) type Tells = Box<dyn Fn(&Happened<'_>) -> Bytes + Send>;

/// A decision with what it tells others, numbered in the record's own home.
pub(super) struct News<T> {
    pub(super) answer: T,
    pub(super) next: Option<Next>,
    pub(super) tells: Option<Tells>,
}

impl<T> News<T> {
    pub(super) fn none(answer: T) -> Self {
        Self {
            answer,
            next: None,
            tells: None,
        }
    }
}

/// The same, where others have to be told.
pub(super) async fn change_and_tell<T>(
    context: &Context<'_>,
    id: CustomerId,
    trace_id: &str,
    outgoing: &mut Vec<Outgoing>,
    mut decide: impl FnMut(&CustomerRecord, Moment) -> News<T>,
) -> Result<T, Stop> {
    for _ in 0..MAX_TRIES {
        let queries = vec![Query::Record(keys::home(id)), Query::Record(keys::customer(id))];
        let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
        let home: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
        let record: Loaded<CustomerRecord> = Loaded::decode(as_record(answers.next())?, "customer")?;
        let before = identity::whole(record.value.unwrap_or_default(), id);
        let now = context.now();
        let news = decide(&before, now);
        let Some(next) = news.next else { return Ok(news.answer) };
        let mut expect = vec![expect_record(keys::customer(id), record.stamp)];
        let (next, mut write) = next.writes(id, now);
        let mut told = None;
        if let Some(tells) = news.tells {
            let mut home_record = home.value.unwrap_or_default();
            home_record.home_seq += 1;
            home_record.tenant_id.clone_from(&next.tenant_id);
            let happened = Happened {
                tenant_id: &next.tenant_id,
                home: id,
                home_seq: home_record.home_seq,
                at: now,
                trace_id,
            };
            let one = to_outbox(id, home_record.home_seq, tells(&happened));
            expect.push(expect_record(keys::home(id), home.stamp));
            write.push(put(keys::home(id), &home_record));
            write.push(insert_outgoing(&one));
            told = Some(one);
        }
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            context.cache.forget_home(id);
            outgoing.extend(told);
            return Ok(news.answer);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
