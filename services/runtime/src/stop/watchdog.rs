//! Ends the process when the stop itself hangs. A thread, because the runtime may be what hangs.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// Calls the watchdog off when dropped.
#[must_use = "dropping it calls the watchdog off"]
pub(crate) struct Watchdog {
    _called_off: Sender<()>,
}

/// Does `bite` after this long, unless called off.
pub(crate) fn start(after: Duration, bite: impl FnOnce() + Send + 'static) -> Option<Watchdog> {
    let (called_off, wait) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        if wait.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
            bite();
        }
    });
    match thread {
        Ok(_) => Some(Watchdog {
            _called_off: called_off,
        }),
        Err(error) => {
            tracing::error!(%error, "no watchdog over the stop");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_bites_in_time_and_not_when_called_off() {
        let (bitten, wait) = mpsc::channel();
        let called_off = bitten.clone();
        drop(start(Duration::from_millis(200), move || {
            called_off.send("called off").unwrap()
        }));
        let watchdog = start(Duration::from_millis(1), move || bitten.send("bitten").unwrap());
        assert_eq!(wait.recv(), Ok("bitten"));
        assert!(wait.recv().is_err(), "the other one ended without a word");
        drop(watchdog);
    }
}
