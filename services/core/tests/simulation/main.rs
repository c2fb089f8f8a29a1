//! The identity and append protocol under random schedules: several processes with caches of their own, workers that
//! crash, sleep and overlap, deliveries that come again, answers that get lost. The code is what ships; only the store's
//! network, the broker and the clock are played.
//!
//! `OMNIGATE_SIM_SCHEDULES=100000 cargo test -p omnigate-core --test simulation` runs more schedules than the default.
//! A failure names its scenario and seed: `OMNIGATE_SIM_SCENARIO=caps OMNIGATE_SIM_SEED=17 cargo test -p omnigate-core
//! --test simulation -- --nocapture one_schedule` plays it again and tells every step; `OMNIGATE_SIM_BREAKAGE=HomeUnguarded`
//! does so with a breakage.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops where it is surprised"
)]

mod breakage;
mod judgement;
mod oracle;
mod outline;
mod pieces;
mod process;
mod rng;
mod scenario;
mod store;
mod time;
mod world;

use breakage::Breakage;
use rng::Rng;
use scenario::{SCENARIOS, Scenario};
use store::Faults;

/// Schedules over all scenarios when the environment names no other number.
const SCHEDULES: u64 = 10_000;
/// Schedules of each scenario within which a breakage must be caught.
const PATIENCE: u64 = 1_500;

fn schedule(scenario: &Scenario, seed: u64, breakage: Breakage, verbose: bool) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let script = (scenario.script)(&mut rng);
    let faults = Faults {
        unavailable: rng.pick(&[0, 0, 10]),
        unknown: rng.pick(&[0, 30, 150]),
        unconfirmed: rng.pick(&[0, 50]),
        crash: rng.pick(&[0, 3, 15]),
        doze: rng.pick(&[0, 20, 100]),
        overlap: rng.pick(&[0, 3, 15]),
        leap: if scenario.leaps { rng.pick(&[0, 0, 3, 10]) } else { 0 },
    };
    world::run(rng.next(), script, faults, breakage, verbose)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn sweep(name: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    let schedules = number("OMNIGATE_SIM_SCHEDULES").unwrap_or(SCHEDULES) / SCENARIOS.len() as u64;
    let first = number("OMNIGATE_SIM_FIRST").unwrap_or(0);
    for seed in first..first + schedules {
        if let Err(complaint) = watched(scenario, seed) {
            panic!("OMNIGATE_SIM_SCENARIO={name} OMNIGATE_SIM_SEED={seed}: {complaint}");
        }
    }
}

/// Runs a schedule; a panic inside names its seed too.
fn watched(scenario: &Scenario, seed: u64) -> Result<(), String> {
    struct Name(&'static str, u64);
    impl Drop for Name {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!(
                    "panicked in OMNIGATE_SIM_SCENARIO={} OMNIGATE_SIM_SEED={}",
                    self.0, self.1
                );
            }
        }
    }
    let _name = Name(scenario.name, seed);
    schedule(scenario, seed, Breakage::None, false)
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            sweep(stringify!($name));
        })*

        #[test]
        fn every_scenario_is_played() {
            assert_eq!([$(stringify!($name)),*].as_slice(), SCENARIOS.iter().map(|one| one.name).collect::<Vec<_>>());
        }
    };
}

scenarios![
    first_contact,
    several_identifiers,
    caps,
    room_is_made_later,
    moved,
    amendments,
    duplicates,
    batches,
    one_home,
    anything,
    long_messages,
    missing_pieces,
];

#[test]
fn one_schedule() {
    let Some(seed) = number("OMNIGATE_SIM_SEED") else {
        return;
    };
    let name = std::env::var("OMNIGATE_SIM_SCENARIO").unwrap();
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    let breakage = std::env::var("OMNIGATE_SIM_BREAKAGE").unwrap_or_default();
    let breakage = Breakage::ALL
        .into_iter()
        .find(|one| format!("{one:?}") == breakage)
        .unwrap_or(Breakage::None);
    schedule(scenario, seed, breakage, true).unwrap();
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let script = |seed| (SCENARIOS[9].script)(&mut Rng::new(seed));
    assert_eq!(script(3), script(3));
    assert_ne!(script(3), script(4));
}

/// Seeds go round the scenarios, so that a breakage that any of them shows is found early.
#[test]
fn every_breakage_is_caught() {
    let mut missed = Vec::new();
    for breakage in Breakage::ALL {
        let mut tried = 0..PATIENCE * SCENARIOS.len() as u64;
        let caught = tried.find_map(|number| {
            let scenario = &SCENARIOS[usize::try_from(number).unwrap() % SCENARIOS.len()];
            let seed = number / SCENARIOS.len() as u64;
            let complaint = schedule(scenario, seed, breakage, false).err()?;
            Some(format!("{number}: {} {seed}: {complaint}", scenario.name))
        });
        match caught {
            Some(how) => println!("{breakage:?} caught after {how}"),
            None => missed.push(breakage),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
