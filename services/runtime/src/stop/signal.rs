//! Signals: the first asks for a graceful stop, the second ends the process at once.

use super::{Reason, Stop};
use std::io;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

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

/// Turns signals into the stop; `exit` is given the exit code at the second one.
pub async fn obey(mut signals: Signals, stop: Stop, exit: impl FnOnce(i32) + Send) {
    let Some(name) = signals.recv().await else {
        return;
    };
    stop.request(Reason::Asked(name.to_owned()));
    if let Some(name) = signals.recv().await {
        tracing::warn!(
            signal = name,
            "second signal: ending at once, unconfirmed work will come again"
        );
        exit(130);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Budgets;
    use std::time::Duration;

    #[tokio::test]
    async fn the_second_signal_exits_at_once() {
        let second = Duration::from_secs(1);
        let stop = Stop::new(Budgets {
            intake: second,
            in_flight: second,
            flush: second,
            close: second,
            health: second,
        });
        let (send, receive) = mpsc::channel(2);
        let (exited, exit) = tokio::sync::oneshot::channel();
        let obeying = tokio::spawn(obey(receive, stop.clone(), |code| exited.send(code).unwrap()));
        send.send("SIGTERM").await.unwrap();
        stop.requested().await;
        assert!(!obeying.is_finished());
        send.send("SIGTERM").await.unwrap();
        assert_eq!(exit.await, Ok(130));
        obeying.await.unwrap();
    }
}
