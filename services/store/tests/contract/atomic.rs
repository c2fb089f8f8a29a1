//! Laws 1, 3, 5 and 6: whole or not at all, durable, once, consistent.

use crate::{build::*, subject::Subject};
use omnigate_core::port::store::{Answer, Outcome, Query, Shape, Store};
use std::{collections::BTreeSet, sync::Arc};

pub(crate) async fn a_failed_expectation_writes_nothing(subject: impl Subject) {
    let store = &*subject.store();
    written(store, vec![put("r", "old"), set("m", "f", "old"), add("c", 7)]).await;
    let before = record(store, "r").await.unwrap();
    let attempt = commit(
        vec![is_record("r", Some(before.stamp)), is_field("m", "f", Some("other"))],
        vec![
            put("r", "new"),
            put("r2", "new"),
            set("m", "f", "new"),
            insert("i", "x", ""),
            add("c", 1),
            delete(Shape::Map, "m"),
        ],
    );
    let outcome = store.commit(HERE, attempt).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    assert_eq!(record(store, "r").await, Some(before));
    assert_eq!(record(store, "r2").await, None);
    assert_eq!(field(store, "m", "f").await, Some(b("old")));
    assert!(members(store, "i").await.is_empty());
    assert_eq!(counter(store, "c").await, 7);
}

pub(crate) async fn concurrent_committers_lose_nothing(subject: impl Subject) {
    const TASKS: usize = 24;
    const EACH: usize = 15;
    let store = subject.store();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(increment(store.clone(), task, EACH)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let store = &*store;
    let total = TASKS * EACH;
    assert_eq!(record(store, "sum").await.unwrap().value, b(total.to_string()));
    assert_eq!(counter(store, "sum").await, i64::try_from(total).unwrap());
    let names: BTreeSet<_> = members(store, "sum").await.into_iter().collect();
    assert_eq!(names.len(), total);
}

/// Reads, adds one and writes under the version read, as often as it takes.
async fn increment(store: Arc<dyn Store>, task: usize, times: usize) {
    for time in 0..times {
        loop {
            let before = record(&*store, "sum").await;
            let number: usize = before
                .as_ref()
                .map_or(0, |record| std::str::from_utf8(&record.value).unwrap().parse().unwrap());
            let attempt = commit(
                vec![is_record("sum", before.map(|record| record.stamp))],
                vec![
                    put("sum", &(number + 1).to_string()),
                    add("sum", 1),
                    insert("sum", &format!("{task}.{time}"), ""),
                ],
            );
            match store.commit(HERE, attempt).await.unwrap() {
                Outcome::Committed => break,
                Outcome::Conflict(_) => {}
                Outcome::Unknown => panic!("nothing was cut"),
            }
        }
    }
}

pub(crate) async fn what_was_committed_survives_a_restart(mut subject: impl Subject) {
    let before = {
        let store = &*subject.store();
        for number in 0..200 {
            let name = number.to_string();
            let writes = vec![
                put(&name, "value"),
                set("m", &name, "value"),
                insert("i", &name, "value"),
                add("c", 1),
            ];
            committed(store, commit(vec![is_record(&name, None)], writes)).await;
        }
        everything(store).await
    };
    if subject.restart().await {
        assert_eq!(everything(&*subject.store()).await, before);
    }
}

async fn everything(store: &dyn Store) -> Vec<Answer> {
    let names: Vec<_> = (0..200).map(|number: i32| b(number.to_string())).collect();
    let mut queries: Vec<_> = names.iter().cloned().map(Query::Record).collect();
    queries.push(Query::Fields {
        key: b("m"),
        fields: names,
    });
    queries.extend([all("i"), Query::Counter(b("c"))]);
    let answers = store.read(HERE, queries).await.unwrap();
    assert_eq!(answers.last(), Some(&Answer::Counter(200)));
    answers
}

pub(crate) async fn a_commit_sent_again_writes_once(subject: impl Subject) {
    let store = &*subject.store();
    let again = commit(vec![is_record("r", None)], vec![put("r", "1"), add("c", 1)]);
    assert!(again.falsifies_itself());
    committed(store, again.clone()).await;
    for _ in 0..3 {
        let outcome = store.commit(HERE, again.clone()).await.unwrap();
        assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    }
    // The same, when all of them are on the way at once.
    let again = commit(
        vec![is_member("i", "x", false)],
        vec![insert("i", "x", ""), add("c", 1)],
    );
    let outcomes = tokio::join!(
        store.commit(HERE, again.clone()),
        store.commit(HERE, again.clone()),
        store.commit(HERE, again.clone()),
    );
    let outcomes = [outcomes.0.unwrap(), outcomes.1.unwrap(), outcomes.2.unwrap()];
    let happened = outcomes.iter().filter(|outcome| **outcome == Outcome::Committed);
    assert_eq!(happened.count(), 1, "{outcomes:?}");
    assert_eq!(counter(store, "c").await, 2);
}

pub(crate) async fn a_read_is_one_instant(subject: impl Subject) {
    let store = subject.store();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..300 {
                let text = number.to_string();
                let writes = vec![
                    put("a", &text),
                    set("m", "f", &text),
                    insert("i", "x", &text),
                    add("c", 1),
                ];
                written(&*store, writes).await;
            }
        }
    });
    let fields = vec![b("f")];
    let queries = vec![
        Query::Record(b("a")),
        Query::Fields { key: b("m"), fields },
        all("i"),
        Query::Counter(b("c")),
    ];
    while !writer.is_finished() {
        let answers = store.read(HERE, queries.clone()).await.unwrap();
        let [
            Answer::Record(a),
            Answer::Fields(m),
            Answer::Range(i),
            Answer::Counter(c),
        ] = answers.as_slice()
        else {
            panic!("{answers:?}");
        };
        let Some(a) = a.as_ref().map(|record| record.value.clone()) else {
            continue;
        };
        assert_eq!(m.as_slice(), [Some(a.clone())]);
        assert_eq!(i.as_slice(), [(b("x"), a.clone())]);
        assert_eq!(b((c - 1).to_string()), a);
    }
    writer.await.unwrap();
}

pub(crate) async fn a_read_sees_what_was_committed_before(subject: impl Subject) {
    let store = subject.store();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..40 {
                    let (key, value) = (format!("r{task}"), number.to_string());
                    written(&*store, vec![put(&key, &value)]).await;
                    assert_eq!(record(&*store, &key).await.unwrap().value, b(&value));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub(crate) async fn writes_apply_in_order(subject: impl Subject) {
    let store = &*subject.store();
    written(store, vec![set("m", "old", "1"), insert("i", "old", "1"), add("c", 9)]).await;
    let writes = vec![
        put("r", "1"),
        delete(Shape::Record, "r"),
        put("r", "2"),
        put("gone", "1"),
        delete(Shape::Record, "gone"),
        set("m", "f", "1"),
        set("m", "f", "2"),
        set("m", "g", "1"),
        unset("m", "g"),
        insert("i", "x", "1"),
        insert("i", "x", "2"),
        insert("i", "y", "1"),
        remove("i", "y"),
        delete(Shape::Counter, "c"),
        add("c", 2),
        add("c", -5),
    ];
    written(store, writes).await;
    assert_eq!(record(store, "r").await.unwrap().value, b("2"));
    assert_eq!(record(store, "gone").await, None);
    assert_eq!(field(store, "m", "f").await, Some(b("2")));
    assert_eq!(field(store, "m", "g").await, None);
    let members = answer(store, all("i")).await;
    assert_eq!(members, Answer::Range(vec![(b("old"), b("1")), (b("x"), b("2"))]));
    assert_eq!(counter(store, "c").await, -3);

    let writes = vec![
        set("m", "h", "1"),
        delete(Shape::Map, "m"),
        set("m", "k", "1"),
        delete(Shape::Index, "i"),
        insert("i", "z", ""),
    ];
    written(store, writes).await;
    assert_eq!(field(store, "m", "old").await, None);
    assert_eq!(field(store, "m", "h").await, None);
    assert_eq!(field(store, "m", "k").await, Some(b("1")));
    assert_eq!(answer(store, all("i")).await, Answer::Range(vec![(b("z"), b(""))]));
}
