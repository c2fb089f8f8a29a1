//! A cluster whose masters are lost for good: each has a replica that takes over, and lacks the last that its master was
//! told. Work goes on meanwhile, messages come again from the journal, and a sweep puts right what it finds.

use crate::judgement::judge_repaired;
use crate::rng::Rng;
use crate::scenario::{SCENARIOS, identifier};
use crate::told::{TENANT, arrival};
use crate::work::{Operation, Work};
use crate::{number, prefix, process};
use bytes::Bytes;
use omnigate_core::identity::repair::{Repair, schedule};
use omnigate_core::protocol::identity::repair::{Group, Mended, Piece, keep, piece, progress};
use omnigate_core::protocol::{Ports, Stop};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::v1::Identifier;
use omnigate_servers::redis::RedisCluster;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Operations when the environment names no other number.
const OPERATIONS: usize = 400;
/// Of so many operations one is carried out while the replica is not given anything.
const LOST: usize = 6;
/// Times that each of the model's scenarios is played.
const TIMES: usize = 2;
/// Customers or identifiers in a piece of the sweep.
const AT_ONCE: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_is_repaired_and_keeps_what_is_promised() {
    let operations = number("OMNIGATE_IDENTITY_OPERATIONS").map_or(OPERATIONS, |operations| operations / 4);
    let seed = number("OMNIGATE_IDENTITY_SEED").unwrap_or(3) as u64;
    println!(
        "OMNIGATE_IDENTITY_SEED={seed} OMNIGATE_IDENTITY_OPERATIONS={}",
        operations * 4
    );
    fail_over("failover", Work::new(operations, Rng::new(seed))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scenarios_of_the_model_keep_what_is_promised_through_a_failover() {
    let seed = number("OMNIGATE_IDENTITY_SEED").unwrap_or(4) as u64;
    let times = number("OMNIGATE_IDENTITY_OPERATIONS").map_or(TIMES, |operations| operations / 400);
    fail_over("scenarios", Work::scripted(script(times), Rng::new(seed))).await;
}

/// Has a third of the work done, loses a master with the last that it was told, and so on with the next.
async fn fail_over(name: &str, work: Work) {
    let Some(mut cluster) = RedisCluster::start_replicated().await else {
        return;
    };
    let (url, prefix) = (cluster.url(), prefix(name));
    let processes = [process(&url, &prefix).await, process(&url, &prefix).await];
    let work = Arc::new(work);
    let running = {
        let work = Arc::clone(&work);
        tokio::spawn(async move { work.run(&processes).await })
    };
    let over = Arc::new(AtomicBool::new(false));
    let sweeps = {
        let (ports, over) = (process(&url, &prefix).await, Arc::clone(&over));
        tokio::spawn(async move { sweep_until(&ports, &over).await })
    };
    for master in [0, 2] {
        work.until_done(work.operations() * (1 + master) / 4).await;
        cluster.cut_replication(master).await.unwrap();
        work.until_done(work.operations() * (1 + master) / 4 + work.operations() / LOST)
            .await;
        println!(
            "master {master} is killed after {} of {}",
            work.done(),
            work.operations()
        );
        cluster.kill9(master);
        cluster.promoted(master + 3).await.unwrap();
    }
    running.await.unwrap();
    let last = process(&url, &prefix).await;
    work.redeliver(&last).await;
    over.store(true, Ordering::Relaxed);
    let (seen, mut repairs) = sweeps.await.unwrap();
    assert!(seen >= 2, "the failovers were not seen");
    repairs.extend(sweep(&last).await.unwrap());
    let mut kinds: BTreeMap<Repair, usize> = BTreeMap::new();
    for repair in repairs {
        *kinds.entry(repair).or_default() += 1;
    }
    println!("{seen} failovers seen, repaired: {kinds:?}");
    assert!(
        sweep(&last).await.unwrap().is_empty(),
        "there was something left to repair"
    );
    judge_repaired(&last, &work).await;
}

/// Sweeps whenever the store is not the one that it was, as the scheduler does; how often, and what was put right.
async fn sweep_until(ports: &Ports, over: &AtomicBool) -> (usize, Vec<Repair>) {
    let (mut seen, mut repairs) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        match look(ports, &mut seen).await {
            Ok(more) => repairs.extend(more),
            // Half of the cluster is away, or others are at work on the same.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (seen, repairs)
}

async fn look(ports: &Ports, seen: &mut usize) -> Result<Vec<Repair>, Stop> {
    let context = ports.context();
    let mut incarnations: BTreeSet<Bytes> = BTreeSet::new();
    for shard in Shard::all() {
        incarnations.insert(ports.store.incarnation(shard).await?);
    }
    let incarnations: Vec<Bytes> = incarnations.into_iter().collect();
    let mut standing = progress(&context, 0).await?;
    let record = standing.value.as_ref();
    if record.is_none() {
        let seen = schedule::seen(&incarnations, context.now());
        keep(&context, 0, &mut standing, seen).await?;
        return Ok(Vec::new());
    }
    if schedule::due(record, &incarnations, Duration::ZERO, context.now()).is_some() {
        let begun = schedule::begun(record, &incarnations, context.now());
        *seen += usize::from(keep(&context, 0, &mut standing, begun).await?);
    }
    go_on(ports).await
}

/// A whole sweep.
async fn sweep(ports: &Ports) -> Result<Vec<Repair>, Stop> {
    let context = ports.context();
    let mut standing = progress(&context, 0).await?;
    let begun = schedule::begun(standing.value.as_ref(), &[], context.now());
    assert!(keep(&context, 0, &mut standing, begun).await?);
    go_on(ports).await
}

/// The sweep that is under way, to its end.
async fn go_on(ports: &Ports) -> Result<Vec<Repair>, Stop> {
    let context = ports.context();
    let mut standing = progress(&context, 0).await?;
    let shards: Vec<Shard> = Shard::all().collect();
    let group = Group {
        number: 0,
        shards: &shards,
        tenants: &[TENANT.to_owned()],
    };
    let mut mended = Mended::default();
    while piece(&context, group, &mut standing, AT_ONCE, &mut mended).await? == Piece::More {}
    Ok(mended.repairs)
}

/// The scenarios of the model one after the other, each with people of its own, so often.
fn script(times: usize) -> Vec<Operation> {
    let mut script = Vec::new();
    for time in 0..times {
        for (scenario, acts) in SCENARIOS.iter().enumerate() {
            let world = format!("{scenario}-{time}");
            // What happens at once in a scenario waits for what it needs in the model; here it comes twice.
            for (turn, (name, about)) in acts.iter().chain(acts.iter()).enumerate() {
                let people: Vec<Identifier> = about.iter().map(|one| of_world(&world, one)).collect();
                script.extend(operations(&format!("{world} {name} {turn}"), name, &people));
            }
        }
    }
    script
}

fn of_world(world: &str, name: &str) -> Identifier {
    let identifier = identifier(name);
    Identifier {
        value: format!("{}.{world}", identifier.value),
        ..identifier
    }
}

/// What an act of a scenario is on a real store.
fn operations(id: &str, name: &str, people: &[Identifier]) -> Vec<Operation> {
    let first = people[0].clone();
    let message = || Operation::Message(Box::new(arrival(id, people, Moment(0))));
    match name {
        _ if name.starts_with("unlink") => vec![Operation::Unlink(first)],
        _ if name.starts_with("undo") => vec![Operation::Undo(first, name.ends_with('z'))],
        _ if name.starts_with("part") => vec![Operation::Part(first, people[1..].to_vec())],
        _ if name.starts_with("moved") => vec![Operation::NewHolder(first)],
        _ if name.starts_with("erase") => vec![Operation::Erase(first)],
        _ if name.starts_with("read") => vec![Operation::Read(first)],
        _ if name.starts_with("join") => vec![Operation::Merge(first, people[1].clone()), message()],
        _ => vec![message()],
    }
}
