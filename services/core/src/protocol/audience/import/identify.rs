//! Finds the customer of each row, and makes those that are new: in bulk where nothing is known, one by one elsewhere.

use super::Session;
use super::settle::{Asked, settle};
use crate::audience::member;
use crate::audience::row::{Problem, Row};
use crate::id::{CustomerId, IdentifierKey};
use crate::identifier;
use crate::identity::{Claimed, read_claim};
use crate::keys;
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::protocol::audience::NotDone;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{born, expect_record, put};
use crate::shard::Shard;
use futures_util::future::join_all;
use omnigate_proto::state::v1::{AudiencePartRecord, Claim};
use prost::Message as _;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Rows that are looked at one by one, at once.
const AT_ONCE: usize = 256;

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Identified {
    /// Its customer was born in the list.
    Enrolled,
    /// It is this customer's.
    As(CustomerId),
}

type Answer = Result<Identified, Problem>;

/// The customer of each row. Rows that share an identifier come one after the other.
pub(super) async fn identify<'r>(
    context: &Context<'_>,
    session: &mut Session,
    rows: &'r [Row],
    outgoing: &mut Vec<Outgoing>,
) -> Result<Vec<(&'r Row, Answer)>, NotDone> {
    let mut lines = lines(&session.tenant_id, rows);
    let mut identified = Vec::with_capacity(rows.len());
    while !lines.is_empty() {
        let round: Vec<&Row> = lines.iter_mut().filter_map(VecDeque::pop_front).collect();
        lines.retain(|line| !line.is_empty());
        identified.extend(identify_round(context, session, &round, outgoing).await?);
    }
    Ok(identified)
}

/// Rows in lines such that no identifier stands in two of them.
fn lines<'r>(tenant_id: &str, rows: &'r [Row]) -> Vec<VecDeque<&'r Row>> {
    // Which line a line was joined to; a row begins its own.
    let mut joined: Vec<usize> = (0..rows.len()).collect();
    let mut by_key: HashMap<IdentifierKey, usize> = HashMap::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        for (_, named) in &row.identifiers {
            let other = *by_key
                .entry(identifier::key(tenant_id, &named.identifier))
                .or_insert(place);
            let (one, other) = (line_of(&mut joined, place), line_of(&mut joined, other));
            joined[one.max(other)] = one.min(other);
        }
    }
    let mut lines: BTreeMap<usize, VecDeque<&Row>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        lines.entry(line_of(&mut joined, place)).or_default().push_back(row);
    }
    lines.into_values().collect()
}

fn line_of(joined: &mut [usize], place: usize) -> usize {
    let mut line = place;
    while joined[line] != line {
        joined[line] = joined[joined[line]];
        line = joined[line];
    }
    line
}

async fn identify_round<'r>(
    context: &Context<'_>,
    session: &mut Session,
    rows: &[&'r Row],
    outgoing: &mut Vec<Outgoing>,
) -> Result<Vec<(&'r Row, Answer)>, NotDone> {
    let asked = ask(context, session, rows).await?;
    let asking = session.asking();
    let (new, mut known): (Vec<Asked<'r>>, Vec<Asked<'r>>) =
        asked.into_iter().partition(|asked| asked.is_nobodys(&asking));
    let mut identified = Vec::with_capacity(rows.len());
    for birth in bear(context, session, new, outgoing).await? {
        match birth {
            (asked, Some(_)) if asked.row.identifiers.len() == 1 => {
                identified.push((asked.row, Ok(Identified::Enrolled)));
            }
            // Further identifiers, or somebody else was faster.
            (asked, _) => known.push(asked),
        }
    }
    let asking = session.asking();
    let merges = session.record().merge_customers;
    for some in known.chunks(AT_ONCE) {
        let settled = join_all(some.iter().map(|asked| settle(context, &asking, asked, merges))).await;
        for (asked, settled) in some.iter().zip(settled) {
            let (answer, told) = settled;
            outgoing.extend(told);
            identified.push((asked.row, answer?.map(Identified::As)));
        }
    }
    Ok(identified)
}

/// Reads the claims of all rows, with the parts of the list that are not known yet: once in each shard.
async fn ask<'r>(context: &Context<'_>, session: &mut Session, rows: &[&'r Row]) -> Result<Vec<Asked<'r>>, StoreError> {
    let mut places: BTreeMap<Shard, Vec<(usize, IdentifierKey)>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        for (_, named) in &row.identifiers {
            let key = identifier::key(&session.tenant_id, &named.identifier);
            places.entry(key.shard()).or_default().push((place, key));
        }
    }
    let part = keys::audience_part(session.audience);
    let reads = places.iter().map(|(shard, places)| {
        let mut queries = vec![Query::Record(part.clone())];
        queries.extend(places.iter().map(|(_, key)| Query::Record(keys::claim(*key))));
        context.store.read(*shard, queries)
    });
    let mut claims: Vec<HashMap<IdentifierKey, Loaded<Claim>>> = rows.iter().map(|_| HashMap::new()).collect();
    let answers = join_all(reads).await;
    for ((shard, places), answers) in places.iter().zip(answers) {
        let mut answers = answers?.into_iter();
        let part = Loaded::decode(as_record(answers.next())?, "audience part")?;
        session.parts.insert(*shard, part);
        for ((place, key), answer) in places.iter().zip(answers) {
            claims[*place].insert(*key, Loaded::claim(as_record(Some(answer))?)?);
        }
    }
    let tenant_id = &session.tenant_id;
    let asked = rows.iter().zip(claims).map(|(row, mut claims)| Asked {
        row,
        claims: row
            .identifiers
            .iter()
            .map(|(_, named)| {
                let key = identifier::key(tenant_id, &named.identifier);
                claims.remove(&key).unwrap_or(Loaded {
                    stamp: None,
                    value: None,
                })
            })
            .collect(),
    });
    Ok(asked.collect())
}

/// Rows whose customer is new: who was born, or `None` where somebody else was faster.
async fn bear<'r>(
    context: &Context<'_>,
    session: &mut Session,
    new: Vec<Asked<'r>>,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Vec<(Asked<'r>, Option<CustomerId>)>, NotDone> {
    let mut by_shard: BTreeMap<Shard, Vec<Asked<'r>>> = BTreeMap::new();
    for asked in new {
        let key = identifier::key(&session.tenant_id, &asked.lead().identifier);
        by_shard.entry(key.shard()).or_default().push(asked);
    }
    let shared = &*session;
    let births = by_shard
        .into_iter()
        .map(|(shard, asked)| bear_in_shard(context, shared, shard, asked));
    let mut all = Vec::new();
    for births in join_all(births).await {
        let births = births?;
        outgoing.extend(births.outgoing);
        session.parts.insert(births.shard, births.part);
        all.extend(births.all);
    }
    Ok(all)
}

struct Births<'r> {
    shard: Shard,
    part: Loaded<AudiencePartRecord>,
    all: Vec<(Asked<'r>, Option<CustomerId>)>,
    outgoing: Vec<Outgoing>,
}

/// Claim, customer, home and member of all new rows of a shard in one commit.
async fn bear_in_shard<'r>(
    context: &Context<'_>,
    session: &Session,
    shard: Shard,
    asked: Vec<Asked<'r>>,
) -> Result<Births<'r>, NotDone> {
    let none = Loaded {
        stamp: None,
        value: None,
    };
    let part = session.parts.get(&shard).cloned().unwrap_or(none);
    let mut births = Births {
        shard,
        part,
        all: Vec::with_capacity(asked.len()),
        outgoing: Vec::new(),
    };
    let mut left = asked;
    for _ in 0..MAX_TRIES {
        if left.is_empty() {
            return Ok(births);
        }
        if births.part.value.is_some_and(|part| part.deleted) {
            return Err(NotDone::NoSuchAudience);
        }
        let lot = Lot::of(context, session, births.part.value, &left);
        let part_key = keys::audience_part(session.audience);
        let mut expect = vec![expect_record(part_key.clone(), births.part.stamp)];
        expect.extend(lot.expect);
        let mut write = lot.write;
        write.push(put(part_key, &lot.part));
        if let Ended::Committed(stamp) = context.commit(shard, expect, write).await? {
            births.part = Loaded {
                stamp: Some(stamp),
                value: Some(lot.part),
            };
            births.outgoing = lot.outgoing;
            births.all.extend(left.into_iter().zip(lot.born.into_iter().map(Some)));
            return Ok(births);
        }
        left = look_again(context, session, &mut births, left).await?;
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Reads a shard after a commit that did not happen, or of which nobody knows; who was born there is gone on with.
async fn look_again<'r>(
    context: &Context<'_>,
    session: &Session,
    births: &mut Births<'r>,
    asked: Vec<Asked<'r>>,
) -> Result<Vec<Asked<'r>>, StoreError> {
    let key = |asked: &Asked<'_>| keys::claim(identifier::key(&session.tenant_id, &asked.lead().identifier));
    let mut queries = vec![Query::Record(keys::audience_part(session.audience))];
    queries.extend(asked.iter().map(|asked| Query::Record(key(asked))));
    let mut answers = context.store.read(births.shard, queries).await?.into_iter();
    births.part = Loaded::decode(as_record(answers.next())?, "audience part")?;
    let mut left = Vec::new();
    let received_at = session.asking().received_at;
    for (mut asked, answer) in asked.into_iter().zip(answers) {
        asked.claims[0] = Loaded::claim(as_record(Some(answer))?)?;
        match read_claim(asked.claims[0].value.as_ref(), received_at) {
            Claimed::Free => left.push(asked),
            _ => births.all.push((asked, None)),
        }
    }
    Ok(left)
}

/// What a commit of births holds.
struct Lot {
    born: Vec<CustomerId>,
    part: AudiencePartRecord,
    expect: Vec<Expect>,
    write: Vec<Write>,
    outgoing: Vec<Outgoing>,
}

impl Lot {
    fn of(context: &Context<'_>, session: &Session, part: Option<AudiencePartRecord>, asked: &[Asked<'_>]) -> Self {
        let asking = session.asking();
        let importing = session.importing();
        let mut lot = Self {
            born: Vec::with_capacity(asked.len()),
            part: part.unwrap_or_default(),
            expect: Vec::with_capacity(asked.len()),
            write: Vec::with_capacity(asked.len() * 10),
            outgoing: Vec::with_capacity(asked.len() * 2),
        };
        for asked in asked {
            let (named, claim) = (asked.lead(), &asked.claims[0]);
            let key = identifier::key(asking.tenant_id, &named.identifier);
            let born = born(context, &asking, named, claim);
            let id = born.owner.customer;
            let (expect, write, outgoing) = born.into_commit(asking.tenant_id, key, claim);
            lot.born.push(id);
            lot.expect.push(expect);
            lot.write.extend(write);
            lot.outgoing.extend(outgoing);
            // A customer with further identifiers is in the list once they have got those, or nothing.
            if asked.row.identifiers.len() > 1 {
                continue;
            }
            let identifiers = member::identifiers(asking.tenant_id, asked.row);
            let (_, record) = member::take(None, (asked.row, &identifiers), &importing, context.now());
            lot.write.extend(record.map(|record| Write::Insert {
                key: keys::members_of(session.audience),
                member: id.to_bytes(),
                value: record.encode_to_vec().into(),
            }));
            lot.part.members += 1;
        }
        // All of them are of different things, so their order says nothing; a store writes neighbours of one kind together.
        lot.write.sort_by(|one, other| kind(one).cmp(&kind(other)));
        lot
    }
}

/// What is written together: records, members of one index.
fn kind(write: &Write) -> (u8, &[u8]) {
    match write {
        Write::Put { .. } => (0, &[]),
        Write::Insert { key, .. } => (1, key),
        _ => (2, &[]),
    }
}
