//! Customer records: loading, and changing by a decision.

use crate::append::{HomeState, ThreadKey, append};
use crate::customer_event::Happened;
use crate::id::{CustomerId, TransactionId};
use crate::identity::log::{self, Note};
use crate::identity::stored::{nobody, put_customer};
use crate::keys;
use crate::note;
use crate::port::store::{Expect, Query, Stamp, StoreError, Write};
use crate::protocol::append::commit_of;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, insert_outgoing, put, to_outbox};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, HomeRecord};
use omnigate_proto::v1::IdentityChangeKind;
use std::collections::BTreeMap;

/// A customer's record as it stands.
pub async fn load(context: &Context<'_>, id: CustomerId) -> Result<Loaded<CustomerRecord>, StoreError> {
    let query = vec![Query::Record(keys::customer(id))];
    let answers = context.store.read(id.shard(), query).await?;
    Loaded::customer(as_record(answers.into_iter().next())?, id)
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
    pub(super) fn writes(mut self, id: CustomerId, now: Moment) -> (CustomerRecord, Vec<Write>) {
        let mut write = self.also;
        if let Some(note) = self.note {
            write.push(log::note(&mut self.record, id, note, now));
        }
        write.push(put_customer(id, &self.record));
        (self.record, write)
    }

    /// Writes it in the place of the version that was read. False when nobody knows, or another one stands there.
    pub(super) async fn write(
        self,
        context: &Context<'_>,
        id: CustomerId,
        stamp: Option<Stamp>,
    ) -> Result<bool, StoreError> {
        let expect = vec![expect_record(keys::customer(id), stamp)];
        let (_, write) = self.writes(id, context.now());
        Ok(matches!(
            context.commit(id.shard(), expect, write).await?,
            Ended::Committed(_)
        ))
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
        if next.write(context, id, loaded.stamp).await? {
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
    /// What is shown of it on the timeline.
    pub(super) shows: Option<Shows>,
}

/// A change of who is who, as the timeline of the record that decided it shows it.
pub(super) struct Shows {
    pub(super) kind: IdentityChangeKind,
    pub(super) transaction: TransactionId,
    pub(super) other: CustomerId,
    pub(super) by_person: bool,
}

impl<T> News<T> {
    pub(super) fn none(answer: T) -> Self {
        Self {
            answer,
            next: None,
            tells: None,
            shows: None,
        }
    }
}

/// What is told of a decision, and shown on the timeline, in the commit that makes it.
struct Numbered {
    expect: Vec<Expect>,
    write: Vec<Write>,
    outgoing: Vec<Outgoing>,
}

/// Numbers what is told in the record's own home. That is read and expected for the number anyway, so the entry comes with
/// it; its event's id is the transaction's, which is decided once.
fn numbered(
    context: &Context<'_>,
    (id, tenant_id): (CustomerId, &str),
    home: Loaded<HomeRecord>,
    (tells, shows): (&Tells, Option<Shows>),
    trace_id: &str,
    now: Moment,
) -> Result<Numbered, StoreError> {
    let mut record = home.value.unwrap_or_default();
    record.home_seq += 1;
    tenant_id.clone_into(&mut record.tenant_id);
    let happened = Happened {
        tenant_id,
        home: id,
        home_seq: record.home_seq,
        at: now,
        trace_id,
    };
    let mut outgoing = vec![to_outbox(id, record.home_seq, tells(&happened))];
    let mut write = vec![insert_outgoing(&outgoing[0])];
    let Some(shows) = shows else {
        write.push(put(keys::home(id), &record));
        let expect = vec![expect_record(keys::home(id), home.stamp)];
        return Ok(Numbered {
            expect,
            write,
            outgoing,
        });
    };
    let what = (shows.kind, shows.transaction, shows.other);
    let arrival = note::identity_changed(tenant_id, id, what, shows.by_person, (now, trace_id));
    let state = HomeState {
        id,
        record: Some(record),
        places: BTreeMap::new(),
        entries: BTreeMap::new(),
    };
    let thread = ThreadKey::of_itself(id);
    let mut appended = append(state, tenant_id, &thread, &[arrival], (context.rules, now));
    let (expect, entry) = commit_of(context, id, home.stamp, &mut appended)?;
    write.extend(entry);
    let entries = appended.outbox.into_iter();
    outgoing.extend(entries.map(|(number, event)| to_outbox(id, number, event)));
    Ok(Numbered {
        expect,
        write,
        outgoing,
    })
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
        let record = Loaded::customer(as_record(answers.next())?, id)?;
        let before = record.value.unwrap_or_else(|| nobody(id));
        let now = context.now();
        let news = decide(&before, now);
        let Some(next) = news.next else { return Ok(news.answer) };
        let mut expect = vec![expect_record(keys::customer(id), record.stamp)];
        let (next, mut write) = next.writes(id, now);
        let mut told = Vec::new();
        if let Some(tells) = news.tells {
            let of = (id, next.tenant_id.as_str());
            let numbered = numbered(context, of, home, (&tells, news.shows), trace_id, now)?;
            expect.extend(numbered.expect);
            write.extend(numbered.write);
            told = numbered.outgoing;
        }
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            context.cache.forget_home(id);
            outgoing.extend(told);
            return Ok(news.answer);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
