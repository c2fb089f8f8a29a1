//! Law 11, and journals.

use crate::rig::{PATIENCE, Rig, publication, take, text};
use omnigate_core::port::broker::{
    BrokerError, From, LogEntry, LogName, LogReader, LogSpec, PublishError, QueueName, QueueSpec, Topology,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

async fn append(rig: &Rig, log: &LogName, texts: impl IntoIterator<Item = impl Into<String>>) {
    let entries = texts.into_iter().map(|text| text.into().into()).collect();
    for confirmed in rig.broker().append(log, entries).await {
        confirmed.unwrap();
    }
}

async fn entry(reader: &mut Box<dyn LogReader>) -> (u64, String) {
    let next = tokio::time::timeout(PATIENCE, reader.next())
        .await
        .expect("no entry in time");
    let LogEntry { offset, body } = next.expect("reading ended");
    (offset, String::from_utf8(body.to_vec()).unwrap())
}

async fn entries(reader: &mut Box<dyn LogReader>, count: usize) -> Vec<(u64, String)> {
    let mut read = Vec::new();
    while read.len() < count {
        read.push(entry(reader).await);
    }
    assert!(
        read.is_sorted_by(|(before, _), (after, _)| before < after),
        "offsets do not grow: {read:?}"
    );
    read
}

fn texts(read: &[(u64, String)]) -> Vec<&str> {
    read.iter().map(|(_, text)| text.as_str()).collect()
}

pub(crate) async fn entries_come_in_order_from_any_offset_to_any_reader(mut rig: Rig) {
    let log = rig.log(HOUR).await;
    let numbers = |from: usize, to: usize| (from..to).map(|number| number.to_string()).collect::<Vec<_>>();
    append(&rig, &log, numbers(0, 400)).await;
    append(&rig, &log, numbers(400, 700)).await;
    let broker = rig.broker();
    let mut whole = broker.read(&log, From::Oldest).await.unwrap();
    let mut later = broker.read(&log, From::Next).await.unwrap();
    let read = entries(&mut whole, 700).await;
    assert_eq!(texts(&read), numbers(0, 700));
    let (middle, _) = read[333];
    let mut partial = broker.read(&log, From::Offset(middle)).await.unwrap();
    append(&rig, &log, ["new"]).await;
    assert_eq!(texts(&entries(&mut partial, 368).await)[..2], ["333", "334"]);
    let (new, _) = entry(&mut whole).await;
    assert_eq!(entry(&mut later).await, (new, "new".to_owned()));
    drop((whole, later, partial, broker));
    rig.reopen().await;
    rig.log(HOUR).await;
    let mut resumed = rig.broker().read(&log, From::Offset(new)).await.unwrap();
    assert_eq!(entry(&mut resumed).await, (new, "new".to_owned()));
    append(&rig, &log, ["newer"]).await;
    let (newer, text) = entry(&mut resumed).await;
    assert_eq!((newer > new, text.as_str()), (true, "newer"));
}

pub(crate) async fn a_waiting_reader_is_woken(rig: Rig) {
    let log = rig.log(HOUR).await;
    let mut reader = rig.broker().read(&log, From::Oldest).await.unwrap();
    let waiting = tokio::spawn(async move { entry(&mut reader).await.1 });
    append(&rig, &log, ["a"]).await;
    assert_eq!(waiting.await.unwrap(), "a");
}

pub(crate) async fn an_unknown_log_is_an_error(rig: Rig) {
    let unknown = LogName(rig.name("unknown"));
    let broker = rig.broker();
    let answers = broker.append(&unknown, vec!["a".into()]).await;
    assert!(
        matches!(&answers[..], [Err(PublishError::Unroutable(name))] if *name == unknown.0),
        "{answers:?}"
    );
    assert!(matches!(
        broker.read(&unknown, From::Oldest).await,
        Err(BrokerError::Unusable(_))
    ));
}

pub(crate) async fn a_journal_gets_a_copy_of_every_message(rig: Rig) {
    let log = LogName(rig.name("journal"));
    let queues = ["one", "two"].map(|word| QueueName(rig.name(word)));
    let spec = |name: &QueueName| QueueSpec {
        name: name.clone(),
        ordered: true,
        journal: Some(log.clone()),
        max_length: 100,
    };
    let topology = Topology {
        queues: queues.iter().map(spec).collect(),
        logs: vec![LogSpec {
            name: log.clone(),
            retention: HOUR,
        }],
    };
    rig.broker().declare(topology).await.unwrap();
    let messages = vec![
        publication(&queues[0], "a"),
        publication(&queues[1], "b"),
        publication(&queues[0], "c"),
    ];
    for confirmed in rig.broker().publish(messages).await {
        confirmed.unwrap();
    }
    let mut subscription = rig.broker().subscribe(&queues[0], 5).await.unwrap();
    let taken = take(&mut subscription, 2).await;
    assert_eq!(taken.iter().map(text).collect::<Vec<_>>(), ["a", "c"]);
    let mut reader = rig.broker().read(&log, From::Oldest).await.unwrap();
    let read = entries(&mut reader, 3).await;
    let mut copies = texts(&read);
    copies.sort_unstable();
    assert_eq!(copies, ["a", "b", "c"]);
}
