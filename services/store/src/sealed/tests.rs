use super::*;
use crate::memory::MemoryStore;
use omnigate_core::keyring::KEY_BYTES;
use omnigate_core::keys;
use omnigate_core::port::Clock;
use omnigate_core::port::store::Stamp;
use omnigate_core::time::Moment;
use std::sync::atomic::{AtomicU64, Ordering};

const SECRET: &[u8] = b"refresh-token-of-the-account";

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment(1_800_000_000_000)
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_le_bytes()
    }
}

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(Arc::new(Still)))
}

fn sealed(inner: &Arc<MemoryStore>, present: u8, former: &[u8]) -> SealedStore {
    let former: Vec<[u8; KEY_BYTES]> = former.iter().map(|byte| [*byte; KEY_BYTES]).collect();
    let keys = Keyring::new(&[present; KEY_BYTES], &former).unwrap();
    SealedStore::new(inner.clone(), keys, Arc::new(Counting::default()), keys::is_secret)
}

async fn put(store: &dyn Store, key: Key, value: &'static [u8], before: Option<Stamp>) -> Outcome {
    let commit = Commit {
        stamp: Stamp([before.map_or(1, |stamp| stamp.0[0] + 1); 8]),
        expect: vec![Expect::Record {
            key: key.clone(),
            stamp: before,
        }],
        write: vec![Write::Put {
            key,
            value: Bytes::from_static(value),
        }],
    };
    store.commit(Shard::new(3), commit).await.unwrap()
}

async fn get(store: &dyn Store, key: Key) -> Result<Option<Versioned>, StoreError> {
    let answers = store.read(Shard::new(3), vec![Query::Record(key)]).await?;
    match answers.into_iter().next() {
        Some(Answer::Record(record)) => Ok(record),
        other => panic!("{other:?}"),
    }
}

fn holds(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn what_is_secret_is_not_to_be_read_below_and_everything_else_is_as_before() {
    let inner = memory();
    let store = sealed(&inner, 1, &[]);
    let (secret, plain) = (keys::credential("oa"), keys::templates("oa"));
    for key in [&secret, &plain] {
        assert_eq!(put(&store, key.clone(), SECRET, None).await, Outcome::Committed);
        assert_eq!(get(&store, key.clone()).await.unwrap().unwrap().value, SECRET);
    }
    let below = get(inner.as_ref(), secret.clone()).await.unwrap().unwrap();
    assert!(!holds(&below.value, &SECRET[..5]));
    assert_eq!(get(inner.as_ref(), plain).await.unwrap().unwrap().value, SECRET);
    let Outcome::Conflict(found) = put(&store, secret.clone(), b"other", None).await else {
        panic!("the record is there");
    };
    let Found::Record(Some(found)) = &found[0].1 else {
        panic!("{found:?}");
    };
    assert_eq!((found.value.as_ref(), found.stamp), (SECRET, below.stamp));
    // The same value is never sealed to the same bytes.
    put(&store, secret.clone(), SECRET, Some(below.stamp)).await;
    assert_ne!(get(inner.as_ref(), secret).await.unwrap().unwrap().value, below.value);
}

#[tokio::test]
async fn a_new_key_takes_over_what_the_former_one_sealed_and_what_was_plain() {
    let inner = memory();
    let (one, two) = (keys::credential("one"), keys::credential("two"));
    put(inner.as_ref(), one.clone(), b"\x0a\x05plain", None).await;
    put(&sealed(&inner, 1, &[]), two.clone(), SECRET, None).await;
    let store = sealed(&inner, 2, &[1]);
    let plain = get(&store, one.clone()).await.unwrap().unwrap();
    assert_eq!(plain.value.as_ref(), b"\x0a\x05plain");
    let former = get(&store, two.clone()).await.unwrap().unwrap();
    assert_eq!(former.value, SECRET);
    put(&store, one.clone(), SECRET, Some(plain.stamp)).await;
    put(&store, two.clone(), SECRET, Some(former.stamp)).await;
    let without_former = sealed(&inner, 2, &[]);
    for key in [one, two] {
        assert_eq!(get(&without_former, key).await.unwrap().unwrap().value, SECRET);
    }
}

#[tokio::test]
async fn what_was_changed_moved_or_sealed_with_another_key_is_told_and_not_believed() {
    let inner = memory();
    let store = sealed(&inner, 1, &[]);
    let (one, two) = (keys::credential("one"), keys::credential("two"));
    put(&store, one.clone(), SECRET, None).await;
    let value = get(inner.as_ref(), one.clone()).await.unwrap().unwrap().value;
    let below = async |key: Key, value: Vec<u8>| {
        let commit = Commit {
            stamp: Stamp([9; 8]),
            expect: Vec::new(),
            write: vec![Write::Put {
                key,
                value: value.into(),
            }],
        };
        inner.commit(Shard::new(3), commit).await.unwrap()
    };
    below(two.clone(), value.to_vec()).await;
    assert!(matches!(get(&store, two).await, Err(StoreError::Corrupt(_))), "moved");
    for position in 0..value.len() {
        let mut changed = value.to_vec();
        changed[position] ^= 1;
        below(one.clone(), changed).await;
        let read = get(&store, one.clone()).await;
        // Without its mark it is no sealed value at all, and none that the protocol can read.
        assert!(
            position == 0 || matches!(read, Err(StoreError::Corrupt(_))),
            "{position}"
        );
    }
    for length in 1..value.len() {
        below(one.clone(), value[..length].to_vec()).await;
        assert!(
            matches!(get(&store, one.clone()).await, Err(StoreError::Corrupt(_))),
            "{length}"
        );
    }
    below(one.clone(), value.to_vec()).await;
    let Err(StoreError::Corrupt(problem)) = get(&sealed(&inner, 2, &[]), one).await else {
        panic!("another key");
    };
    assert!(problem.contains("store.former_seal_key"), "{problem}");
}

#[test]
fn keys_are_not_printed() {
    let keys = Keyring::new(&[7; KEY_BYTES], &[[8; KEY_BYTES]]).unwrap();
    assert_eq!(format!("{keys:?}"), "Keyring(***)");
}
