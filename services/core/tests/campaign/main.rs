//! Campaigns under random schedules: a scheduler that plans and looks after what waits, dispatchers that crash, sleep and
//! overlap, hints that get lost or come twice, a store whose answers get lost, a provider that takes a message and does not say
//! so, receipts in any order, an operator who pauses, resumes and cancels. The code is what ships; only the store's network,
//! the queues, the clock and the provider are played.
//!
//! `OMNIGATE_SIM_SCHEDULES=100000 cargo test --release -p omnigate-core --test campaign` runs more schedules than the default.
//! A failure names its seed: `OMNIGATE_SIM_SEED=17 cargo test -p omnigate-core --test campaign -- --nocapture one_schedule`
//! plays it again and tells every step; `OMNIGATE_SIM_BREAKAGE=ClaimUnguarded` does so with a breakage.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a schedule that surprises ends its test and says where"
)]

mod breakage;
mod people;
mod process;
mod provider;
#[path = "../simulation/rng.rs"]
mod rng;
mod sim;
#[path = "../simulation/time.rs"]
mod time;
mod world;

use breakage::Breakage;
use world::run;

/// Schedules when the environment names no other number.
const SCHEDULES: u64 = 400;
/// Schedules within which a breakage must be caught.
const PATIENCE: u64 = 400;
/// Schedules are played side by side.
const SIDES: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a schedule; a panic inside is a complaint too.
fn watched(seed: u64, breakage: Breakage) -> Result<(), String> {
    let played = std::panic::catch_unwind(|| run(seed, breakage, false));
    played.unwrap_or_else(|_| Err("panicked".to_owned()))
}

fn sweep(side: u64) {
    let schedules = number("OMNIGATE_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("OMNIGATE_SIM_FIRST").unwrap_or(0);
    for seed in (first..first + schedules).filter(|seed| seed % SIDES == side) {
        if let Err(complaint) = watched(seed, Breakage::None) {
            panic!("OMNIGATE_SIM_SEED={seed}: {complaint}");
        }
    }
}

#[test]
fn even_schedules_keep_every_promise() {
    sweep(0);
}

#[test]
fn odd_schedules_keep_every_promise() {
    sweep(1);
}

#[test]
fn one_schedule() {
    let Some(seed) = number("OMNIGATE_SIM_SEED") else {
        return;
    };
    let breakage = std::env::var("OMNIGATE_SIM_BREAKAGE").unwrap_or_default();
    let breakage = Breakage::ALL.into_iter().find(|one| format!("{one:?}") == breakage);
    run(seed, breakage.unwrap_or(Breakage::None), true).unwrap();
}

#[test]
fn every_breakage_is_caught() {
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = Vec::new();
    for breakage in Breakage::ALL {
        let caught = (0..PATIENCE).find_map(|seed| Some((seed, watched(seed, breakage).err()?)));
        match caught {
            Some((seed, complaint)) => println!("{breakage:?} caught at seed {seed}: {complaint}"),
            None => missed.push(breakage),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
