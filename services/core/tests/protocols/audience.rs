//! Audiences: imports through crashes, repetitions and company; members through merges, splits and erasure.

mod crashed;
mod defined;
mod members;
mod rows;

use crate::{World, now};
use omnigate_core::details::Schema;
use omnigate_core::id::AudienceId;
use omnigate_core::identifier;
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Query};
use omnigate_core::protocol::audience::{self, Audience, Batch, Found, NotDone, Session, create};
use omnigate_core::protocol::context::{Context, as_range};
use omnigate_core::protocol::read;
use omnigate_core::shard::Shard;
use omnigate_core::tenant::{Rules, TenantRules};
use omnigate_proto::state::v1::{AudienceRecord, ImportRecord};
use omnigate_proto::v1::{Identifier, ImportRow};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A world whose tenants write phone numbers as in Viet Nam.
fn vietnamese(loses: bool) -> World {
    let rules = Rules {
        region: Some("VN".to_owned()),
        ..Rules::DEFAULT
    };
    World {
        tenants: TenantRules {
            all: rules,
            by_tenant: BTreeMap::new(),
        },
        ..World::new(loses)
    }
}

fn list(world: &World, request_id: &str) -> AudienceId {
    audience(world, request_id, "", &[]).id
}

fn audience(world: &World, request_id: &str, filter: &str, excluded: &[AudienceId]) -> Audience {
    let record = AudienceRecord {
        tenant_id: "t".to_owned(),
        display_name: request_id.to_owned(),
        filter: filter.to_owned(),
        excluded: excluded.iter().map(|id| id.to_bytes()).collect(),
        ..AudienceRecord::default()
    };
    now(create(&world.context(), AudienceId::new("t", request_id), record)).unwrap()
}

/// `type:value …` with the name to address somebody by.
fn row(number: u64, identifiers: &str, name: &str) -> ImportRow {
    let identifiers = identifiers.split(' ').map(|text| {
        let (kind, value) = text.split_once(':').unwrap();
        Identifier {
            r#type: kind.to_owned(),
            scope: String::new(),
            value: value.to_owned(),
        }
    });
    ImportRow {
        row: number,
        identifiers: identifiers.collect(),
        display_name: name.to_owned(),
        variables: BTreeMap::from([("ten".to_owned(), name.to_owned())]),
        ..ImportRow::default()
    }
}

/// Takes some rows as one batch.
fn take(context: &Context<'_>, session: &mut Session, rows: &[ImportRow]) -> Result<(), NotDone> {
    let batch = Batch::new(rows, context.tenants.of("t"))?;
    now(session.take(context, &batch, &mut Vec::new()))
}

/// One call that brings these rows in batches of so many.
fn import(
    context: &Context<'_>,
    id: AudienceId,
    (import_id, merges): (&str, bool),
    (rows, together): (&[ImportRow], usize),
) -> Result<ImportRecord, NotDone> {
    let mut session = now(Session::begin(context, ("t", id), (import_id, merges), TRACE))?;
    for batch in rows.chunks(together) {
        take(context, &mut session, batch)?;
    }
    now(session.finish(context))?;
    Ok(session.record().clone())
}

fn imported(world: &World, id: AudienceId, import_id: &str, rows: &[ImportRow]) -> [u64; 4] {
    counts(&import(&world.context(), id, (import_id, false), (rows, 100)).unwrap())
}

/// Created, updated, unchanged, failed.
fn counts(record: &ImportRecord) -> [u64; 4] {
    [record.created, record.updated, record.unchanged, record.failed]
}

fn reasons(world: &World, id: AudienceId, import_id: &str) -> Vec<(u64, String)> {
    let found = now(audience::problems(&world.context(), id, import_id, (None, 1000))).unwrap();
    found.into_iter().map(|(row, problem)| (row, problem.reason)).collect()
}

fn found(world: &World, id: AudienceId) -> Vec<Found> {
    let context = world.context();
    let stands = now(audience::get(&context, "t", id)).unwrap().unwrap();
    let selection = now(audience::select(&context, &stands, &Schema::default(), true)).unwrap();
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = now(audience::page(&context, ("t", &selection), after, (3, 5))).unwrap();
        all.extend(page.found);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The names by which a list addresses its members, of those who are not left out.
fn names(world: &World, id: AudienceId) -> Vec<String> {
    let found = found(world, id).into_iter().filter(|found| !found.excluded);
    let mut names: Vec<String> = found
        .map(|found| found.member.map(|member| member.display_name).unwrap_or_default())
        .collect();
    names.sort();
    names
}

fn index(world: &World, key: &bytes::Bytes) -> Vec<(bytes::Bytes, bytes::Bytes)> {
    let of_shard = |shard| {
        let query = Query::Range {
            key: key.clone(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 10_000,
            reverse: false,
        };
        let answers: Vec<Answer> = world.store.memory.read_now(shard, &[query]);
        as_range(answers.into_iter().next()).unwrap()
    };
    Shard::all().flat_map(of_shard).collect()
}

/// Rows that stand in the store.
fn rows_of(world: &World, id: AudienceId) -> usize {
    let rows = index(world, &keys::members_of(id)).len();
    let counted = now(audience::size(&world.context(), id)).unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), counted, "rows are counted");
    rows
}

/// What a list says of a customer: their name and variables.
type Listed = Option<(String, BTreeMap<String, String>)>;

/// What can be seen of all customers and of a list, without ids that differ from run to run.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    /// Identifiers of each customer with what the list says of them.
    customers: BTreeSet<(Vec<String>, Listed)>,
    /// Customers that ever were.
    births: usize,
    /// Rows in the list.
    rows: usize,
}

fn seen(world: &World, id: AudienceId) -> Seen {
    let members = found(world, id);
    let births = index(world, &keys::customers("t"));
    let mut customers = BTreeSet::new();
    for (member, _) in &births {
        let born = omnigate_core::id::CustomerId::from_bytes(member).unwrap();
        let Some(whole) = now(read::customer(&world.context(), "t", born)).unwrap() else {
            continue;
        };
        let shown = whole.to_customer();
        let mut names: Vec<String> = shown
            .identifiers
            .iter()
            .filter_map(|identifier| Some(identifier::text(identifier.identifier.as_ref()?)))
            .collect();
        names.sort();
        let member = members.iter().find(|found| found.customer == whole.id);
        let said = member.and_then(|found| found.member.clone());
        customers.insert((names, said.map(|said| (said.display_name, said.variables))));
    }
    Seen {
        customers,
        births: births.len(),
        rows: rows_of(world, id),
    }
}
