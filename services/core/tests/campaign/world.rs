//! A schedule: who gets the next turn, who dies, what is asked for in the end.

use crate::breakage::Breakage;
use crate::people::{TENANT, campaign, id};
use crate::process::Process;
use crate::sim::{Faults, Sim, told};
use omnigate_core::campaign::life::{self, Command, has_ended};
use omnigate_core::campaign::tally::{Cell, Moves, Sums};
use omnigate_core::campaign::{ledger, plan::Plan};
use omnigate_core::keys;
use omnigate_core::port::Entropy as _;
use omnigate_core::port::store::{Commit, Expect, Stamp, Write};
use omnigate_core::protocol::Stop;
use omnigate_core::protocol::campaign::{self, Recipient};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{CampaignState, DeliveryState};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Work = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send>>;

/// Turns after which nothing goes wrong any more.
const CALM: usize = 4_000;
/// Turns after which a schedule has gone astray.
const MOST: usize = 60_000;
/// Turns without any progress after which time leaps to the next alarm.
const STILL: usize = 60;

enum Job {
    Drive,
    Look,
    Dispatch,
    Hear,
    Operate,
    Compare,
}

struct Task {
    job: Job,
    work: Work,
    asleep: usize,
}

pub(crate) fn run(seed: u64, breakage: Breakage, verbose: bool) -> Result<(), String> {
    let sim = Sim::new(seed, breakage, verbose);
    begin(&sim);
    let mut world = World {
        sim: &sim,
        tasks: vec![],
        turn: 0,
    };
    world.spawn(Job::Drive);
    world.spawn(Job::Operate);
    world.play()?;
    judge(&sim)
}

/// The campaign is there, and somebody starts it.
fn begin(sim: &Arc<Sim>) {
    let draft = campaign(&mut sim.rng());
    sim.say(|| format!("{} people, {draft:?}", sim.people.0.len()));
    let started = life::decide(&draft, Command::Start, "here", (sim.now(), ""))
        .unwrap()
        .unwrap();
    let key = keys::campaign::campaign(id());
    let commit = Commit {
        stamp: Stamp::from(sim.bytes()),
        expect: vec![Expect::Record {
            key: key.clone(),
            stamp: None,
        }],
        write: vec![
            Write::Put {
                key,
                value: started.encode_to_vec().into(),
            },
            Write::Insert {
                key: keys::campaign::campaigns(TENANT),
                member: id().to_bytes(),
                value: bytes::Bytes::new(),
            },
        ],
    };
    drop(sim.memory.commit_now(id().shard(), &commit));
}

struct World<'a> {
    sim: &'a Arc<Sim>,
    tasks: Vec<Task>,
    turn: usize,
}

impl World<'_> {
    fn spawn(&mut self, job: Job) {
        let process = Process::start(self.sim);
        let work: Work = match job {
            Job::Drive => Box::pin(process.drive()),
            Job::Look => Box::pin(process.look()),
            Job::Hear => Box::pin(process.hear()),
            Job::Operate => Box::pin(process.operate()),
            Job::Compare => Box::pin(process.compare()),
            Job::Dispatch => {
                let hint = {
                    let mut hints = self.sim.hints.lock().unwrap();
                    if hints.is_empty() {
                        return;
                    }
                    let chosen = self.sim.rng().below(hints.len());
                    hints.swap_remove(chosen)
                };
                Box::pin(process.dispatch(hint.0, hint.1))
            }
        };
        self.tasks.push(Task { job, work, asleep: 0 });
    }

    fn is_driven(&self) -> bool {
        self.tasks.iter().any(|task| matches!(task.job, Job::Drive))
    }

    /// Plays until the campaign has ended and nobody has anything to do.
    fn play(&mut self) -> Result<(), String> {
        let mut seen = 0;
        let mut still = 0;
        while self.is_driven() || self.tasks.iter().any(|task| !matches!(task.job, Job::Look)) {
            self.turn += 1;
            if self.turn == CALM {
                *self.sim.faults.lock().unwrap() = Faults::default();
            }
            if self.turn > MOST {
                return Err("does not come to an end".to_owned());
            }
            if let Some(complaint) = self.sim.complaint.lock().unwrap().take() {
                return Err(complaint);
            }
            self.arrive();
            self.step();
            self.sim.clock.advance(i64::try_from(self.sim.rng().below(40)).unwrap());
            let progress = self.sim.progress.load(Ordering::Relaxed);
            still = if progress == seen { still + 1 } else { 0 };
            seen = progress;
            if still > STILL {
                self.leap();
                still = 0;
            }
        }
        Ok(())
    }

    /// Somebody begins something.
    fn arrive(&mut self) {
        if self.sim.replicate() {
            self.spawn(Job::Compare);
            // What the operator said last may be forgotten: they begin anew.
            self.tasks.retain(|task| !matches!(task.job, Job::Operate));
            self.spawn(Job::Operate);
            if !self.is_driven() {
                self.spawn(Job::Drive);
            }
        }
        let (looks, dispatches, hears) = {
            let mut rng = self.sim.rng();
            (rng.per_mille(30), rng.per_mille(120), rng.per_mille(40))
        };
        let busy = self.tasks.len() > 6;
        if looks && !self.tasks.iter().any(|task| matches!(task.job, Job::Look)) {
            self.spawn(Job::Look);
        }
        if dispatches && !busy {
            self.spawn(Job::Dispatch);
        }
        if hears && !busy && !self.sim.provider.lock().unwrap().receipts.is_empty() {
            self.spawn(Job::Hear);
        }
    }

    fn step(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let chosen = self.sim.rng().below(self.tasks.len());
        let faults = self.sim.faults();
        let turn = self.turn;
        if self.tasks[chosen].asleep > turn {
            return;
        }
        if self.sim.chance(faults.doze) {
            self.tasks[chosen].asleep = turn + self.sim.rng().below(300);
            return;
        }
        if self.sim.chance(faults.crash) {
            let dead = self.tasks.swap_remove(chosen);
            self.sim.say(|| "somebody dies".to_owned());
            match dead.job {
                Job::Drive | Job::Compare => self.spawn(dead.job),
                Job::Operate => {
                    // Whether their last word was heard is not known; the next one begins with another.
                    self.sim.stopped.store(false, Ordering::Relaxed);
                    self.spawn(Job::Operate);
                }
                Job::Look | Job::Dispatch | Job::Hear => {}
            }
            return;
        }
        let polled = self.tasks[chosen]
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Pending => {}
            Poll::Ready(outcome) => {
                let task = self.tasks.swap_remove(chosen);
                if matches!(task.job, Job::Drive | Job::Operate | Job::Compare) && outcome.is_err() {
                    self.spawn(task.job);
                }
            }
        }
    }

    /// Time goes on to the next moment for which somebody waits, or by a little.
    fn leap(&mut self) {
        let now = self.sim.now();
        let next = {
            let mut alarms = self.sim.alarms.lock().unwrap();
            alarms.retain(|at| *at > now);
            alarms.iter().min().copied()
        };
        let by = next
            .map_or(Duration::from_secs(5), |at| at.since(now))
            .min(Duration::from_secs(5));
        self.sim.clock.advance(i64::try_from(by.as_millis()).unwrap() + 1);
    }
}

/// Work of one process, alone.
fn alone<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, String> {
    let mut work = std::pin::pin!(work);
    for _ in 0..MOST {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done.map_err(|error| error.to_string());
        }
    }
    Err("does not come to an end".to_owned())
}

/// What the store, the provider and the campaign say must be the same.
fn judge(sim: &Arc<Sim>) -> Result<(), String> {
    *sim.faults.lock().unwrap() = Faults::default();
    let process = Process::start(sim);
    // Receipts that are still on their way.
    while !sim.provider.lock().unwrap().receipts.is_empty() {
        alone(Process::start(sim).hear())?;
    }
    let record: CampaignRecord = alone(async {
        let loaded = campaign::get(&process.context(), id()).await?;
        Ok(loaded.value.unwrap_or_default())
    })?;
    let state = life::state(&record);
    if !has_ended(state) {
        return Err(format!("the campaign is {state:?} in the end"));
    }
    let rows = alone(process.standing())?;
    everybody_once(sim, &rows, state)?;
    sums(
        &rows,
        &alone(async { Ok(campaign::sums(&process.context(), id().handle(), 2).await?) })?,
    )?;
    let of = record.campaign.as_ref().unwrap();
    let plan = Plan::new(of, Moment(record.send_until_ms));
    for recipient in &rows {
        as_provider_saw(sim, recipient, &plan)?;
    }
    Ok(())
}

/// Each of the audience has one row, and nobody else has.
fn everybody_once(sim: &Sim, rows: &[Recipient], state: CampaignState) -> Result<(), String> {
    let wanted: BTreeSet<_> = sim.people.0.iter().map(|customer| customer.to_bytes()).collect();
    let mut found = BTreeSet::new();
    for recipient in rows {
        if !found.insert(recipient.row.customer.clone()) {
            return Err(format!("{:?} stands there twice", recipient.row.customer));
        }
        if !recipient.row.settled {
            return Err(format!("{} has not ended", told(&recipient.row)));
        }
    }
    let complete = state == CampaignState::Succeeded;
    match found.is_subset(&wanted) && (found == wanted || !complete) {
        true => Ok(()),
        false => Err(format!("{} of {} recipients", found.len(), wanted.len())),
    }
}

fn sums(rows: &[Recipient], counted: &Sums) -> Result<(), String> {
    let mut moves = Moves::default();
    rows.iter().for_each(|recipient| moves.row(None, &recipient.row));
    let mut expected = Sums::default();
    moves
        .deltas()
        .for_each(|(cell, count): (Cell, i64)| expected.add(cell, count));
    match expected == *counted {
        true => Ok(()),
        false => Err(format!("counted {counted:?}, there are {expected:?}")),
    }
}

/// Nobody got a message twice, unless that is said; what was taken is not denied.
fn as_provider_saw(sim: &Sim, recipient: &Recipient, plan: &Plan) -> Result<(), String> {
    let row = &recipient.row;
    let provider = sim.provider.lock().unwrap();
    let mut taken: BTreeMap<u32, u32> = BTreeMap::new();
    for ((sent, _), times) in &provider.taken {
        if sent.place == recipient.place {
            *taken.entry(u32::from(sent.step)).or_default() += times;
        }
    }
    for (step, times) in taken {
        let most = if plan.may_repeat { 2 } else { 1 };
        if times > most {
            return Err(format!("step {step} reached them {times} times: {}", told(row)));
        }
        let past = usize::try_from(step).ok().and_then(|step| ledger::past(row).nth(step));
        let said = match (&past, step.cmp(&row.step)) {
            (Some(past), _) => past.late.unwrap_or(past.state),
            (None, std::cmp::Ordering::Equal) => ledger::state(row),
            (None, _) => return Err(format!("step {step} left, and is not told of: {}", told(row))),
        };
        let twice = past.map_or(row.possible_duplicate, |past| past.possible_duplicate);
        if times == 2 && !twice {
            return Err(format!("twice, and nobody says so: {}", told(row)));
        }
        let denied = matches!(
            said,
            DeliveryState::Skipped
                | DeliveryState::Failed
                | DeliveryState::Expired
                | DeliveryState::Cancelled
                | DeliveryState::Planned
        );
        if denied {
            return Err(format!("step {step} was taken, and {said:?} is said: {}", told(row)));
        }
    }
    Ok(())
}
