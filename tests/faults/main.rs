//! The whole gateway under faults: real processes, a real RabbitMQ and Redis behind proxies, steady load, and an oracle
//! that remembers everything that was acknowledged.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it saw"
)]

mod bounded;
mod campaign;
mod fault;
mod load;
mod newer;
mod observe;
mod oracle;
mod world;

use crate::fault::{Fault, Random};
use crate::load::Load;
use crate::world::World;
use omnigate_tests::gateway::Keys;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Mutex;

/// Account of the sandbox's bot.
pub(crate) const SHOP: &str = "shop";
/// Length of the long test, in seconds; unset for the short one, which plays every fault once.
const SECONDS: &str = "OMNIGATE_FAULTS_SECONDS";
/// Seed of the long test's faults; unset for one by the clock.
const SEED: &str = "OMNIGATE_FAULTS_SEED";

/// One at a time: each has ten processes of its own.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let _turn = TURN.lock().await;
    let Some(mut world) = World::start(&Keys::new()).await.unwrap() else {
        return;
    };
    if let Err(error) = under_faults(&mut world).await {
        world.gateway.folder.disable_cleanup(true);
        println!("whole logs in {}", world.gateway.path().display());
        panic!("{error:?}\n{}", world.tails());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_process_keeps_what_a_newer_one_wrote() {
    let _turn = TURN.lock().await;
    // It reads what lies on the broker as it is.
    let open = Keys::from([("broker.seal".to_owned(), "false".to_owned())]);
    let Some(world) = World::start(&open).await.unwrap() else {
        return;
    };
    if let Err(error) = newer::versions_meet(&world).await {
        panic!("{error:?}\n{}", world.tails());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_when_broker_or_store_are_slow() {
    let _turn = TURN.lock().await;
    let Some(mut world) = World::start(&bounded::limits()).await.unwrap() else {
        return;
    };
    if let Err(error) = bounded::floods(&mut world).await {
        panic!("{error:?}\n{}", world.tails());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_reaches_everybody_once_while_every_role_dies() {
    let _turn = TURN.lock().await;
    let providers = campaign::providers().await.unwrap();
    let Some(mut world) = World::start(&campaign::configure(&providers)).await.unwrap() else {
        return;
    };
    if let Err(error) = campaign::every_role_dies(&mut world, &providers).await {
        world.gateway.folder.disable_cleanup(true);
        println!("whole logs in {}", world.gateway.path().display());
        panic!("{error:?}\n{}", world.tails());
    }
}

async fn under_faults(world: &mut World) -> anyhow::Result<()> {
    let load = Load::start(world).await?;
    let played = match std::env::var(SECONDS) {
        Ok(seconds) => at_random(world, &load, Duration::from_secs(seconds.parse()?)).await,
        Err(_) => each_once(world, &load).await,
    };
    played?;
    let known = load.stop().await?;
    let stopped = Instant::now();
    let observed = observe::after_quiescence(world, &known).await?;
    println!(
        "all was quiet and read {:.1} s after the load",
        stopped.elapsed().as_secs_f32()
    );
    let counts = oracle::judge(&known, &observed);
    world.nobody_ended()?;
    println!(
        "{}",
        counts.map_err(|violations| anyhow::anyhow!(violations.join("\n")))?
    );
    Ok(())
}

async fn each_once(world: &mut World, load: &Load) -> anyhow::Result<()> {
    for (number, fault) in Fault::all().into_iter().enumerate() {
        play(world, load, &fault, number).await?;
    }
    Ok(())
}

async fn at_random(world: &mut World, load: &Load, long: Duration) -> anyhow::Result<()> {
    let by_clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let seed = std::env::var(SEED).map_or(Ok(by_clock), |seed| seed.parse())?;
    println!("{SEED}={seed}");
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < long {
        play(world, load, &Fault::random(&mut random), number).await?;
        number += 1;
    }
    Ok(())
}

/// One fault, and then everything moves again.
async fn play(world: &mut World, load: &Load, fault: &Fault, number: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    fault.play(world).await?;
    let healed = begun.elapsed();
    load.moves_again(world, number)
        .await
        .map_err(|error| error.context(format!("after {fault:?}, number {number}")))?;
    let (lasted, back) = (healed.as_secs_f32(), (begun.elapsed() - healed).as_secs_f32());
    println!("{number:3} {fault:?}: lasted {lasted:.1} s, all moved again {back:.1} s later");
    Ok(())
}
