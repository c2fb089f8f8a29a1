//! The embedded broker: what only a file and a process can do to us.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails that way"
)]

#[path = "contract/rig.rs"]
#[expect(dead_code, reason = "the contract suite uses more of it")]
mod rig;

use omnigate_broker::embedded::{EmbeddedBroker, EmbeddedError};
use omnigate_core::{
    port::{
        Clock,
        broker::{Broker, From, LogName, LogSpec, QueueName, QueueSpec, Settled, Topology},
    },
    time::Moment,
};
use rig::{PATIENCE, WallClock, ack, next, publication, text};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout;

const FOLDER: &str = "OMNIGATE_TEST_BROKER_FOLDER";

fn queue() -> QueueName {
    QueueName("test.queue".to_owned())
}

async fn open(folder: &Path) -> EmbeddedBroker {
    let broker = EmbeddedBroker::open(folder, Arc::new(WallClock)).unwrap();
    let spec = QueueSpec {
        name: queue(),
        ordered: true,
        journal: None,
        max_length: 1_000_000,
    };
    broker
        .declare(Topology {
            queues: vec![spec],
            logs: vec![],
        })
        .await
        .unwrap();
    broker
}

/// Not a test: the process that `a_killed_process_…` starts and kills. Publishes, and acknowledges every other message,
/// and prints what was confirmed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_to_be_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let broker = open(Path::new(&folder)).await;
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    for number in 0.. {
        let texts = [0, 1].map(|part| format!("{number}-{part}"));
        for confirmed in broker
            .publish(texts.iter().map(|text| publication(&queue(), text)).collect())
            .await
        {
            confirmed.unwrap();
        }
        println!("+ {}\n+ {}", texts[0], texts[1]);
        let delivery = next(&mut subscription).await;
        let text = text(&delivery);
        assert_eq!(delivery.settle.ack().await, Settled::Done);
        println!("- {text}");
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_keeps_what_was_confirmed_and_not_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_to_be_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let (mut confirmed, mut acknowledged) = (Vec::new(), BTreeSet::new());
    for line in lines {
        match line.split_once(' ') {
            Some(("+", text)) => confirmed.push(text.to_owned()),
            Some(("-", text)) => drop(acknowledged.insert(text.to_owned())),
            _ => {}
        }
        if acknowledged.len() == 100 {
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    assert!(acknowledged.len() >= 100, "{}", acknowledged.len());
    let broker = open(folder.path()).await;
    let mut subscription = broker.subscribe(&queue(), 10).await.unwrap();
    confirmed.retain(|text| !acknowledged.contains(text));
    // One acknowledgement may have happened and not been printed.
    let first = next(&mut subscription).await;
    let skipped = usize::from(text(&first) != confirmed[0]);
    assert_eq!(text(&first), confirmed[skipped]);
    ack(first).await;
    for expected in &confirmed[skipped + 1..] {
        let delivery = next(&mut subscription).await;
        assert_eq!(text(&delivery), *expected);
        ack(delivery).await;
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_folder_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let _broker = open(folder.path()).await;
    let error = EmbeddedBroker::open(folder.path(), Arc::new(WallClock)).err().unwrap();
    assert!(matches!(error, EmbeddedError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn closing_ends_subscriptions_and_readers_and_frees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path()).await;
    let log = LogName("log".to_owned());
    let spec = LogSpec {
        name: log.clone(),
        retention: Duration::from_hours(1),
    };
    broker
        .declare(Topology {
            queues: vec![],
            logs: vec![spec],
        })
        .await
        .unwrap();
    broker
        .publish(vec![publication(&queue(), "a")])
        .await
        .remove(0)
        .unwrap();
    let mut subscription = broker.subscribe(&queue(), 2).await.unwrap();
    let mut reader = broker.read(&log, From::Oldest).await.unwrap();
    let held = next(&mut subscription).await;
    drop(broker);
    assert!(timeout(PATIENCE, subscription.next()).await.unwrap().is_none());
    assert!(timeout(PATIENCE, reader.next()).await.unwrap().is_none());
    assert_eq!(held.settle.ack().await, Settled::Stale);
    let broker = open(folder.path()).await;
    let mut subscription = broker.subscribe(&queue(), 2).await.unwrap();
    assert_eq!(next(&mut subscription).await.attempt, 2);
}

/// A clock that a test sets.
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn entries_are_kept_as_long_as_said_and_not_much_longer() {
    let clock = Arc::new(TestClock(AtomicI64::new(1_000_000)));
    let broker = EmbeddedBroker::in_memory(Arc::<TestClock>::clone(&clock)).unwrap();
    let log = LogName("log".to_owned());
    let spec = LogSpec {
        name: log.clone(),
        retention: Duration::from_millis(800),
    };
    broker
        .declare(Topology {
            queues: vec![],
            logs: vec![spec],
        })
        .await
        .unwrap();
    let append = async |text: &'static str| broker.append(&log, vec![text.into()]).await.remove(0).unwrap();
    append("old").await;
    clock.0.fetch_add(500, Ordering::SeqCst);
    append("newer").await;
    let mut first = broker.read(&log, From::Oldest).await.unwrap().next().await.unwrap();
    assert_eq!(&first.body[..], b"old");
    clock.0.fetch_add(400, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while &first.body[..] == b"old" {
        assert!(Instant::now() < deadline, "kept for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
        first = broker.read(&log, From::Offset(0)).await.unwrap().next().await.unwrap();
    }
    assert_eq!((&first.body[..], first.offset), (&b"newer"[..], 1));
    clock.0.fetch_add(1_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    append("newest").await;
    let mut reader = broker.read(&log, From::Oldest).await.unwrap();
    let newest = timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
    assert_eq!(
        (&newest.body[..], newest.offset),
        (&b"newest"[..], 2),
        "offsets are never used again"
    );
}

#[tokio::test]
async fn a_retry_follows_the_clock_that_was_given() {
    let clock = Arc::new(TestClock(AtomicI64::new(1_000_000)));
    let broker = EmbeddedBroker::in_memory(Arc::<TestClock>::clone(&clock)).unwrap();
    let spec = QueueSpec {
        name: queue(),
        ordered: false,
        journal: None,
        max_length: 10,
    };
    broker
        .declare(Topology {
            queues: vec![spec],
            logs: vec![],
        })
        .await
        .unwrap();
    broker
        .publish(vec![publication(&queue(), "a")])
        .await
        .remove(0)
        .unwrap();
    let mut subscription = broker.subscribe(&queue(), 2).await.unwrap();
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.settle.retry(Duration::from_millis(50)).await, Settled::Done);
    rig::nothing_for(&mut subscription, Duration::from_millis(300)).await;
    clock.0.fetch_add(50, Ordering::SeqCst);
    assert_eq!(text(&next(&mut subscription).await), "a");
}

#[tokio::test]
async fn a_large_backlog_opens_at_once_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path()).await;
    let body = "x".repeat(1000);
    for _ in 0..100 {
        let messages = (0..500).map(|_| publication(&queue(), body.as_str())).collect();
        for confirmed in broker.publish(messages).await {
            confirmed.unwrap();
        }
    }
    drop(broker);
    let begun = Instant::now();
    let broker = open(folder.path()).await;
    let mut subscription = broker.subscribe(&queue(), 2).await.unwrap();
    assert_eq!(text(&next(&mut subscription).await), body);
    let taken = begun.elapsed();
    println!("50,000 messages opened in {taken:?}");
    assert!(taken < Duration::from_secs(2), "{taken:?}");
}
