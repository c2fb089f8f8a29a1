//! What happens when something cannot be done.

use super::store::Poison;
use super::*;
use omnigate_core::hourly;
use omnigate_core::port::store::{Commit, Stamp, Write};
use omnigate_proto::state::v1::{AttemptRecord, SealedPart};
use omnigate_proto::v1::{AccountNotice, Receipt};

fn id_of(event: &Event) -> EventId {
    event.event_id.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_read_and_nothing_acknowledged() {
    let world = World::new();
    let process = world.start("a");
    world.push(&talk(PEERS, 3));
    world.settled().await;
    world.store.away.store(true, Ordering::SeqCst);
    let more: Vec<Event> = PEERS.iter().map(|peer| message(peer, "4")).collect();
    world.push(&more);
    let waiting = world.broker.waiting();
    until("it stops reading", || async { world.broker.subscriptions() == 0 }).await;
    assert!(process.role.check().is_err());
    let probes = world.store.probes.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = world.store.probes.load(Ordering::SeqCst) - probes;
    assert!(
        (10..200).contains(&asked),
        "it asks with growing waits, {asked} times in a minute"
    );
    assert_eq!((world.broker.waiting(), world.broker.subscriptions()), (waiting, 0));
    world.store.away.store(false, Ordering::SeqCst);
    world.settled().await;
    for peer in PEERS {
        assert_eq!(world.words(peer).await, counted(4));
    }
    assert!(
        world.parked().await.is_empty(),
        "a store that is away is nobody's own reason"
    );
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_panics_is_parked_alone_and_its_thread_goes_on() {
    let world = World::new();
    let poison = message("1", "2");
    *world.store.poison.lock().unwrap() = Some(Poison::Panics(id_of(&poison).to_bytes()));
    world.push(&talk(PEERS, 3));
    let process = world.start("a");
    world.settled().await;
    assert_eq!(world.words("1").await, ["1", "3"]);
    assert_eq!(world.words("2").await, counted(3));
    let entries = world.thread("1").await;
    assert_eq!(
        entries.iter().map(|entry| entry.follows_gap).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(!world.home_record("1").await.threads[0].gap);
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].reason.as_str(), parked[0].attempts),
        ("attempts_exhausted", 5)
    );
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_record_stops_its_own_thread_alone() {
    let world = World::new();
    let process = world.start("a");
    world.push(&talk(PEERS, 1));
    world.settled().await;
    process.stop().await;
    let (home, _) = world.home("1").await.unwrap();
    let garbage = Commit {
        stamp: Stamp([9; 8]),
        expect: Vec::new(),
        write: vec![Write::Put {
            key: keys::home(home),
            value: Bytes::from_static(b"\xff\xff"),
        }],
    };
    world.store.memory().commit(home.shard(), garbage).await.unwrap();
    let process = world.start("b");
    world.push(&talk(&["1", "2"], 2));
    world.settled().await;
    assert_eq!(world.words("2").await, counted(2));
    let parked = world.parked().await;
    assert_eq!(
        parked.len(),
        2,
        "both events of the thread wait for somebody's decision"
    );
    assert!(
        parked
            .iter()
            .all(|item| item.reason == "attempts_exhausted" && item.detail.contains("home"))
    );
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_parked_and_holds_nothing_up() {
    let world = World::new();
    world.put(0, Bytes::from_static(b"\xff\xffno batch"));
    let mut notice = event("1", "n", Kind::AccountNotice(AccountNotice::default()));
    notice.peer = None;
    let part = SealedPart {
        tenant_id: "t".to_owned(),
        ..SealedPart::default()
    };
    let events = vec![
        world.stamped(Bytes::from_static(b"\xff\xff")),
        world.stamped(Event::default().encode_to_vec().into()),
        world.stamped(notice.encode_to_vec().into()),
        EventBatch::decode(hourly::closed_event("omnigate.inbound.00", part))
            .unwrap()
            .events
            .remove(0),
        world.stamped(message("1", "1").encode_to_vec().into()),
    ];
    world.put(0, EventBatch { events }.encode_to_vec().into());
    let process = world.start("a");
    world.settled().await;
    assert_eq!(world.words("1").await, counted(1));
    assert_eq!(
        world.broker.parked(),
        [(Bytes::from_static(b"\xff\xffno batch"), "undecodable".to_owned())]
    );
    let mut reasons: Vec<String> = world.parked().await.into_iter().map(|item| item.reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["key_gone", "no_peer", "undecodable", "undecodable"]);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_takes_the_process_down_is_parked_in_the_end() {
    let world = World::new();
    let poison = message("1", "2");
    *world.store.poison.lock().unwrap() = Some(Poison::Hangs(id_of(&poison).to_bytes()));
    world.push(&talk(&["1"], 3));
    let key = keys::attempt(id_of(&poison));
    let shard = Shard::new(id_of(&poison).0[0]);
    let attempts = || async {
        let record: Option<AttemptRecord> = world.record(shard, key.clone()).await;
        record.map_or(0, |record| record.attempts)
    };
    let mut deaths = 0;
    while world.broker.waiting() > 0 {
        let process = world.start(&format!("process {deaths}"));
        let before = attempts().await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while world.broker.waiting() > 0 && attempts().await == before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(process);
        deaths += 1;
        assert!(deaths < 20, "never parked");
    }
    assert_eq!(world.words("1").await, ["1", "3"]);
    let parked = world.parked().await;
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "attempts_exhausted"));
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_published_stay_in_the_outbox() {
    let world = World::new();
    world.broker.refuses_appends.store(true, Ordering::SeqCst);
    world.push(&talk(PEERS, 2));
    let process = world.start("a");
    world.settled().await;
    assert!(world.published().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        !world.outbox_is_empty().await,
        "the shard's lease holder finds them there"
    );
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn receipts_without_a_peer_pass() {
    let world = World::new();
    let receipt = Receipt {
        provider_message_id: "77".into(),
        state: 3,
        ..Receipt::default()
    };
    let mut event = event("1", "77", Kind::Receipt(receipt));
    event.peer = None;
    world.push(&[event, message("1", "1")]);
    let process = world.start("a");
    world.settled().await;
    assert_eq!(world.words("1").await, counted(1));
    assert!(world.parked().await.is_empty());
    process.stop().await;
}
