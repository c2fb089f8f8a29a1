//! The readers: reads that wait together share one instant of the file.

use super::{DATA, DUES, Fault, view::View};
use omnigate_core::{
    port::{
        Clock,
        store::{Answer, Query, StoreError},
    },
    shard::Shard,
};
use redb::{Database, ReadableDatabase};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Most reads that share an instant; leaves work for the other readers.
const GROUP: usize = 64;

/// A read and who waits for it.
pub(super) struct Job {
    pub(super) shard: Shard,
    pub(super) queries: Vec<Query>,
    pub(super) reply: oneshot::Sender<Result<Vec<Answer>, StoreError>>,
}

/// Answers until nobody can ask any more.
pub(super) fn run(database: &Database, clock: &dyn Clock, queue: &Mutex<mpsc::Receiver<Job>>) {
    let mut jobs = Vec::with_capacity(GROUP);
    loop {
        let received = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv_many(&mut jobs, GROUP);
        if received == 0 {
            return;
        }
        if let Err(fault) = answer_together(database, clock, &mut jobs) {
            tracing::error!(error = %fault, "store file cannot be read");
            let error = StoreError::from(fault);
            for job in jobs.drain(..) {
                job.reply.send(Err(error.clone())).ok();
            }
        }
    }
}

fn answer_together(database: &Database, clock: &dyn Clock, jobs: &mut Vec<Job>) -> Result<(), Fault> {
    // All jobs were queued before this transaction begins, so it sees every commit answered before them.
    let transaction = database.begin_read()?;
    let (data, dues) = (transaction.open_table(DATA)?, transaction.open_table(DUES)?);
    let view = View {
        data: &data,
        dues: &dues,
        now: clock.now(),
    };
    for Job { shard, queries, reply } in jobs.drain(..) {
        let answers: Result<_, Fault> = queries.iter().map(|query| view.answer(shard, query)).collect();
        reply.send(answers.map_err(StoreError::from)).ok();
    }
    Ok(())
}
