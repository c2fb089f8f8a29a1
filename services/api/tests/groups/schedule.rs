//! Members that come, go and die at random while events are published: at least once, in order per home, one owner a log.

use crate::gateway::{Gateway, LOGS, Process, Received, until};
use omnigate_core::id::hash;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// Homes; two in each log.
const HOMES: u64 = 8;
/// Steps of one schedule, before everything is read to the end.
const STEPS: u64 = 250;

/// Numbers that look random and are the same in every run.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.thrown += 1;
        let digest = hash("dice", &[&self.seed.to_be_bytes(), &self.thrown.to_be_bytes()]);
        u64::from_be_bytes(digest[..8].try_into().unwrap()) % end
    }
}

struct Member {
    process: Process,
    /// Sent to it, not looked at yet.
    sent: Arc<Mutex<VecDeque<Received>>>,
    /// Looked at and not acknowledged, in order.
    in_hand: Vec<Received>,
    reader: AbortHandle,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What all members together did.
#[derive(Default)]
struct Effects {
    /// Highest number of each home.
    of_home: BTreeMap<String, u64>,
    repeats: usize,
}

/// Latest epoch of each log that something was sent under.
type Epochs = Arc<Mutex<BTreeMap<u16, u64>>>;

/// A log has one owner at a time: nothing is sent under an epoch after a later one.
fn sent_in_turn(epochs: &Epochs, event: &Received) {
    let (log, epoch) = event.log_and_epoch();
    let mut epochs = epochs.lock().unwrap();
    let latest = epochs.entry(log).or_default();
    assert!(
        epoch >= *latest,
        "log {log} was read by a former owner: {epoch} after {latest}"
    );
    *latest = epoch;
}

impl Effects {
    /// An event has its effect, unless it had it before.
    fn take(&mut self, event: &Received) {
        let last = self.of_home.entry(event.home.clone()).or_default();
        if event.number <= *last {
            self.repeats += 1;
            return;
        }
        assert_eq!(event.number, *last + 1, "{} jumped ahead", event.home);
        *last = event.number;
    }
}

/// Everything in one schedule.
struct World {
    dice: Dice,
    gateway: Gateway,
    published: BTreeMap<String, u64>,
    members: Vec<Member>,
    /// Of processes that lost the store: their members may go on for as long as their leases.
    cut_off: Vec<Member>,
    readers: JoinSet<()>,
    epochs: Epochs,
    effects: Effects,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice { seed, thrown: 0 },
            gateway: Gateway::new(),
            published: BTreeMap::new(),
            members: Vec::new(),
            cut_off: Vec::new(),
            readers: JoinSet::new(),
            epochs: Epochs::default(),
            effects: Effects::default(),
        }
    }

    async fn join(&mut self) -> Member {
        let process = self.gateway.process();
        let mut subscriber = process.subscribe("crm").await;
        let sent: Arc<Mutex<VecDeque<Received>>> = Arc::default();
        let (to, epochs) = (Arc::clone(&sent), Arc::clone(&self.epochs));
        // Reads at once whatever is sent, so that the order of reading is that of sending.
        let reader = self.readers.spawn(async move {
            while let Some(event) = subscriber.more().await {
                sent_in_turn(&epochs, &event);
                to.lock().unwrap().push_back(event);
            }
        });
        Member {
            process,
            sent,
            in_hand: Vec::new(),
            reader,
        }
    }

    async fn step(&mut self) {
        let count = u64::try_from(self.members.len()).unwrap();
        let chosen = usize::try_from(self.dice.below(count)).unwrap();
        match self.dice.below(20) {
            0 if count < 6 => {
                let member = self.join().await;
                self.members.push(member);
            }
            // Leaves.
            1 if count > 1 => drop(self.members.swap_remove(chosen)),
            2 if count > 1 => {
                let member = self.members.swap_remove(chosen);
                member.process.die();
                // Dies altogether, or goes on without the store.
                if self.dice.below(2) == 0 {
                    self.cut_off.push(member);
                }
            }
            3 => tokio::time::sleep(Duration::from_millis(self.dice.below(9000))).await,
            4..9 => self.publish().await,
            9..15 => {
                tokio::time::sleep(Duration::from_millis(self.dice.below(50))).await;
                let member = &mut self.members[chosen];
                let sent = member.sent.lock().unwrap().pop_front();
                if let Some(event) = sent {
                    self.effects.take(&event);
                    member.in_hand.push(event);
                }
            }
            _ => {
                let member = &mut self.members[chosen];
                let most = u64::try_from(member.in_hand.len()).unwrap();
                let done = usize::try_from(self.dice.below(most + 1)).unwrap();
                if done > 0 {
                    let done: Vec<Received> = member.in_hand.drain(..done).collect();
                    member.process.acknowledge("crm", &done).await;
                }
            }
        }
    }

    async fn publish(&mut self) {
        let home = self.dice.below(HOMES);
        let name = format!("home{home}");
        let number = self.published.entry(name.clone()).or_default();
        let many = 1 + self.dice.below(4);
        let events: Vec<(&str, u64)> = (1..=many).map(|more| (name.as_str(), *number + more)).collect();
        *number += many;
        let log = u16::try_from(home).unwrap() % LOGS;
        self.gateway.publish(log, &events).await;
    }

    /// One member reads to the end; gives how often something came again.
    async fn end(mut self) -> usize {
        self.members.iter().for_each(|member| member.process.die());
        self.members.clear();
        let last = self.join().await;
        let effects = Mutex::new(self.effects);
        until(async || {
            let sent = std::mem::take(&mut *last.sent.lock().unwrap());
            sent.iter().for_each(|event| effects.lock().unwrap().take(event));
            if !sent.is_empty() {
                let sent: Vec<Received> = sent.into();
                last.process.acknowledge("crm", &sent).await;
            }
            effects.lock().unwrap().of_home == self.published
        })
        .await;
        drop((last, self.cut_off));
        while let Some(ended) = self.readers.join_next().await {
            if let Err(error) = ended {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        effects.into_inner().unwrap().repeats
    }
}

async fn play(seed: u64) -> usize {
    let mut world = World::new(seed);
    let first = world.join().await;
    world.members.push(first);
    for _ in 0..STEPS {
        world.step().await;
    }
    world.end().await
}

#[tokio::test(start_paused = true)]
async fn at_least_once_and_in_order_whoever_comes_goes_or_dies() {
    let mut repeats = 0;
    for seed in 0..40 {
        repeats += play(seed).await;
    }
    assert!(repeats > 0, "something came twice in all these schedules");
}
