//! Random histories: every implementation answers as the reference does.

use crate::{
    build::{ELSEWHERE, HERE, b, stamp},
    subject::{StillClock, Subject},
};
use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Commit, Expect, Query, Shape, Write},
    shard::Shard,
};
use omnigate_store::memory::MemoryStore;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use std::{ops::Bound, time::Duration};
use tokio::runtime::Handle;

const CASES: u32 = 200;

/// One step of a history; keys are few, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Commit {
        elsewhere: bool,
        expect: Vec<Wish>,
        write: Vec<Write>,
    },
    Read {
        elsewhere: bool,
        queries: Vec<Query>,
    },
    Pass(u64),
}

/// An expectation; whether it holds depends on what is there by then.
#[derive(Clone, Debug)]
enum Wish {
    /// The record is as it is, or is absent.
    Record {
        key: Bytes,
        as_it_is: bool,
    },
    /// The field is as it is, or has this value.
    Field {
        key: Bytes,
        field: Bytes,
        value: Option<Option<Bytes>>,
    },
    Member {
        key: Bytes,
        member: Bytes,
        present: bool,
    },
}

fn word() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(b("a")),
        Just(b("b")),
        Just(b("ab")),
        Just(b([0])),
        Just(b([0xff])),
        Just(b(""))
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Record),
        Just(Shape::Map),
        Just(Shape::Index),
        Just(Shape::Counter)
    ]
}

fn bound() -> impl Strategy<Value = Bound<Bytes>> {
    prop_oneof![
        Just(Bound::Unbounded),
        word().prop_map(Bound::Included),
        word().prop_map(Bound::Excluded)
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let value = proptest::option::of(proptest::option::of(word()));
    prop_oneof![
        (word(), prop::bool::weighted(0.8)).prop_map(|(key, as_it_is)| Wish::Record { key, as_it_is }),
        (word(), word(), value).prop_map(|(key, field, value)| Wish::Field { key, field, value }),
        (word(), word(), any::<bool>()).prop_map(|(key, member, present)| Wish::Member { key, member, present }),
    ]
}

fn write(longest: u64) -> impl Strategy<Value = Write> {
    let delta = prop_oneof![4 => -3..4_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    prop_oneof![
        3 => (word(), word()).prop_map(|(key, value)| Write::Put { key, value }),
        4 => (word(), word(), word()).prop_map(|(key, field, value)| Write::SetField { key, field, value }),
        2 => (word(), word()).prop_map(|(key, field)| Write::RemoveField { key, field }),
        4 => (word(), word(), word()).prop_map(|(key, member, value)| Write::Insert { key, member, value }),
        2 => (word(), word()).prop_map(|(key, member)| Write::Remove { key, member }),
        2 => (word(), delta).prop_map(|(key, delta)| Write::Add { key, delta }),
        1 => (shape(), word()).prop_map(|(shape, key)| Write::Delete { shape, key }),
        1 => (shape(), word(), longest / 2..longest).prop_map(|(shape, key, after)| Write::Expire {
            shape,
            key,
            after: Duration::from_millis(after),
        }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let limit = prop_oneof![Just(0), Just(1), Just(3), Just(u32::MAX)];
    let fields = prop::collection::vec(word(), 0..4);
    prop_oneof![
        word().prop_map(Query::Record),
        word().prop_map(Query::Counter),
        (word(), fields).prop_map(|(key, fields)| Query::Fields { key, fields }),
        (word(), bound(), bound(), limit, any::<bool>()).prop_map(|(key, from, to, limit, reverse)| Query::Range {
            key,
            from,
            to,
            limit,
            reverse,
        }),
    ]
}

fn step(longest: u64) -> impl Strategy<Value = Step> {
    let expect = prop::collection::vec(wish(), 0..3);
    let write = prop::collection::vec(write(longest), 0..6);
    prop_oneof![
        4 => (any::<bool>(), expect, write)
            .prop_map(|(elsewhere, expect, write)| Step::Commit { elsewhere, expect, write }),
        3 => (any::<bool>(), prop::collection::vec(query(), 0..5))
            .prop_map(|(elsewhere, queries)| Step::Read { elsewhere, queries }),
        1 => (0..longest).prop_map(Step::Pass),
    ]
}

/// Keys of one case only.
fn own(case: u64, key: &Bytes) -> Bytes {
    [&case.to_be_bytes(), key.as_ref()].concat().into()
}

fn own_write(case: u64, write: &Write) -> Write {
    let mut write = write.clone();
    match &mut write {
        Write::Put { key, .. }
        | Write::SetField { key, .. }
        | Write::RemoveField { key, .. }
        | Write::Insert { key, .. }
        | Write::Remove { key, .. }
        | Write::Add { key, .. }
        | Write::Delete { key, .. }
        | Write::Expire { key, .. } => *key = own(case, key),
    }
    write
}

fn own_query(case: u64, query: &Query) -> Query {
    let mut query = query.clone();
    match &mut query {
        Query::Record(key) | Query::Counter(key) | Query::Fields { key, .. } | Query::Range { key, .. } => {
            *key = own(case, key);
        }
    }
    query
}

fn expectation(case: u64, wish: &Wish, model: &MemoryStore, shard: Shard) -> Expect {
    match wish {
        Wish::Record { key, as_it_is } => {
            let key = own(case, key);
            let stamp = match model.read_now(shard, &[Query::Record(key.clone())]).as_slice() {
                [Answer::Record(Some(record))] if *as_it_is => Some(record.stamp),
                _ => None,
            };
            Expect::Record { key, stamp }
        }
        Wish::Field { key, field, value } => {
            let (key, field) = (own(case, key), field.clone());
            let fields = vec![field.clone()];
            let key_too = key.clone();
            let there = model.read_now(shard, &[Query::Fields { key: key_too, fields }]);
            let value = match (value, there.as_slice()) {
                (Some(value), _) => value.clone(),
                (None, [Answer::Fields(values)]) => values[0].clone(),
                (None, other) => panic!("asked for fields, got {other:?}"),
            };
            Expect::Field { key, field, value }
        }
        Wish::Member { key, member, present } => Expect::Member {
            key: own(case, key),
            member: member.clone(),
            present: *present,
        },
    }
}

async fn play<S: Subject>(subject: &S, case: u64, steps: &[Step]) -> Result<(), TestCaseError> {
    let clock = StillClock::new();
    let model = MemoryStore::new(clock.clone());
    let store = subject.store();
    for step in steps {
        match step {
            Step::Commit {
                elsewhere,
                expect,
                write,
            } => {
                let shard = if *elsewhere { ELSEWHERE } else { HERE };
                let commit = Commit {
                    stamp: stamp(),
                    expect: expect
                        .iter()
                        .map(|wish| expectation(case, wish, &model, shard))
                        .collect(),
                    write: write.iter().map(|write| own_write(case, write)).collect(),
                };
                let expected = model.commit_now(shard, &commit);
                let outcome = store.commit(shard, commit.clone()).await;
                prop_assert_eq!(outcome.unwrap(), expected, "{:?}", commit);
            }
            Step::Read { elsewhere, queries } => {
                let shard = if *elsewhere { ELSEWHERE } else { HERE };
                let queries: Vec<_> = queries.iter().map(|query| own_query(case, query)).collect();
                let expected = model.read_now(shard, &queries);
                let answers = store.read(shard, queries.clone()).await;
                prop_assert_eq!(answers.unwrap(), expected, "{:?}", queries);
            }
            Step::Pass(millis) if S::TIME_STANDS_STILL => {
                let time = Duration::from_millis(*millis);
                clock.pass(time);
                subject.pass(time).await;
            }
            Step::Pass(_) => {}
        }
    }
    Ok(())
}

pub(crate) async fn random_histories<S: Subject>(subject: S) {
    let handle = Handle::current();
    tokio::task::block_in_place(|| {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        // Where time cannot be held nothing may expire while the history is played.
        let longest = if S::TIME_STANDS_STILL { 1000 } else { 3_600_000 };
        let histories = prop::collection::vec(step(longest), 1..40);
        let case = std::sync::atomic::AtomicU64::new(0);
        runner
            .run(&histories, |steps| {
                let case = case.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                handle.block_on(play(&subject, case, &steps))
            })
            .unwrap();
    });
}
