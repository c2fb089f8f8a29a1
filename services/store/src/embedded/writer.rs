//! The one writer: commits that wait together become durable together.

use super::{Fault, change::Change};
use omnigate_core::{
    port::{
        Clock,
        store::{Commit, Outcome, StoreError},
    },
    shard::Shard,
};
use redb::Database;
use tokio::sync::{mpsc, oneshot};

/// Most commits in one transaction: keeps the wait of the first short and the transaction's memory bounded.
const GROUP: usize = 1024;

/// Most things a transaction sweeps beyond one for each commit, so that sweeping keeps up and never takes over.
const SWEEP: usize = 16;

/// A commit and who waits for it.
pub(super) struct Job {
    pub(super) shard: Shard,
    pub(super) commit: Commit,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Commits until nobody can ask for it any more.
pub(super) fn run(database: &Database, clock: &dyn Clock, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut jobs, GROUP) > 0 {
        let outcomes = commit_together(database, clock, &jobs);
        for (job, outcome) in jobs.drain(..).zip(outcomes) {
            // Who no longer waits will read and decide again.
            job.reply.send(outcome).ok();
        }
    }
}

type Outcomes = Vec<Result<Outcome, StoreError>>;

fn commit_together(database: &Database, clock: &dyn Clock, jobs: &[Job]) -> Outcomes {
    let attempt = || -> Result<Outcomes, Fault> {
        let transaction = database.begin_write()?;
        let outcomes = apply(&mut Change::begin(&transaction, clock.now())?, jobs)?;
        if !outcomes.iter().any(|outcome| matches!(outcome, Ok(Outcome::Committed))) {
            transaction.abort()?;
            return Ok(outcomes);
        }
        Ok(match transaction.commit() {
            Ok(()) => outcomes,
            Err(error) => {
                tracing::error!(%error, "store file cannot be written");
                vec![Ok(Outcome::Unknown); jobs.len()]
            }
        })
    };
    attempt().unwrap_or_else(|fault| {
        tracing::error!(error = %fault, "store file cannot be changed");
        let error = StoreError::from(fault);
        vec![Err(error); jobs.len()]
    })
}

/// Each commit meets what those before it left.
fn apply(change: &mut Change<'_>, jobs: &[Job]) -> Result<Outcomes, Fault> {
    let mut outcomes = Vec::with_capacity(jobs.len());
    for Job { shard, commit, .. } in jobs {
        outcomes.push(match change.violations(*shard, commit) {
            Ok(found) if found.is_empty() => Ok(change.apply(*shard, commit)?),
            Ok(found) => Ok(Outcome::Conflict(found)),
            Err(Fault::Corrupt(what)) => Err(Fault::Corrupt(what).into()),
            Err(fault) => return Err(fault),
        });
    }
    change.sweep(jobs.len() + SWEEP)?;
    Ok(outcomes)
}
