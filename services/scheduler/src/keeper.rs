//! Keeps a share of something that schedulers share, and its work running.

use crate::{
    shared::Shared,
    shares::{Ours, Pool, Shares},
};
use futures_util::future::BoxFuture;
use omnigate_core::protocol::lease::LeaseError;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// A share is renewed this many times within its lease.
const RENEWALS: u32 = 3;
/// Pause after the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be done about each thing that is ours.
pub(crate) trait Work: Sync {
    /// The work on one of them, which ends soon after `stop`. `ends` tells when it is ours no more, as far as is known:
    /// while the store is away nobody can stop the work in time.
    fn begin(&self, ours: Ours, ends: watch::Receiver<Instant>, stop: CancellationToken) -> BoxFuture<'static, ()>;

    /// Told how many are ours.
    fn holds(&self, count: usize);
}

/// The work on one of them.
struct Running {
    epoch: u64,
    ends: watch::Sender<Instant>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

type Runs = BTreeMap<u16, Running>;

/// Keeps a share until stopped; then ends the work and gives the share back.
pub(crate) async fn keep(shared: &Shared, pool: Pool, work: &impl Work, stop: &CancellationToken) {
    let owner = data_encoding::HEXLOWER.encode(&shared.ports.entropy.bytes());
    let lease = shared.settings.lease;
    let (members, mut shares) = (pool.members, Shares::new(pool, owner, lease));
    let mut running = Runs::new();
    while !stop.is_cancelled() {
        let pause = match balance(shared, &mut shares, &mut running).await {
            Ok(()) => lease / RENEWALS,
            Err(error) => {
                tracing::warn!(members, %error, "share not renewed");
                RETRY.min(lease / RENEWALS)
            }
        };
        follow(&shares, &mut running, work).await;
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    let left = timeout(shared.settings.drain_within, async {
        end(running).await;
        shares.leave(&shared.context()).await
    });
    match left.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(members, %error, "share not given back, it lapses"),
        Err(_) => tracing::warn!(members, "stopped before everything under way had ended"),
    }
}

async fn balance(shared: &Shared, shares: &mut Shares, running: &mut Runs) -> Result<(), LeaseError> {
    let context = shared.context();
    for number in shares.balance(&context).await? {
        // The next holder begins where we have ended.
        if let Some(run) = running.remove(&number) {
            end([(number, run)]).await;
        }
        shares.release(&context, number).await?;
    }
    Ok(())
}

/// Begins the work on what is ours now and ends that on what is not.
async fn follow(shares: &Shares, running: &mut Runs, work: &impl Work) {
    let held = shares.held();
    work.holds(held.len());
    let is_ours = |number: u16, epoch: u64| held.iter().any(|ours| ours.number == number && ours.epoch == epoch);
    let (kept, lost) = std::mem::take(running)
        .into_iter()
        .partition(|(number, run)| is_ours(*number, run.epoch) && !run.task.is_finished());
    *running = kept;
    end::<Runs>(lost).await;
    for ours in held {
        let (epoch, until) = (ours.epoch, ours.ends);
        let run = running.entry(ours.number).or_insert_with(|| {
            let (ends, told) = watch::channel(until);
            let stop = CancellationToken::new();
            let task = tokio::spawn(work.begin(ours, told, stop.clone()));
            Running {
                epoch,
                ends,
                stop,
                task,
            }
        });
        run.ends.send_replace(until);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends work and waits until it has ended.
async fn end<I: IntoIterator<Item = (u16, Running)>>(runs: I) {
    let runs: Vec<(u16, Running)> = runs.into_iter().collect();
    for (_, run) in &runs {
        run.stop.cancel();
    }
    for (number, mut run) in runs {
        if let Err(error) = (&mut run.task).await {
            tracing::error!(number, %error, "work failed in a way nobody foresaw");
        }
    }
}
