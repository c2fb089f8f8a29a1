//! Waiting for conditions, with a deadline and an explanation.

use std::time::{Duration, Instant};

/// Longest wait for something that must happen; generous, because machines differ.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `look` gives something, and fails with what it saw last.
pub async fn until<T, S: std::fmt::Debug>(
    what: &str,
    look: impl AsyncFnMut() -> anyhow::Result<Result<T, S>>,
) -> anyhow::Result<T> {
    within(PATIENCE, what, look).await
}

/// As [`until`], for what takes its time by design.
pub async fn within<T, S: std::fmt::Debug>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, S>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let seen = match look().await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(seen)) => format!("{seen:?}"),
            Err(error) => format!("{error:#}"),
        };
        anyhow::ensure!(begun.elapsed() < patience, "{what} did not happen; seen last: {seen}");
        tokio::time::sleep(LOOK).await;
    }
}
