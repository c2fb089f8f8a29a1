//! A common beat: tasks that each batch what they send begin together, so that what is behind them can batch too.
//!
//! Sixteen partitions that publish whenever they have something make a broker wake up, write and confirm for each of them.
//! Publishing on one beat, their messages share one packet, one write and one flush. Who comes after a pause goes at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// A beat that any number of tasks keep.
#[derive(Debug)]
pub struct Beat {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Beat {
    /// One beat each `interval`; the first is now.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Returns at once when the last beat is an interval ago, else with the next one, at most an interval later.
    pub async fn turn(&self) {
        let Some(at) = self.wait_until() else { return };
        sleep_until(at).await;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // The first one that wakes up sets the next beat for all.
        *next = (*next).max(at + self.interval);
    }

    /// Waits for its turn with what has arrived, and takes along what arrives until then, so much in all.
    pub async fn gather<T>(&self, arrivals: &mut mpsc::Receiver<T>, gathered: &mut Vec<T>, most: usize) {
        self.turn().await;
        while gathered.len() < most
            && let Ok(arrived) = arrivals.try_recv()
        {
            gathered.push(arrived);
        }
    }

    fn wait_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *next {
            return Some(*next);
        }
        *next = now + self.interval;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::task::JoinSet;

    const INTERVAL: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn what_arrives_before_the_turn_is_taken_along_up_to_the_most() {
        let beat = Beat::new(INTERVAL);
        let (sender, mut arrivals) = mpsc::channel(10);
        beat.turn().await;
        let late = tokio::spawn(async move {
            tokio::time::sleep(INTERVAL / 2).await;
            for number in 2..=4 {
                sender.send(number).await.unwrap();
            }
        });
        let mut gathered = vec![1];
        beat.gather(&mut arrivals, &mut gathered, 3).await;
        late.await.unwrap();
        assert_eq!(std::mem::take(&mut gathered), [1, 2, 3]);
        beat.gather(&mut arrivals, &mut gathered, 3).await;
        assert_eq!(gathered, [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_after_a_pause_goes_at_once_and_others_go_together() {
        let beat = Arc::new(Beat::new(INTERVAL));
        let begun = Instant::now();
        beat.turn().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(3)).await;
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let beat = Arc::clone(&beat);
            tasks.spawn(async move {
                beat.turn().await;
                begun.elapsed()
            });
        }
        while let Some(went) = tasks.join_next().await {
            assert_eq!(went.unwrap(), INTERVAL);
        }
        beat.turn().await;
        assert_eq!(begun.elapsed(), INTERVAL * 2);
        tokio::time::sleep(INTERVAL * 5).await;
        let later = Instant::now();
        beat.turn().await;
        assert_eq!(later.elapsed(), Duration::ZERO);
    }
}
