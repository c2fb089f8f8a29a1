//! Several processes share the partitions.

use super::*;
use omnigate_core::protocol::lease::{COMMON, look};

/// Partitions by owner, as the leases say.
async fn holders(world: &World) -> Vec<String> {
    let (outbox, cache) = (Outbox::default(), Cache::new(1));
    let context = Context {
        store: world.store.memory(),
        clock: &*world.clock,
        entropy: &*world.entropy,
        outbox: &outbox,
        cache: &cache,
        keyring: &omnigate_core::keyring::Keyring::none(),
        rules: &omnigate_core::conversation::DEFAULT_RULES,
        tenants: &omnigate_core::tenant::DEFAULT_RULES,
    };
    let names: Vec<String> = (0..PARTITIONS).map(|number| format!("partition/{number}")).collect();
    let leases = look(&context, COMMON, &names).await.unwrap();
    let now = world.clock.now();
    leases
        .into_iter()
        .map(|lease| {
            if lease.until_ms >= now.0 {
                lease.owner
            } else {
                String::new()
            }
        })
        .collect()
}

async fn split(world: &World, sizes: &[(&str, usize)]) {
    let begun = Instant::now();
    until("shares are even", || async {
        let holders = holders(world).await;
        sizes
            .iter()
            .all(|(owner, size)| holders.iter().filter(|holder| holder == owner).count() == *size)
    })
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn processes_that_come_go_and_die_share_the_work_and_lose_nothing() {
    let world = World::new();
    let mut told = 0;
    let mut tell = |world: &World| {
        for _ in 0..10 {
            told += 1;
            let events: Vec<Event> = PEERS.iter().map(|peer| message(peer, &told.to_string())).collect();
            world.push(&events);
        }
    };
    let a = world.start("a");
    split(&world, &[("a", 4)]).await;
    tell(&world);
    let b = world.start("b");
    tell(&world);
    split(&world, &[("a", 2), ("b", 2)]).await;
    tell(&world);
    let c = world.start("c");
    split(&world, &[("a", 2), ("b", 1), ("c", 1)]).await;
    tell(&world);
    drop(a);
    tell(&world);
    split(&world, &[("a", 0), ("b", 2), ("c", 2)]).await;
    c.stop().await;
    tell(&world);
    split(&world, &[("b", 4), ("c", 0)]).await;
    world.settled().await;
    for peer in PEERS {
        assert_eq!(world.words(peer).await, counted(told));
    }
    b.stop().await;
    assert!(holders(&world).await.iter().all(String::is_empty));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_slept_through_its_lease_does_no_harm() {
    let world = World::new();
    let a = world.start("a");
    split(&world, &[("a", 4)]).await;
    world.store.away.store(true, Ordering::SeqCst);
    world.push(&talk(PEERS, 5));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let b = world.start("b");
    world.store.away.store(false, Ordering::SeqCst);
    world.settled().await;
    split(&world, &[("a", 2), ("b", 2)]).await;
    for peer in PEERS {
        assert_eq!(world.words(peer).await, counted(5));
    }
    a.stop().await;
    b.stop().await;
}
