//! Signals: the first asks for a graceful stop, a second one, later, ends the process at once.

use super::{Reason, Stop};
use std::{io, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::Instant,
};

/// Signals this soon after the first are the same wish: whoever stops a group of processes may reach one of them twice.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Names of signals as they come.
pub type Signals = mpsc::Receiver<&'static str>;

/// SIGINT and SIGTERM of this process.
pub fn of_process() -> io::Result<Signals> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if send.send(name).await.is_err() {
                return;
            }
        }
    });
    Ok(receive)
}

/// Turns signals into the stop; `exit` is given the exit code at a second one.
pub async fn obey(mut signals: Signals, stop: Stop, exit: impl FnOnce(i32) + Send) {
    let Some(name) = signals.recv().await else {
        return;
    };
    stop.request(Reason::Asked(name.to_owned()));
    let asked = Instant::now();
    while let Some(name) = signals.recv().await {
        if asked.elapsed() < SAME_WISH {
            continue;
        }
        tracing::warn!(
            signal = name,
            "second signal: ending at once, unconfirmed work will come again"
        );
        return exit(130);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Budgets;

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_exits_at_once() {
        let second = Duration::from_secs(1);
        let stop = Stop::new(Budgets {
            intake: second,
            in_flight: second,
            flush: second,
            tokens: second,
            close: second,
            health: second,
        });
        let (send, receive) = mpsc::channel(2);
        let (exited, exit) = tokio::sync::oneshot::channel();
        let obeying = tokio::spawn(obey(receive, stop.clone(), |code| exited.send(code).unwrap()));
        send.send("SIGTERM").await.unwrap();
        stop.requested().await;
        send.send("SIGTERM").await.unwrap();
        tokio::time::sleep(SAME_WISH).await;
        assert!(!obeying.is_finished(), "the same wish came twice");
        send.send("SIGTERM").await.unwrap();
        assert_eq!(exit.await, Ok(130));
        obeying.await.unwrap();
    }
}
