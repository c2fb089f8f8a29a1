//! Imports: rows of a file become members of a list, in bulk.
//!
//! Rows are taken in batches. First each row gets its customer ([`identify`]): where nobody has a row's identifiers, the
//! customers of a shard are born in one commit; else what is known about the identifiers leads to one. Then members are
//! written ([`enrol`]), one commit for each shard. At last the import's own record counts the batch. A process may die at each
//! of these steps and the batch come again: a member knows which rows wrote it, so nothing takes effect twice, and what is not
//! counted yet is counted then.

mod enrol;
mod identify;
mod settle;

use super::NotDone;
use super::define::get;
use crate::audience::is_segment;
use crate::audience::member::{Importing, Outcome};
use crate::audience::row::{Problem, Row, check};
use crate::id::{AudienceId, hash};
use crate::keys;
use crate::port::store::{Query, Shape, Stamp, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, expect_record, put};
use crate::shard::Shard;
use crate::tenant::Rules;
use crate::time::Moment;
use bytes::Bytes;
use enrol::enrol;
use identify::{Identified, identify};
use omnigate_proto::state::v1::{AudiencePartRecord, ImportRecord, RowProblemRecord};
use omnigate_proto::v1::ImportRow;
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

/// How long an import is known after its last row.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most problems kept of an import.
const MAX_PROBLEMS: u64 = 100_000;

/// The parts of a list as they were last seen, by shard.
type Parts = BTreeMap<Shard, Loaded<AudiencePartRecord>>;

/// An import as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// Its record.
    pub record: ImportRecord,
    stamp: Option<Stamp>,
}

/// A call that brings rows. Another one that begins later takes the import over.
pub struct Session {
    tenant_id: String,
    audience: AudienceId,
    trace_id: String,
    place: [u8; 32],
    standing: Standing,
    parts: Parts,
}

fn place(audience: AudienceId, import_id: &str) -> [u8; 32] {
    hash("import", &[&audience.0, import_id.as_bytes()])
}

const fn shard_of(place: [u8; 32]) -> Shard {
    Shard::new(place[0])
}

/// How an import of an audience stands; `None` when there is none.
pub async fn standing(
    context: &Context<'_>,
    audience: AudienceId,
    import_id: &str,
) -> Result<Option<Standing>, StoreError> {
    let place = place(audience, import_id);
    let loaded: Loaded<ImportRecord> = context.record(shard_of(place), keys::import(place), "import").await?;
    let (stamp, record) = (loaded.stamp, loaded.value);
    Ok(record.map(|record| Standing { record, stamp }))
}

/// Problems of an import, by number of row; `after` is the last one of the page before.
pub async fn problems(
    context: &Context<'_>,
    audience: AudienceId,
    import_id: &str,
    (after, limit): (Option<u64>, u32),
) -> Result<Vec<(u64, RowProblemRecord)>, StoreError> {
    let place = place(audience, import_id);
    let query = Query::Range {
        key: keys::import_problems(place),
        from: after.map_or(Bound::Unbounded, |row| Bound::Excluded(keys::problem_member(row))),
        to: Bound::Unbounded,
        limit,
        reverse: false,
    };
    let answers = context.store.read(shard_of(place), vec![query]).await?;
    let mut found = Vec::new();
    for (member, value) in as_range(answers.into_iter().next())? {
        let problem = RowProblemRecord::decode(value);
        let problem = problem.map_err(|error| StoreError::Corrupt(format!("problem: {error}")))?;
        found.extend(keys::read_problem_member(&member).map(|row| (row, problem)));
    }
    Ok(found)
}

/// What became of a row.
type CameTo = Result<Outcome, Problem>;

/// Rows that are taken together, checked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    rows: Vec<Row>,
    refused: BTreeMap<u64, Problem>,
    last: u64,
}

impl Batch {
    /// Checks rows, which come in the order of their numbers.
    pub fn new(rows: &[ImportRow], rules: &Rules) -> Result<Self, NotDone> {
        let mut batch = Self {
            rows: Vec::with_capacity(rows.len()),
            ..Self::default()
        };
        for row in rows {
            if row.row <= batch.last {
                return Err(NotDone::OutOfOrder(row.row, batch.last));
            }
            batch.last = row.row;
            match check(row, rules) {
                Ok(row) => batch.rows.push(row),
                Err(problem) => {
                    batch.refused.insert(row.row, problem);
                }
            }
        }
        Ok(batch)
    }
}

/// What a batch adds to the counts.
#[derive(Default)]
struct Counts {
    created: u64,
    updated: u64,
    unchanged: u64,
    failed: u64,
}

impl Counts {
    fn add(&mut self, came_to: &CameTo) {
        match came_to {
            Ok(Outcome::Created) => self.created += 1,
            Ok(Outcome::Updated) => self.updated += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            Err(_) => self.failed += 1,
        }
    }
}

impl Session {
    /// Begins an import, or goes on with one.
    pub async fn begin(
        context: &Context<'_>,
        (tenant_id, audience): (&str, AudienceId),
        (import_id, merge_customers): (&str, bool),
        trace_id: &str,
    ) -> Result<Self, NotDone> {
        let stands = get(context, tenant_id, audience)
            .await?
            .ok_or(NotDone::NoSuchAudience)?;
        if is_segment(&stands.record) {
            return Err(NotDone::NotAList);
        }
        let first = ImportRecord {
            audience: audience.to_bytes(),
            import_id: import_id.to_owned(),
            next_row: 1,
            merge_customers,
            ..ImportRecord::default()
        };
        let mut session = Self {
            tenant_id: tenant_id.to_owned(),
            audience,
            trace_id: trace_id.to_owned(),
            place: place(audience, import_id),
            standing: Standing {
                record: first,
                stamp: None,
            },
            parts: Parts::new(),
        };
        for _ in 0..MAX_TRIES {
            let found = standing(context, audience, import_id).await?;
            if let Some(found) = found {
                session.standing = found;
            }
            if session.standing.record.merge_customers != merge_customers {
                return Err(NotDone::ImportReused);
            }
            let mut next = session.standing.record.clone();
            if session.standing.stamp.is_none() {
                next.began_ms = context.now().0;
                next.updated_ms = next.began_ms;
            }
            match session.write(context, next, Vec::new()).await {
                Ok(()) => return Ok(session),
                // Somebody else began in the same moment.
                Err(NotDone::TakenOver) => {}
                Err(refused) => return Err(refused),
            }
        }
        Err(Stop::Contended(MAX_TRIES).into())
    }

    /// How the import stands.
    #[must_use]
    pub const fn record(&self) -> &ImportRecord {
        &self.standing.record
    }

    /// Takes a batch of rows; those that were counted before are passed over. CustomerEvents that came to be are added to
    /// `outgoing`, also when it fails.
    pub async fn take(
        &mut self,
        context: &Context<'_>,
        batch: &Batch,
        outgoing: &mut Vec<Outgoing>,
    ) -> Result<(), NotDone> {
        let from = self.standing.record.next_row;
        if batch.last < from {
            return Ok(());
        }
        let counted = batch.rows.partition_point(|row| row.number < from);
        let refused = batch.refused.range(from..);
        let mut ended: BTreeMap<u64, CameTo> = refused.map(|(row, problem)| (*row, Err(problem.clone()))).collect();
        self.carry_out(context, &batch.rows[counted..], &mut ended, outgoing)
            .await?;
        self.count(context, batch.last.saturating_add(1), &ended).await
    }

    /// Gives every row its customer and its member.
    async fn carry_out(
        &mut self,
        context: &Context<'_>,
        rows: &[Row],
        ended: &mut BTreeMap<u64, CameTo>,
        outgoing: &mut Vec<Outgoing>,
    ) -> Result<(), NotDone> {
        let identified = identify(context, self, rows, outgoing).await?;
        let mut seats = Vec::new();
        for (row, identified) in identified {
            match identified {
                Ok(Identified::Enrolled) => {
                    ended.insert(row.number, Ok(Outcome::Created));
                }
                Ok(Identified::As(customer)) => seats.push((row, customer)),
                Err(problem) => {
                    ended.insert(row.number, Err(problem));
                }
            }
        }
        ended.extend(enrol(context, self, seats).await?);
        Ok(())
    }

    /// Counts a batch that is done with.
    async fn count(
        &mut self,
        context: &Context<'_>,
        next_row: u64,
        ended: &BTreeMap<u64, CameTo>,
    ) -> Result<(), NotDone> {
        let mut counts = Counts::default();
        ended.values().for_each(|came_to| counts.add(came_to));
        let mut next = self.standing.record.clone();
        next.next_row = next_row;
        next.created += counts.created;
        next.updated += counts.updated;
        next.unchanged += counts.unchanged;
        next.failed += counts.failed;
        next.updated_ms = context.now().0;
        let mut write = Vec::new();
        for (row, came_to) in ended {
            let Err(problem) = came_to else { continue };
            if next.problems >= MAX_PROBLEMS {
                break;
            }
            next.problems += 1;
            write.push(self.problem(*row, problem));
        }
        if !write.is_empty() {
            write.push(self.expires(Shape::Index));
        }
        self.write(context, next, write).await
    }

    /// Notes that the call ended in order.
    pub async fn finish(&mut self, context: &Context<'_>) -> Result<(), NotDone> {
        let next = ImportRecord {
            finished_ms: context.now().0,
            ..self.standing.record.clone()
        };
        self.write(context, next, Vec::new()).await
    }

    /// Writes the import's record in the place of the one that was read.
    async fn write(&mut self, context: &Context<'_>, next: ImportRecord, also: Vec<Write>) -> Result<(), NotDone> {
        let (shard, key) = (shard_of(self.place), keys::import(self.place));
        let next = ImportRecord {
            written: Bytes::copy_from_slice(&context.entropy.bytes()),
            ..next
        };
        for _ in 0..MAX_TRIES {
            let expect = vec![expect_record(key.clone(), self.standing.stamp)];
            let mut write = vec![put(key.clone(), &next), self.expires(Shape::Record)];
            write.extend(also.iter().cloned());
            match context.commit(shard, expect, write).await? {
                Ended::Committed(stamp) => {
                    self.standing = Standing {
                        record: next,
                        stamp: Some(stamp),
                    };
                    return Ok(());
                }
                Ended::Conflict(_) | Ended::Unknown => {}
            }
            let found: Loaded<ImportRecord> = context.record(shard, key.clone(), "import").await?;
            if found.value.as_ref().is_some_and(|found| found.written == next.written) {
                self.standing = Standing {
                    record: next,
                    stamp: found.stamp,
                };
                return Ok(());
            }
            if found.stamp != self.standing.stamp {
                return Err(NotDone::TakenOver);
            }
        }
        Err(Stop::Contended(MAX_TRIES).into())
    }

    fn problem(&self, row: u64, problem: &Problem) -> Write {
        let record = RowProblemRecord {
            field: problem.field.clone(),
            reason: problem.reason.name().to_owned(),
            problem: problem.text.clone(),
        };
        Write::Insert {
            key: keys::import_problems(self.place),
            member: keys::problem_member(row),
            value: record.encode_to_vec().into(),
        }
    }

    fn expires(&self, shape: Shape) -> Write {
        Write::Expire {
            shape,
            key: keys::import(self.place),
            after: KEPT,
        }
    }

    fn importing(&self) -> Importing {
        let record = &self.standing.record;
        Importing::new(Moment(record.began_ms), self.place, record.next_row)
    }

    /// Who asks. An identifier that was erased since the import began stays nobody's.
    fn asking(&self) -> Asking<'_> {
        Asking {
            tenant_id: &self.tenant_id,
            received_at: Moment(self.standing.record.began_ms),
            trace_id: &self.trace_id,
            replaces: None,
        }
    }
}
