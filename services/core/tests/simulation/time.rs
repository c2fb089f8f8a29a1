//! Time of a schedule, and turns within it; both simulations have it.

use omnigate_core::port::Clock;
use omnigate_core::time::Moment;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

/// When every schedule begins.
pub(crate) const BEGINNING: Moment = Moment(1_800_000_000_000);

/// A clock that goes on when told.
#[derive(Debug, Default)]
pub(crate) struct SimClock(AtomicI64);

impl SimClock {
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment(BEGINNING.0 + self.0.load(Ordering::Relaxed))
    }
}

/// Gives the others a turn; where a worker may be stopped, put to sleep or killed.
pub(crate) fn pause() -> impl Future<Output = ()> + Send {
    struct Pause(bool);
    impl Future for Pause {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                Poll::Ready(())
            } else {
                // Futures that are carried out side by side are looked at only where somebody says so.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
    Pause(false)
}
