//! The whole identity protocol under random schedules: linking, merging, taking apart and erasing, with readers, by workers
//! that sleep, die and begin again, over a store whose answers get lost. The scenarios and the deliberate breakages are
//! those of the protocol's model. The code is what ships; only the store's network and the clock are played.
//!
//! `OMNIGATE_SIM_SCHEDULES=100000 cargo test -p omnigate-core --test identity` runs so many schedules of each scenario. A
//! failure names its scenario and seed: `OMNIGATE_SIM_SCENARIO=7 OMNIGATE_SIM_SEED=17 cargo test -p omnigate-core --test
//! identity -- --nocapture one_schedule` plays it again and tells every step; `OMNIGATE_SIM_BREAKAGE=MarksNotWritten` does so
//! with a breakage.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it is surprised"
)]

mod breakage;
mod failover;
mod judgement;
mod oracle;
mod people;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "not every simulation draws everything")]
mod rng;
mod scenario;
mod store;
#[path = "../simulation/time.rs"]
mod time;
mod told;
mod world;

use breakage::Breakage;
use scenario::SCENARIOS;
use world::run;

/// Schedules of each scenario when the environment names no other number.
const SCHEDULES: u64 = 150;
/// Schedules of each scenario within which a breakage must be caught.
const PATIENCE: u64 = 2_000;
/// The same for those that chance seldom finds, in their own scenario.
const LONG_PATIENCE: u64 = 40_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a schedule; a panic inside is a complaint too.
fn watched(scenario: usize, seed: u64, breakage: Breakage) -> Result<(), String> {
    let played = std::panic::catch_unwind(|| run(seed, SCENARIOS[scenario], breakage, false));
    played.unwrap_or_else(|_| Err("panicked".to_owned()))
}

fn sweep(scenario: usize) {
    let schedules = number("OMNIGATE_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("OMNIGATE_SIM_FIRST").unwrap_or(0);
    for seed in first..first + schedules {
        if let Err(complaint) = watched(scenario, seed, Breakage::None) {
            panic!("OMNIGATE_SIM_SCENARIO={scenario} OMNIGATE_SIM_SEED={seed}: {complaint}");
        }
    }
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        #[derive(Clone, Copy)]
        #[allow(non_camel_case_types, reason = "names of tests")]
        enum Number {
            $($name),*
        }

        $(#[test]
        fn $name() {
            sweep(Number::$name as usize);
        })*

        #[test]
        fn every_scenario_is_played() {
            assert_eq!([$(Number::$name),*].len(), SCENARIOS.len());
        }
    };
}

scenarios![
    first_contact_twice,
    first_contact_over_two_identifiers,
    chain_of_merges,
    ids_of_record_differ,
    ids_of_record_differ_over_a_chain,
    caps_and_room_made_by_unlinking,
    caps,
    merge_undone,
    chain_of_merges_undone,
    merge_undone_in_part,
    split_against_attach_and_merge,
    unlink_and_join_in_a_ring,
    erasure,
    erasure_of_one_half,
    merger_sleeps_through_the_undoing,
    refused_and_room_made_later,
    new_holder,
    new_holder_and_erasure,
];

#[test]
fn one_schedule() {
    let Some(seed) = number("OMNIGATE_SIM_SEED") else {
        return;
    };
    let scenario = usize::try_from(number("OMNIGATE_SIM_SCENARIO").unwrap()).unwrap();
    let breakage = std::env::var("OMNIGATE_SIM_BREAKAGE").unwrap_or_default();
    let mut all = Breakage::ALL.into_iter().map(|(breakage, _)| breakage);
    let breakage = all.find(|one| format!("{one:?}") == breakage).unwrap_or(Breakage::None);
    run(seed, SCENARIOS[scenario], breakage, true).unwrap();
}

#[test]
fn every_breakage_is_caught() {
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = Vec::new();
    for (breakage, shown_by) in Breakage::ALL {
        let tries: Box<dyn Iterator<Item = (usize, u64)>> = match shown_by {
            Some(scenario) => Box::new((0..LONG_PATIENCE).map(move |seed| (scenario, seed))),
            None => Box::new((0..PATIENCE).flat_map(|seed| (0..SCENARIOS.len()).map(move |scenario| (scenario, seed)))),
        };
        let mut tries = tries.enumerate();
        let caught = tries.find_map(|(number, (scenario, seed))| {
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
