use super::{change::Change, view::View, *};
use bytes::Bytes;
use omnigate_core::{
    port::store::{Expect, Shape, Write},
    time::Moment,
};
use redb::{ReadableTable, ReadableTableMetadata};
use std::time::Duration;

const HERE: Shard = Shard::new(3);

fn database() -> Database {
    let database = builder().create_with_backend(InMemoryBackend::new()).unwrap();
    prepare(&database).unwrap();
    database
}

/// Writes at a moment and sweeps; returns how many things were swept.
fn write(database: &Database, now: i64, write: Vec<Write>, limit: usize) -> usize {
    let transaction = database.begin_write().unwrap();
    let mut change = Change::begin(&transaction, Moment(now)).unwrap();
    let stamp = Stamp([1; 8]);
    let expect = Vec::<Expect>::new();
    change.apply(HERE, &Commit { stamp, expect, write }).unwrap();
    let swept = change.sweep(limit).unwrap();
    drop(change);
    transaction.commit().unwrap();
    swept
}

fn rows(database: &Database) -> [u64; 3] {
    let transaction = database.begin_read().unwrap();
    [DATA, DUES, QUEUE].map(|table| transaction.open_table(table).unwrap().len().unwrap())
}

fn expiring(name: &str, after: u64) -> Vec<Write> {
    let key = Bytes::copy_from_slice(name.as_bytes());
    let field = |number: u8| Write::SetField {
        key: key.clone(),
        field: Bytes::copy_from_slice(&[number]),
        value: Bytes::new(),
    };
    let mut writes: Vec<_> = (0..5).map(field).collect();
    writes.push(Write::Expire {
        shape: Shape::Map,
        key: key.clone(),
        after: Duration::from_millis(after),
    });
    writes
}

#[test]
fn what_is_over_is_swept_and_leaves_nothing() {
    let database = database();
    write(&database, 0, expiring("a", 100), 9);
    write(&database, 0, expiring("b", 200), 9);
    assert_eq!(rows(&database), [10, 2, 2]);
    assert_eq!(write(&database, 100, Vec::new(), 9), 0);
    assert_eq!(write(&database, 101, Vec::new(), 9), 1);
    assert_eq!(rows(&database), [5, 1, 1]);
    assert_eq!(write(&database, 201, Vec::new(), 9), 1);
    assert_eq!(rows(&database), [0, 0, 0]);
}

#[test]
fn a_sweep_is_bounded_and_goes_on() {
    let database = database();
    for number in 0..10 {
        write(&database, 0, expiring(&format!("map {number}"), 1), 0);
    }
    assert_eq!(write(&database, 9, Vec::new(), 7), 7);
    assert_eq!(write(&database, 9, Vec::new(), 7), 3);
    assert_eq!(rows(&database), [0, 0, 0]);
}

#[test]
fn a_new_expiry_leaves_no_trace_of_the_old() {
    let database = database();
    write(&database, 0, expiring("a", 100), 9);
    write(&database, 0, expiring("a", 300), 9);
    assert_eq!(rows(&database), [5, 1, 1]);
    assert_eq!(write(&database, 150, Vec::new(), 9), 0);
    let key = Bytes::from_static(b"a");
    let shape = Shape::Map;
    write(&database, 150, vec![Write::Delete { shape, key }], 9);
    assert_eq!(rows(&database), [0, 0, 0]);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_hides_no_other() {
    let database = database();
    let key = |name: &'static str| Bytes::from_static(name.as_bytes());
    let put = |name| Write::Put {
        key: key(name),
        value: Bytes::new(),
    };
    write(&database, 0, vec![put("good"), put("bad")], 0);
    let transaction = database.begin_write().unwrap();
    let place = place::Place::of(HERE, Shape::Record, b"bad");
    let mut data = transaction.open_table(DATA).unwrap();
    data.insert(place.as_bytes(), b"short".as_slice()).unwrap();
    drop(data);
    transaction.commit().unwrap();

    let transaction = database.begin_read().unwrap();
    let (data, dues) = (
        transaction.open_table(DATA).unwrap(),
        transaction.open_table(DUES).unwrap(),
    );
    let view = View {
        data: &data,
        dues: &dues,
        now: Moment(0),
    };
    assert!(view.answer(HERE, &Query::Record(key("good"))).is_ok());
    let error = StoreError::from(view.answer(HERE, &Query::Record(key("bad"))).unwrap_err());
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(data.first().unwrap().is_some());
}

#[test]
fn a_place_ends_where_the_next_begins() {
    use place::Place;
    let keys: [&[u8]; 6] = [b"", b"a", b"a\xff", b"b", &[0xff; 3], &[0xff; 512]];
    for shard in [0, 7, 255] {
        for key in keys {
            let place = Place::of(Shard::new(shard), Shape::Index, key);
            let (from, to) = place.rows();
            let inside = |row: &[u8]| std::ops::RangeBounds::<[u8]>::contains(&view::borrowed(&from, &to), row);
            for name in keys {
                assert!(inside(&place.row(name)));
                assert_eq!(place.name(&place.row(name)), name);
            }
            for other in keys.into_iter().filter(|other| *other != key) {
                assert!(!inside(&Place::of(Shard::new(shard), Shape::Index, other).row(b"x")));
            }
            assert!(!inside(&Place::of(Shard::new(shard), Shape::Map, key).row(b"x")));
        }
    }
}
