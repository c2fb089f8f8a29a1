//! One schedule: workers that take turns at random, sleep, die and begin again.

use crate::breakage::Breakage;
use crate::judgement::judge;
use crate::people::{Worker, text_of};
use crate::rng::Rng;
use crate::scenario::{Scenario, is_command};
use crate::store::Sim;
use crate::told::event_id;
use omnigate_core::protocol::Stop;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// From this step on nobody dies and no answer is lost.
pub(crate) const CALM: usize = 6_000;
/// A schedule that takes longer does not come to rest.
pub(crate) const MOST_STEPS: usize = 60_000;

pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), Stop>>>>;

struct Task {
    name: &'static str,
    number: usize,
    work: Work,
    asleep_until: usize,
}

/// Runs a schedule; the complaint says which promise was not kept.
pub(crate) fn run(seed: u64, scenario: Scenario, breakage: Breakage, verbose: bool) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let crash = rng.pick(&[0, 7, 25]);
    let doze = rng.pick(&[0, 7]);
    let unknown = rng.pick(&[0, 0, 30]);
    let sim = Sim::new(rng, breakage, unknown, verbose);
    announce(&sim, scenario);
    play(&sim, scenario, crash, doze)?;
    *sim.unknown.lock().unwrap() = 0;
    judge(&sim, scenario)?;
    sim.oracle().complaint.clone().map_or(Ok(()), Err)
}

/// Tells the oracle which messages there will be.
pub(crate) fn announce(sim: &Sim, scenario: Scenario) {
    for (name, about) in scenario.iter().filter(|(name, _)| !is_command(name)) {
        let mut oracle = sim.oracle();
        oracle.messages.insert(event_id(name), (*name).to_owned());
        oracle.peers.insert((*name).to_owned(), text_of(about[about.len() - 1]));
    }
}

/// Gives everybody turns until all are done.
fn play(sim: &Arc<Sim>, scenario: Scenario, crash: usize, doze: usize) -> Result<(), String> {
    let begin = |number: usize| {
        let (name, about) = scenario[number];
        Task {
            name,
            number,
            work: Box::pin(Worker::start(sim, name, number).work(about)),
            asleep_until: 0,
        }
    };
    let mut tasks: Vec<Task> = (0..scenario.len()).map(begin).collect();
    let mut step = 0;
    while !tasks.is_empty() {
        step += 1;
        if step > MOST_STEPS {
            let left: Vec<_> = tasks.iter().map(|task| task.name).collect();
            return Err(format!("does not come to rest: {left:?}"));
        }
        if step == CALM {
            *sim.unknown.lock().unwrap() = 0;
        }
        sim.clock.advance(1);
        let chosen = sim.rng().below(tasks.len());
        let someone_is_awake = tasks.iter().any(|task| task.asleep_until <= step);
        let task = &mut tasks[chosen];
        if task.asleep_until > step && someone_is_awake {
            continue;
        }
        if sim.rng().per_mille(doze) {
            task.asleep_until = step + sim.rng().below(600);
            continue;
        }
        if step < CALM && sim.rng().per_mille(crash) {
            sim.oracle().readers.remove(&task.number);
            *task = begin(task.number);
            continue;
        }
        match task.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                sim.say(|| format!("{} is done", task.name));
                tasks.swap_remove(chosen);
            }
            // It comes again.
            Poll::Ready(Err(_)) => {
                sim.oracle().readers.remove(&task.number);
                *task = begin(task.number);
            }
        }
        if let Some(complaint) = &sim.oracle().complaint {
            return Err(complaint.clone());
        }
    }
    Ok(())
}

/// Runs work alone to its end.
pub(crate) fn alone<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, String> {
    let mut work = Box::pin(work);
    for _ in 0..20_000 {
        if let Poll::Ready(ended) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return ended.map_err(|stop| stop.to_string());
        }
    }
    Err("does not end".to_owned())
}

/// A worker that puts in order what others left, when all have gone.
pub(crate) fn last_worker(sim: &Arc<Sim>) -> Arc<Worker> {
    Worker::start(sim, "last", usize::MAX)
}
