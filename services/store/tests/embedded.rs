//! The embedded store's file: who may open it, how fast, and what is in it after a crash.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        store::{Answer, Commit, Expect, Outcome, Query, Stamp, Store, Write},
    },
    shard::Shard,
    time::Moment,
};
use omnigate_store::{OpenError, embedded::EmbeddedStore};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const HERE: Shard = Shard::new(9);
/// Names the file to write to in a process that a test starts from itself to kill it.
const CHILD: &str = "OMNIGATE_STORE_TEST_CHILD";

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment(1_790_000_000_000)
    }
}

fn open(path: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(path, Arc::new(StillClock))
}

/// Number and its proof, in a record and an index.
fn numbered(number: u64) -> Commit {
    let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
    Commit {
        stamp: Stamp(number.to_be_bytes()),
        expect: vec![Expect::Record {
            key: bytes.clone(),
            stamp: None,
        }],
        write: vec![
            Write::Put {
                key: bytes.clone(),
                value: bytes.clone(),
            },
            Write::Insert {
                key: Bytes::from_static(b"all"),
                member: bytes.clone(),
                value: bytes,
            },
            Write::Add {
                key: Bytes::from_static(b"count"),
                delta: 1,
            },
        ],
    }
}

async fn numbers(store: &dyn Store) -> Vec<u64> {
    use std::ops::Bound::Unbounded;
    let queries = vec![
        Query::Range {
            key: Bytes::from_static(b"all"),
            from: Unbounded,
            to: Unbounded,
            limit: u32::MAX,
            reverse: false,
        },
        Query::Counter(Bytes::from_static(b"count")),
    ];
    let answers = store.read(HERE, queries).await.unwrap();
    let [Answer::Range(members), Answer::Counter(count)] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!(i64::try_from(members.len()).unwrap(), *count);
    let number = |(member, _): &(Bytes, Bytes)| u64::from_be_bytes(member.as_ref().try_into().unwrap());
    members.iter().map(number).collect()
}

#[tokio::test]
async fn a_file_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open(&path).unwrap();
    let error = open(&path).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("store {} is in use by another process", path.display())
    );
    drop(store);
    open(&path).unwrap();
}

#[test]
fn only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("store.redb");
    let _store = open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    fs::write(&path, vec![7; 10_000]).unwrap();
    let error = open(&path).err().unwrap();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
}

#[tokio::test]
async fn after_a_clean_stop_it_opens_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Arc::new(open(&path).unwrap());
    for batch in 0..20 {
        let commits = (0..500).map(|number| {
            let store = Arc::clone(&store);
            async move { store.commit(HERE, numbered(batch * 500 + number)).await }
        });
        for outcome in futures_util::future::join_all(commits).await {
            assert_eq!(outcome.unwrap(), Outcome::Committed);
        }
    }
    drop(store);
    let start = Instant::now();
    let store = open(&path).unwrap();
    let time = start.elapsed();
    assert_eq!(numbers(&store).await.len(), 10_000);
    // A tenth of this is usual; a busy machine takes longer.
    assert!(time < Duration::from_millis(500), "{time:?}");
}

#[tokio::test]
async fn the_last_work_is_done_before_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Arc::new(open(&path).unwrap());
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(HERE, numbered(number)).await })
        })
        .collect();
    drop(store);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), Outcome::Committed);
    }
    assert_eq!(numbers(&open(&path).unwrap()).await.len(), 50);
}

/// Not a test of its own: what [`a_killed_process_leaves_what_it_was_told`] runs and kills.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Arc::new(open(Path::new(&path)).unwrap());
    let first = numbers(&*store).await.last().map_or(0, |last| last + 1);
    let tasks = (0..8).map(|task| {
        let store = Arc::clone(&store);
        async move {
            for round in 0.. {
                let number = first + round * 8 + task;
                assert_eq!(store.commit(HERE, numbered(number)).await.unwrap(), Outcome::Committed);
                println!("\ncommitted {number}");
            }
        }
    });
    futures_util::future::join_all(tasks).await;
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut told = Vec::new();
    for lines in [30, 300, 90] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let numbers = output.lines().map_while(Result::ok);
        let numbers = numbers.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        told.extend(numbers.take(lines));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(told.len(), 420);
    let store = open(&path).unwrap();
    let there = numbers(&store).await;
    for number in told {
        assert!(there.contains(&number), "{number} is lost");
    }
}
