//! Receivers that fail at random while schedulers come, go and die: at least once and in order within a thread.

use super::receiver::{Receiver, changed, endpoint};
use crate::gateway::Gateway;
use omnigate_core::id::hash;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Pause between two looks at what was delivered.
const LOOK: Duration = Duration::from_mins(1);

/// A number that looks random and is the same in every run.
fn dice(seed: u64, step: u64, end: u64) -> u64 {
    let digest = hash("dice", &[&seed.to_be_bytes(), &step.to_be_bytes()]);
    u64::from_be_bytes(digest[..8].try_into().unwrap()) % end
}

/// Numbers without those that came before.
fn first_effects(taken: &[u64]) -> Vec<u64> {
    let mut effects = Vec::new();
    for number in taken {
        if !effects.contains(number) {
            effects.push(*number);
        }
    }
    effects
}

async fn play(seed: u64) {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    // Fails or not by what is called and when.
    receiver.answers(move |call| {
        let when = u64::try_from(call.at.0).unwrap() / 700;
        match dice(seed ^ call.number, when, 5) {
            0 => 500,
            1 => 0,
            _ => 200,
        }
    });
    let begin = || gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    let mut running = vec![begin()];
    sleep(Duration::from_secs(30)).await;
    let mut published: BTreeMap<String, u64> = BTreeMap::new();
    for step in 0..120 {
        let throw = |kind: u64, end| dice(seed, step * 10 + kind, end);
        let chosen = usize::try_from(throw(1, 3)).unwrap() % running.len();
        match throw(2, 14) {
            0 if running.len() < 3 => running.push(begin()),
            1 if running.len() > 1 => running.swap_remove(chosen).stop().await,
            2 if running.len() > 1 => running.swap_remove(chosen).kill(),
            3..6 => sleep(Duration::from_millis(throw(3, 20_000))).await,
            _ => {
                let thread = format!("thread{}", throw(4, 6));
                let log = u16::try_from(throw(4, 6)).unwrap() % 4;
                let number = published.entry(thread.clone()).or_default();
                *number += 1;
                gateway.tell(log, vec![changed(&thread, *number)]).await;
            }
        }
    }
    running.push(begin());
    receiver.answers(|_| 200);
    // What failed often waits for long.
    for _ in 0..300 {
        sleep(LOOK).await;
        if published
            .iter()
            .all(|(thread, number)| receiver.taken(thread).contains(number))
        {
            break;
        }
    }
    for (thread, number) in &published {
        let all: Vec<u64> = (1..=*number).collect();
        assert_eq!(first_effects(&receiver.taken(thread)), all, "seed {seed}, {thread}");
    }
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn at_least_once_and_in_order_whatever_fails_or_dies() {
    for seed in 0..15 {
        play(seed).await;
    }
}
