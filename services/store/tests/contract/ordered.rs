//! Law 7: an index is ordered.

use crate::{build::*, subject::Subject};
use bytes::Bytes;
use omnigate_core::port::store::{Answer, Found, Outcome, Query, Write};
use std::{collections::BTreeSet, ops::Bound};

pub(crate) async fn members_come_in_byte_order(subject: impl Subject) {
    let store = &*subject.store();
    // Every single byte, pairs around the edges, prefixes of each other, and the empty member.
    let mut members: BTreeSet<Bytes> = (0..=u8::MAX).map(|byte| b([byte])).collect();
    let edges = [0u8, 1, 0x7f, 0x80, 0xfe, 0xff];
    for first in edges {
        for second in edges {
            members.extend([b([first, second]), b([first, second, first])]);
        }
    }
    members.insert(Bytes::new());
    let mut shuffled: Vec<_> = members.iter().cloned().collect();
    shuffled.sort_by_key(|member| (member.len(), std::cmp::Reverse(member.clone())));
    for chunk in shuffled.chunks(50) {
        let insert = |member: &Bytes| Write::Insert {
            key: b("i"),
            member: member.clone(),
            value: member.clone(),
        };
        written(store, chunk.iter().map(insert).collect()).await;
    }
    let mut sorted: Vec<_> = members.iter().map(|member| (member.clone(), member.clone())).collect();
    assert_eq!(answer(store, all("i")).await, Answer::Range(sorted.clone()));
    sorted.reverse();
    let reversed = range("i", Bound::Unbounded, Bound::Unbounded, u32::MAX, true);
    assert_eq!(answer(store, reversed).await, Answer::Range(sorted));
}

/// Lower end, upper end, limit, reversed, and what is there.
type Case = (
    Bound<&'static str>,
    Bound<&'static str>,
    u32,
    bool,
    &'static [&'static str],
);

pub(crate) async fn bounds_and_limits(subject: impl Subject) {
    use Bound::{Excluded, Included, Unbounded};
    let store = &*subject.store();
    let letters = ["a", "b", "bb", "c", "d"];
    written(
        store,
        letters.iter().map(|letter| insert("i", letter, letter)).collect(),
    )
    .await;
    let cases: [Case; 18] = [
        (Unbounded, Unbounded, 9, false, &["a", "b", "bb", "c", "d"]),
        (Included("b"), Unbounded, 9, false, &["b", "bb", "c", "d"]),
        (Excluded("b"), Unbounded, 9, false, &["bb", "c", "d"]),
        (Unbounded, Included("c"), 9, false, &["a", "b", "bb", "c"]),
        (Unbounded, Excluded("c"), 9, false, &["a", "b", "bb"]),
        (Excluded("a"), Excluded("d"), 9, false, &["b", "bb", "c"]),
        (Included("aa"), Included("bbb"), 9, false, &["b", "bb"]),
        (Included("b"), Included("b"), 9, false, &["b"]),
        (Excluded("b"), Included("b"), 9, false, &[]),
        (Excluded("b"), Excluded("b"), 9, false, &[]),
        (Included("d"), Included("a"), 9, false, &[]),
        (Included("e"), Unbounded, 9, false, &[]),
        (Unbounded, Unbounded, 2, false, &["a", "b"]),
        (Unbounded, Unbounded, 0, false, &[]),
        (Unbounded, Unbounded, 2, true, &["d", "c"]),
        (Included("b"), Excluded("d"), 9, true, &["c", "bb", "b"]),
        (Excluded("b"), Included("c"), 1, true, &["c"]),
        (Included("d"), Included("a"), 9, true, &[]),
    ];
    let queries: Vec<Query> = cases
        .iter()
        .map(|(from, to, limit, reverse, _)| range("i", *from, *to, *limit, *reverse))
        .collect();
    // Alone and together: single queries may take a shorter way.
    let together = store.read(HERE, queries.clone()).await.unwrap();
    for ((query, (.., expected)), joined) in queries.into_iter().zip(cases).zip(together) {
        let expected = Answer::Range(expected.iter().map(|letter| (b(letter), b(letter))).collect());
        assert_eq!(joined, expected, "{query:?}");
        assert_eq!(answer(store, query.clone()).await, expected, "{query:?}");
    }
}

pub(crate) async fn members_gain_and_lose_values(subject: impl Subject) {
    let store = &*subject.store();
    let index =
        |members: &[(&str, &str)]| Answer::Range(members.iter().map(|(name, value)| (b(name), b(value))).collect());
    written(
        store,
        vec![insert("i", "a", ""), insert("i", "b", ""), insert("i", "c", "3")],
    )
    .await;
    assert_eq!(
        answer(store, all("i")).await,
        index(&[("a", ""), ("b", ""), ("c", "3")])
    );
    written(
        store,
        vec![insert("i", "a", "1"), insert("i", "c", ""), insert("i", "d", "")],
    )
    .await;
    assert_eq!(
        answer(store, all("i")).await,
        index(&[("a", "1"), ("b", ""), ("c", ""), ("d", "")])
    );
    let (there, gone) = (["a", "b"], ["x", "y"]);
    let expect = there.map(|member| is_member("i", member, true)).into_iter();
    let expect = expect.chain(gone.map(|member| is_member("i", member, false)));
    committed(
        store,
        commit(expect.collect(), vec![remove("i", "a"), remove("i", "b")]),
    )
    .await;
    let expect = vec![
        is_member("i", "a", true),
        is_member("i", "c", false),
        is_member("i", "d", true),
        is_member("i", "b", false),
    ];
    let outcome = store
        .commit(HERE, commit(expect, vec![remove("i", "c")]))
        .await
        .unwrap();
    let found = vec![(0, Found::Member(None)), (1, Found::Member(Some(b(""))))];
    assert_eq!(outcome, Outcome::Conflict(found));
    // What came and went with a value comes again without one.
    written(store, vec![insert("i", "a", "")]).await;
    assert_eq!(answer(store, all("i")).await, index(&[("a", ""), ("c", ""), ("d", "")]));
}
