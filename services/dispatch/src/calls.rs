//! How many calls of an adapter are under way at once: more while it answers quickly, fewer when it is slow, so that a quick
//! provider is never waited for and a slow one is not asked for more than it can do within a call's time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An answer within this time lets one call more be under way.
const QUICK: Duration = Duration::from_millis(500);
/// An answer after this time, which is far below that of a call, lets one less.
const SLOW: Duration = Duration::from_secs(3);

/// Places for the calls of one account.
#[derive(Debug)]
pub(crate) struct Calls {
    places: Arc<Semaphore>,
    width: AtomicUsize,
    least: usize,
    most: usize,
}

/// A place for one call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    calls: &'a Calls,
    place: OwnedSemaphorePermit,
}

impl Calls {
    /// Begins with the least number of places.
    pub(crate) fn new(least: usize, most: usize) -> Self {
        let least = least.max(1);
        Self {
            places: Arc::new(Semaphore::new(least)),
            width: AtomicUsize::new(least),
            least,
            most: most.max(least),
        }
    }

    /// Waits for a place. `None` never happens while the line lives.
    pub(crate) async fn place(&self) -> Option<Call<'_>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Call { calls: self, place })
    }

    /// One place more, if all are used.
    fn widen(&self) {
        let wider = |width: usize| (width < self.most).then_some(width + 1);
        let all_used = self.places.available_permits() == 0;
        if all_used
            && self
                .width
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, wider)
                .is_ok()
        {
            self.places.add_permits(1);
        }
    }
}

impl Call<'_> {
    /// The adapter answered after this time.
    pub(crate) fn answered(self, took: Duration) {
        if took <= QUICK {
            self.calls.widen();
        } else if took >= SLOW {
            let narrower = |width: usize| (width > self.calls.least).then(|| width - 1);
            let width = &self.calls.width;
            if width
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, narrower)
                .is_ok()
            {
                self.place.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(calls: &Calls, count: usize, took: Duration) {
        let mut under_way = Vec::new();
        for _ in 0..count {
            under_way.push(calls.place().await.unwrap());
        }
        for call in under_way {
            call.answered(took);
        }
    }

    #[tokio::test]
    async fn quick_answers_widen_and_slow_ones_narrow_within_bounds() {
        let calls = Calls::new(2, 5);
        let free = || calls.places.available_permits();
        answer(&calls, 2, Duration::from_secs(1)).await;
        assert_eq!(free(), 2, "neither quick nor slow");
        answer(&calls, 1, Duration::ZERO).await;
        assert_eq!(free(), 2, "a place was free all the time");
        for _ in 0..10 {
            let all = free();
            answer(&calls, all, Duration::ZERO).await;
        }
        assert_eq!((free(), calls.width.load(Ordering::Relaxed)), (5, 5));
        for _ in 0..10 {
            let all = free();
            answer(&calls, all, Duration::from_secs(10)).await;
        }
        assert_eq!((free(), calls.width.load(Ordering::Relaxed)), (2, 2));
    }
}
