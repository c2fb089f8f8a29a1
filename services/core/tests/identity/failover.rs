//! Failovers: at a random moment some shards lose the last that was written to them, and everything else stands. What was
//! under way goes on, every message comes again, and a sweep repairs what it finds. Then all must be as it was promised.
//!
//! `OMNIGATE_SIM_FAILOVERS=10000 cargo test -p omnigate-core --test identity failover` plays so many of each scenario;
//! `OMNIGATE_SIM_SCENARIO=7 OMNIGATE_SIM_SEED=17 … one_failover` plays one again.

mod broken;
mod judgement;

use crate::breakage::Breakage;
use crate::number;
use crate::people::Worker;
use crate::rng::Rng;
use crate::scenario::{SCENARIOS, Scenario, is_command};
use crate::store::Sim;
use crate::told::TENANT;
use crate::world::{CALM, MOST_STEPS, Work, alone, announce};
use judgement::judge;
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identifier::text;
use omnigate_core::identity::repair::schedule;
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::Query;
use omnigate_core::protocol::Stop;
use omnigate_core::protocol::context::as_range;
use omnigate_core::protocol::identity::go_on;
use omnigate_core::protocol::identity::repair::{Group, Mended, Piece, keep, piece, progress};
use omnigate_core::shard::Shard;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Failovers of each scenario when the environment names no other number.
const FAILOVERS: u64 = 60;
/// Failovers of each scenario within which a breakage must be caught.
const PATIENCE: u64 = 1_500;
/// The most that a failover loses: so many of the commits to all shards.
const LAG: usize = 40;
/// Customers or identifiers in a piece of the sweep: few, so that there are many pages.
const AT_ONCE: u32 = 2;

/// Steps from the end of a sweep to the next one.
const AGAIN: usize = 2_000;

/// Somebody at work.
struct Task {
    name: &'static str,
    /// Its place in the scenario; none for a sweep.
    number: Option<usize>,
    work: Work,
    asleep_until: usize,
}

fn run(seed: u64, scenario: Scenario, breakage: Breakage, verbose: bool) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let crash = rng.pick(&[0, 7, 25]);
    let doze = rng.pick(&[0, 7]);
    let unknown = rng.pick(&[0, 0, 30]);
    let lengths = [rng.below(150), rng.below(600)];
    let times = rng.pick(&[1, 1, 1, 2]);
    let sim = Sim::new(rng, breakage, unknown, verbose);
    announce(&sim, scenario);
    let mut world = World {
        sim: &sim,
        scenario,
        tasks: Vec::new(),
        step: 0,
        crash,
        doze,
    };
    for (number, (name, _)) in scenario.iter().enumerate() {
        if !name.starts_with("read") {
            world.begin(number);
        }
    }
    for _ in 0..times {
        let length = sim.rng().pick(&lengths);
        world.play(Some(length))?;
        fail_over(&sim);
        world.redeliver();
        let waits = sim.rng().pick(&[0, 0, 300, 2_000]);
        world.tasks.push(sweeper(&sim, world.step + waits));
    }
    world.play(None)?;
    *sim.unknown.lock().unwrap() = 0;
    if breakage != Breakage::NothingRepaired {
        // The one that is under way, and a whole one, when the scheduler has finished what was being erased.
        alone(timers(Worker::start(&sim, "timers", usize::MAX)))?;
        for _ in 0..2 {
            alone(sweep(Worker::start(&sim, "sweep", usize::MAX)))?;
        }
    }
    if verbose {
        dump(&sim);
    }
    judge(&sim, scenario)
}

/// Says what stands in the store: claims, and the records of customers.
fn dump(sim: &Sim) {
    let oracle = sim.oracle();
    let id = |bytes: &[u8]| {
        CustomerId::from_bytes(bytes)
            .map(|id| id.to_string())
            .unwrap_or_default()
    };
    let birth = |bytes: &[u8]| {
        Birth::from_bytes(bytes)
            .map(|birth| birth.to_string())
            .unwrap_or_default()
    };
    for claim in oracle.claims.values() {
        let (customer, home) = (id(&claim.customer), id(&claim.home));
        let name = claim.identifier.as_ref().map(text).unwrap_or_default();
        let erased = claim.erased_at_ms;
        println!(
            "claim {name} {} {customer}, home {home}, erased {erased}",
            birth(&claim.birth)
        );
    }
    for (customer, record) in &oracle.customers {
        println!("{customer} {:?} into {:?}", record.state(), id(&record.into));
        for member in &record.members {
            let name = member.identifier.as_ref().map(text).unwrap_or_default();
            let (birth, home) = (birth(&member.birth), id(&member.home));
            let (path, tags) = (member.path.len(), member.tags.len());
            println!(
                "  {name} {birth} of {home}, {} to {}, {path} merges, {tags} splits, retired {}",
                member.from_ms, member.to_ms, member.retired
            );
        }
        for way in &record.out {
            println!(
                "  {} went to {}",
                way.identifier.as_ref().map(text).unwrap_or_default(),
                id(&way.customer)
            );
        }
    }
    for (customer, home) in &oracle.homes {
        for thread in &home.threads {
            let name = thread.peer.as_ref().map(text).unwrap_or_default();
            println!("home {customer}: {name} {}", birth(&thread.birth));
        }
        for wiped in &home.wiped {
            println!(
                "home {customer}: erased {} from {} to {}",
                birth(&wiped.birth),
                wiped.from_ms,
                wiped.to_ms
            );
        }
        for closed in &home.closed_births {
            println!("home {customer}: closed {}", birth(closed));
        }
    }
}

/// Loses the last of what was written to one shard, or to a third of them as when one master of three is lost.
fn fail_over(sim: &Arc<Sim>) {
    let (count, recent) = {
        let written = sim.written.lock().unwrap();
        let recent: BTreeSet<Shard> = written.iter().rev().take(LAG).map(|(shard, _)| *shard).collect();
        (written.len(), recent.into_iter().collect::<Vec<_>>())
    };
    if recent.is_empty() {
        return;
    }
    let (one, of_three) = {
        let mut rng = sim.rng();
        (rng.per_mille(400), rng.pick(&recent))
    };
    let since = count - (1 + sim.rng().below(LAG)).min(count);
    let is_lost = move |shard: Shard| {
        if one {
            shard == of_three
        } else {
            shard.number() % 3 == of_three.number() % 3
        }
    };
    sim.say(|| format!("failover of {of_three}, alone: {one}; lost is what came after {since} of {count}"));
    sim.roll_back(since, is_lost);
}

struct World<'a> {
    sim: &'a Arc<Sim>,
    scenario: Scenario,
    tasks: Vec<Task>,
    step: usize,
    crash: usize,
    doze: usize,
}

impl World<'_> {
    fn begin(&mut self, number: usize) {
        let (name, about) = self.scenario[number];
        self.tasks.push(Task {
            name,
            number: Some(number),
            work: Box::pin(Worker::start(self.sim, name, number).work(about)),
            asleep_until: 0,
        });
    }

    /// Whatever brings a message comes again, from the broker or its journal; what is still under way goes on beside it.
    fn redeliver(&mut self) {
        for (number, (name, _)) in self.scenario.iter().enumerate() {
            if !is_command(name) {
                self.begin(number);
            }
        }
    }

    fn again(&mut self, chosen: usize) {
        match self.tasks.swap_remove(chosen).number {
            Some(number) => self.begin(number),
            None => self.tasks.push(sweeper(self.sim, self.step)),
        }
    }

    /// Gives everybody turns, so many or until all are done.
    fn play(&mut self, steps: Option<usize>) -> Result<(), String> {
        let until = steps.map_or(usize::MAX, |steps| self.step + steps);
        while self.tasks.iter().any(|task| task.number.is_some()) && self.step < until {
            self.step += 1;
            if self.step > MOST_STEPS {
                let left: Vec<_> = self.tasks.iter().map(|task| task.name).collect();
                return Err(format!("does not come to rest: {left:?}"));
            }
            if self.step == CALM {
                *self.sim.unknown.lock().unwrap() = 0;
            }
            self.sim.clock.advance(1);
            let chosen = self.sim.rng().below(self.tasks.len());
            let someone_is_awake = self.tasks.iter().any(|task| task.asleep_until <= self.step);
            let task = &mut self.tasks[chosen];
            if task.asleep_until > self.step && someone_is_awake {
                continue;
            }
            if self.sim.rng().per_mille(self.doze) {
                task.asleep_until = self.step + self.sim.rng().below(600);
                continue;
            }
            if self.step < CALM && self.sim.rng().per_mille(self.crash) {
                self.again(chosen);
                continue;
            }
            match task.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.sim.say(|| format!("{} is done", task.name));
                    let ended = self.tasks.swap_remove(chosen);
                    if ended.number.is_none() {
                        // What others left since has its turn with the next one.
                        self.tasks.push(sweeper(self.sim, self.step + AGAIN));
                    }
                }
                Poll::Ready(Err(_)) => self.again(chosen),
            }
            if let Some(complaint) = &self.sim.oracle().complaint {
                return Err(complaint.clone());
            }
        }
        Ok(())
    }
}

fn sweeper(sim: &Arc<Sim>, asleep_until: usize) -> Task {
    Task {
        name: "sweep",
        number: None,
        work: Box::pin(sweep(Worker::start(sim, "sweep", usize::MAX))),
        asleep_until,
    }
}

/// What the scheduler does when timers of erasures fire.
async fn timers(worker: Arc<Worker>) -> Result<(), Stop> {
    let context = worker.context();
    for shard in Shard::all() {
        let all = Query::Range {
            key: keys::timers(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 1_000,
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![all]).await?.into_iter().next())?;
        for (member, _) in members {
            if let Some((due, Timer::Erasure(id))) = keys::read_timer_member(&member) {
                go_on(&context, id, due).await?;
            }
        }
    }
    Ok(())
}

/// One sweep, from where the one before has come.
async fn sweep(worker: Arc<Worker>) -> Result<(), Stop> {
    let context = worker.context();
    let tenants = [TENANT.to_owned()];
    let mut standing = progress(&context, 0).await?;
    if standing.value.as_ref().is_none_or(|record| record.began_ms == 0) {
        let begun = schedule::begun(standing.value.as_ref(), &[], context.now());
        keep(&context, 0, &mut standing, begun).await?;
    }
    let mut mended = Mended::default();
    loop {
        let shards: BTreeSet<Shard> = worker
            .sim
            .written
            .lock()
            .unwrap()
            .iter()
            .map(|(shard, _)| *shard)
            .collect();
        let shards: Vec<Shard> = shards.into_iter().collect();
        let group = Group {
            number: 0,
            shards: &shards,
            tenants: &tenants,
        };
        match piece(&context, group, &mut standing, AT_ONCE, &mut mended).await? {
            Piece::More => {}
            Piece::Ended => {
                worker.sim.say(|| format!("swept: {:?}", mended.repairs));
                return Ok(());
            }
            Piece::Lost => standing = progress(&context, 0).await?,
        }
    }
}

/// Runs a schedule; a panic inside is a complaint too.
fn watched(scenario: usize, seed: u64, breakage: Breakage) -> Result<(), String> {
    let played = std::panic::catch_unwind(|| run(seed, SCENARIOS[scenario], breakage, false));
    played.unwrap_or_else(|_| Err("panicked".to_owned()))
}

#[test]
fn failovers_are_repaired() {
    let failovers = number("OMNIGATE_SIM_FAILOVERS").unwrap_or(FAILOVERS);
    let first = number("OMNIGATE_SIM_FIRST").unwrap_or(0);
    let mut bad = 0;
    for scenario in 0..SCENARIOS.len() {
        for seed in first..first + failovers {
            if let Err(complaint) = watched(scenario, seed, Breakage::None) {
                println!("OMNIGATE_SIM_SCENARIO={scenario} OMNIGATE_SIM_SEED={seed}: {complaint}");
                bad += 1;
            }
        }
    }
    assert_eq!(bad, 0, "failovers that are not repaired");
}

#[test]
fn one_failover() {
    let Some(seed) = number("OMNIGATE_SIM_SEED") else {
        return;
    };
    let scenario = usize::try_from(number("OMNIGATE_SIM_SCENARIO").unwrap()).unwrap();
    let breakage = std::env::var("OMNIGATE_SIM_BREAKAGE").unwrap_or_default();
    let mut all = Breakage::OF_REPAIR.into_iter().map(|(breakage, _)| breakage);
    let breakage = all.find(|one| format!("{one:?}") == breakage).unwrap_or(Breakage::None);
    run(seed, SCENARIOS[scenario], breakage, true).unwrap();
}

#[test]
fn every_breakage_of_the_repair_is_caught() {
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = Vec::new();
    for (breakage, shown_by) in Breakage::OF_REPAIR {
        let scenarios = move || (0..SCENARIOS.len()).filter(move |one| shown_by.is_none_or(|shown| shown == *one));
        let tries = (0..PATIENCE).flat_map(|seed| scenarios().map(move |scenario| (scenario, seed)));
        let caught = tries.enumerate().find_map(|(number, (scenario, seed))| {
            let complaint = watched(scenario, seed, breakage).err()?;
            Some(format!("{number}: scenario {scenario} seed {seed}: {complaint}"))
        });
        match caught {
            Some(how) => println!("{breakage:?} caught after {how}"),
            None => missed.push(breakage),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
