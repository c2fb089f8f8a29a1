//! Unusual bytes, sizes and numbers.

use crate::{build::*, subject::Subject};
use bytes::Bytes;
use omnigate_core::port::store::{Answer, Expect, Found, Outcome, Query, Write};
use std::ops::Bound;

pub(crate) async fn any_bytes(subject: impl Subject) {
    let store = &*subject.store();
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let odd = [
        Bytes::new(),
        b("{s043}"),
        b("}{\r\n$5 0x"),
        b([0]),
        b([0xff; 512]),
        b(every.repeat(2)),
    ];
    for bytes in odd {
        let bytes = || bytes.clone();
        committed(store, commit(entries(bytes, false), everywhere(bytes))).await;
        committed(store, commit(entries(bytes, true), Vec::new())).await;
        let map = Query::Fields {
            key: bytes(),
            fields: vec![bytes()],
        };
        let index = Query::Range {
            key: bytes(),
            from: Bound::Included(bytes()),
            to: Bound::Included(bytes()),
            limit: 2,
            reverse: false,
        };
        let queries = vec![Query::Record(bytes()), map, index];
        let answers = store.read(HERE, queries).await.unwrap();
        let Answer::Record(Some(record)) = &answers[0] else {
            panic!("{answers:?}");
        };
        assert_eq!(record.value, bytes());
        assert_eq!(answers[1], Answer::Fields(vec![Some(bytes())]));
        assert_eq!(answers[2], Answer::Range(vec![(bytes(), bytes())]));
    }
}

/// The same bytes as key, name and value, there or not.
fn entries(bytes: impl Fn() -> Bytes, present: bool) -> Vec<Expect> {
    let field = Expect::Field {
        key: bytes(),
        field: bytes(),
        value: present.then(&bytes),
    };
    let member = Expect::Member {
        key: bytes(),
        member: bytes(),
        present,
    };
    vec![field, member]
}

fn everywhere(bytes: impl Fn() -> Bytes) -> Vec<Write> {
    let put = Write::Put {
        key: bytes(),
        value: bytes(),
    };
    let set = Write::SetField {
        key: bytes(),
        field: bytes(),
        value: bytes(),
    };
    let insert = Write::Insert {
        key: bytes(),
        member: bytes(),
        value: bytes(),
    };
    vec![put, set, insert]
}

pub(crate) async fn many_entries_in_one_commit(subject: impl Subject) {
    const MANY: usize = 9_000;
    let store = &*subject.store();
    let names: Vec<_> = (0..MANY).map(|number| b(format!("{number:05}"))).collect();
    let absent = names.iter().map(|name| Expect::Field {
        key: b("m"),
        field: name.clone(),
        value: None,
    });
    let fields = names.iter().map(|name| Write::SetField {
        key: b("m"),
        field: name.clone(),
        value: name.clone(),
    });
    let members = names.iter().map(|name| Write::Insert {
        key: b("i"),
        member: name.clone(),
        value: name.clone(),
    });
    let attempt = commit(absent.collect(), fields.chain(members).collect());
    committed(store, attempt.clone()).await;
    let Outcome::Conflict(found) = store.commit(HERE, attempt).await.unwrap() else {
        panic!("the fields are there");
    };
    assert_eq!(found.len(), MANY);
    assert_eq!(found[MANY - 1], (MANY - 1, Found::Field(Some(names[MANY - 1].clone()))));
    let fields = Query::Fields {
        key: b("m"),
        fields: names.clone(),
    };
    let answers = store.read(HERE, vec![fields, all("i")]).await.unwrap();
    assert_eq!(answers[0], Answer::Fields(names.iter().cloned().map(Some).collect()));
    let entries = names.iter().map(|name| (name.clone(), name.clone()));
    assert_eq!(answers[1], Answer::Range(entries.collect()));

    let remove_fields = names.iter().map(|name| Write::RemoveField {
        key: b("m"),
        field: name.clone(),
    });
    let remove_members = names.iter().map(|name| Write::Remove {
        key: b("i"),
        member: name.clone(),
    });
    written(store, remove_fields.chain(remove_members).collect()).await;
    assert_eq!(answer(store, all("i")).await, Answer::Range(Vec::new()));
    assert_eq!(field(store, "m", "00000").await, None);
}

pub(crate) async fn large_values(subject: impl Subject) {
    let store = &*subject.store();
    let value = b(vec![0xa5; 4 << 20]);
    let key = b("r");
    written(
        store,
        vec![Write::Put {
            key,
            value: value.clone(),
        }],
    )
    .await;
    assert_eq!(record(store, "r").await.unwrap().value, value);
}

pub(crate) async fn counters_stop_at_their_ends(subject: impl Subject) {
    let store = &*subject.store();
    written(store, vec![add("c", i64::MAX)]).await;
    written(store, vec![add("c", 1), put("r", "after")]).await;
    assert_eq!(counter(store, "c").await, i64::MAX);
    assert!(record(store, "r").await.is_some());
    written(store, vec![add("c", i64::MIN), add("c", i64::MIN)]).await;
    assert_eq!(counter(store, "c").await, i64::MIN);
    written(store, vec![add("c", i64::MAX), add("c", 1)]).await;
    assert_eq!(counter(store, "c").await, 0);
}

pub(crate) async fn nothing_asked_nothing_answered(subject: impl Subject) {
    let store = &*subject.store();
    assert!(store.read(HERE, Vec::new()).await.unwrap().is_empty());
    let (key, fields) = (b("m"), Vec::new());
    let none = Query::Fields { key, fields };
    assert_eq!(answer(store, none).await, Answer::Fields(Vec::new()));
    store.probe().await.unwrap();
}
