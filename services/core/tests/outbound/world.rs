//! One schedule: queues, processes, and an executor that gives everybody a turn at random.

use crate::breakage::Breakage;
use crate::judgement::judge;
use crate::people;
use crate::process::Process;
use crate::rng::Rng;
use crate::script::{self, Call};
use crate::sim::{Faults, Sim};
use omnigate_core::id::{EventId, MessageId};
use omnigate_core::keys;
use omnigate_core::protocol::Stop;
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// From this step on nothing goes wrong any more.
const CALM: usize = 2_500;
/// A schedule that takes longer does not come to rest.
const MOST_STEPS: usize = 40_000;
/// Nothing may take longer than this; what lapses later than that was forgotten.
const MOST_TIME: Duration = Duration::from_secs(6 * 3600);

type Work = Pin<Box<dyn Future<Output = Result<(), Stop>>>>;

/// What a task works on, for when it dies or fails.
#[derive(Clone, Debug)]
enum On {
    Call(Call),
    Hint(MessageId),
    Receipt(EventId),
    Act(people::Thread),
    Nothing,
}

struct Task {
    process: usize,
    work: Work,
    asleep_until: Moment,
    on: On,
}

pub(crate) struct World {
    sim: Arc<Sim>,
    processes: Vec<Arc<Process>>,
    tasks: Vec<Task>,
    calls: VecDeque<Call>,
    /// What people are still going to do.
    acts: BTreeMap<people::Thread, Vec<people::Act>>,
    step: usize,
    /// Turns since something happened.
    stalled: usize,
    progress: u64,
}

/// Runs a schedule; the complaint says which promise was not kept.
pub(crate) fn run(seed: u64, breakage: Breakage, verbose: bool) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let calls = script::draw(&mut rng);
    let threads: BTreeSet<people::Thread> = calls.iter().map(|call| (call.account, call.peer)).collect();
    let salt = rng.next();
    let acts = people::draw(&mut rng, &Vec::from_iter(threads), salt);
    let has_windows = rng.per_mille(400);
    let faults = Faults {
        unavailable: rng.pick(&[0, 0, 10]),
        unknown: rng.pick(&[0, 30, 150]),
        unconfirmed: rng.pick(&[0, 50]),
        lost_hint: rng.pick(&[0, 100, 400]),
        doubled_hint: rng.pick(&[0, 300]),
        crash: rng.pick(&[0, 2, 10]),
        doze: rng.pick(&[0, 10, 50]),
        leap: rng.pick(&[0, 2, 20]),
        slow: rng.pick(&[0, 0, 100, 400]),
        provider: rng.pick(&[0, 300, 700]),
    };
    let sim = Sim::new(rng.next(), faults, breakage, verbose);
    sim.oracle().has_windows = has_windows;
    sim.provider.lock().unwrap().has_windows = has_windows;
    let processes = (0..1 + rng.below(3)).map(|_| Process::start(&sim)).collect();
    let mut world = World {
        sim,
        processes,
        tasks: Vec::new(),
        calls: calls.into(),
        acts,
        step: 0,
        stalled: 0,
        progress: 0,
    };
    world.play()
}

impl World {
    fn play(&mut self) -> Result<(), String> {
        let begin = self.sim.now();
        while !self.is_at_rest() {
            self.step += 1;
            if self.step > MOST_STEPS || self.sim.now().since(begin) > MOST_TIME {
                return Err("does not come to rest".into());
            }
            if self.step == CALM {
                *self.sim.faults.lock().unwrap() = Faults::default();
                self.sim.say(|| "from here on nothing goes wrong".to_owned());
            }
            self.sim.clock.advance(1);
            self.something_happens();
            self.notice();
            self.complaint()?;
        }
        let provider = self.sim.provider.lock().unwrap();
        judge(&mut self.sim.oracle(), &provider);
        drop(provider);
        self.complaint()
    }

    fn complaint(&self) -> Result<(), String> {
        self.sim.oracle().complaint.clone().map_or(Ok(()), Err)
    }

    fn is_at_rest(&self) -> bool {
        let nobody_acts = self.acts.is_empty() && self.sim.acts.lock().unwrap().is_empty();
        let nothing_waits = self.calls.is_empty() && self.tasks.is_empty() && self.sim.hints.lock().unwrap().is_empty();
        let nothing_waits = nothing_waits && nobody_acts;
        let oracle = self.sim.oracle();
        nothing_waits
            && oracle.timers.is_empty()
            && oracle.outbox.is_empty()
            && self.sim.receipts.lock().unwrap().is_empty()
    }

    fn something_happens(&mut self) {
        let faults = self.sim.faults();
        if self.sim.chance(faults.crash) {
            return self.crash();
        }
        if self.sim.chance(faults.leap) {
            let leap = self.sim.rng().pick(&[100, 2_000, 21_000, 40_000, 80_000, 200_000]);
            return self.sim.clock.advance(leap);
        }
        let dice = self.sim.rng().below(100);
        match dice {
            0..5 => self.call(),
            5..20 => self.take_hint(),
            20..27 => self.round(),
            27..31 => self.background(),
            31..36 => self.take_receipt(),
            36..38 => self.somebody_acts(),
            38..41 => self.take_act(),
            _ => self.poll(),
        }
    }

    /// Where nothing happens any more, time passes until something may.
    fn notice(&mut self) {
        let progress = self.sim.progress.load(Ordering::Relaxed);
        self.stalled = if progress == self.progress { self.stalled + 1 } else { 0 };
        self.progress = progress;
        if self.stalled < 60 + 8 * self.tasks.len() {
            return;
        }
        self.stalled = 0;
        let now = self.sim.now();
        let mut alarms = self.sim.alarms.lock().unwrap();
        alarms.retain(|at| *at > now);
        let timers = self
            .sim
            .oracle()
            .timers
            .iter()
            .map(|(_, member)| due(member))
            .collect::<Vec<_>>();
        let receipts = self
            .sim
            .receipts
            .lock()
            .unwrap()
            .iter()
            .map(|one| one.at)
            .collect::<Vec<_>>();
        let next = alarms
            .iter()
            .copied()
            .chain(timers)
            .chain(receipts)
            .filter(|at| *at > now)
            .min();
        if let Some(next) = next {
            self.sim.clock.advance((next.0 - self.sim.now().0).max(0));
        }
    }

    fn spawn(&mut self, on: On, work: impl FnOnce(Arc<Process>) -> Work) {
        let process = self.sim.rng().below(self.processes.len());
        self.sim.progress.fetch_add(1, Ordering::Relaxed);
        self.tasks.push(Task {
            process,
            work: work(self.processes[process].clone()),
            asleep_until: Moment(0),
            on,
        });
    }

    fn call(&mut self) {
        match self.calls.pop_front() {
            Some(call) => self.spawn(On::Call(call.clone()), |process| Box::pin(process.call(call))),
            None => self.poll(),
        }
    }

    fn take_hint(&mut self) {
        let taken = {
            let mut hints = self.sim.hints.lock().unwrap();
            let place = self.sim.rng().below(hints.len());
            (!hints.is_empty()).then(|| hints.swap_remove(place))
        };
        match taken {
            Some(id) => self.spawn(On::Hint(id), |process| Box::pin(process.dispatch(id))),
            None => self.poll(),
        }
    }

    /// A scheduler looks at a shard with timers that are due.
    fn round(&mut self) {
        let now = self.sim.now();
        let due: Vec<Shard> = {
            let oracle = self.sim.oracle();
            let due = oracle.timers.iter().filter(|(_, member)| due(member) <= now);
            due.map(|(shard, _)| *shard).collect()
        };
        if due.is_empty() || self.sim.breakage == Breakage::TimersIgnored {
            return self.poll();
        }
        let shard = self.sim.rng().pick(&due);
        self.spawn(On::Nothing, |process| Box::pin(process.round(shard)));
    }

    /// A process publishes leftovers or takes published ones out.
    fn background(&mut self) {
        let shards: BTreeSet<Shard> = self.sim.oracle().outbox.keys().map(|(shard, _)| *shard).collect();
        if shards.is_empty() {
            return self.poll();
        }
        let shards: Vec<Shard> = shards.into_iter().collect();
        let sweeps = self.sim.chance(500) && self.sim.breakage != Breakage::LeftoversForgotten;
        let shard = self.sim.rng().pick(&shards);
        self.spawn(On::Nothing, |process| {
            if sweeps {
                Box::pin(process.sweep(shard, Duration::from_millis(100)))
            } else {
                Box::pin(process.flush())
            }
        });
    }

    fn take_receipt(&mut self) {
        let now = self.sim.now();
        let taken = {
            let mut receipts = self.sim.receipts.lock().unwrap();
            let ready: Vec<usize> = (0..receipts.len())
                .filter(|number| receipts[*number].at <= now && !receipts[*number].in_hand)
                .collect();
            (!ready.is_empty()).then(|| {
                let chosen = self.sim.rng().pick(&ready);
                receipts[chosen].in_hand = true;
                receipts[chosen].arrival.clone()
            })
        };
        let Some(arrival) = taken else {
            return self.poll();
        };
        if self.sim.breakage == Breakage::ReceiptAckedEarly {
            self.settle_receipt(arrival.id, true);
        }
        self.spawn(On::Receipt(arrival.id), |process| Box::pin(process.receive(arrival)));
    }

    /// Ingest takes what somebody does; on the queue it stays behind what they did before.
    fn somebody_acts(&mut self) {
        let threads: Vec<people::Thread> = self.acts.keys().copied().collect();
        if threads.is_empty() {
            return self.poll();
        }
        let thread = self.sim.rng().pick(&threads);
        let left = self.acts.get_mut(&thread).unwrap();
        let act = left.remove(0);
        if left.is_empty() {
            self.acts.remove(&thread);
        }
        let now = self.sim.now();
        self.sim.say(|| format!("{act:?}"));
        self.sim.oracle().acts.insert(act.id(), (act.clone(), now));
        let mut lines = self.sim.acts.lock().unwrap();
        lines.entry(thread).or_default().acts.push_back((act, now));
    }

    fn take_act(&mut self) {
        let taken = {
            let mut lines = self.sim.acts.lock().unwrap();
            let idle: Vec<people::Thread> = lines
                .iter()
                .filter(|(_, line)| !line.in_hand)
                .map(|(thread, _)| *thread)
                .collect();
            (!idle.is_empty()).then(|| {
                let thread = self.sim.rng().pick(&idle);
                let line = lines.get_mut(&thread).unwrap();
                line.in_hand = true;
                (thread, line.acts[0].clone())
            })
        };
        let Some((thread, (act, at))) = taken else {
            return self.poll();
        };
        let early = self.sim.breakage == Breakage::ActAckedEarly;
        if early {
            self.settle_act(thread, true);
        }
        let on = if early { On::Nothing } else { On::Act(thread) };
        self.spawn(on, |process| Box::pin(process.act(act, at)));
    }

    /// What somebody did took effect, or comes again.
    fn settle_act(&self, thread: people::Thread, applied: bool) {
        let mut lines = self.sim.acts.lock().unwrap();
        let Some(line) = lines.get_mut(&thread) else {
            return;
        };
        line.in_hand = false;
        if applied {
            line.acts.pop_front();
        }
        if line.acts.is_empty() {
            lines.remove(&thread);
        }
    }

    /// A receipt was applied, or comes again.
    fn settle_receipt(&self, id: EventId, applied: bool) {
        let mut receipts = self.sim.receipts.lock().unwrap();
        if applied {
            receipts.retain(|one| one.arrival.id != id);
        }
        for one in receipts.iter_mut().filter(|one| one.arrival.id == id) {
            one.in_hand = false;
        }
    }

    /// Gives one task a turn.
    fn poll(&mut self) {
        let now = self.sim.now();
        let awake: Vec<usize> = (0..self.tasks.len())
            .filter(|task| self.tasks[*task].asleep_until <= now)
            .collect();
        if awake.is_empty() {
            return;
        }
        let chosen = self.sim.rng().pick(&awake);
        if self.sim.chance(self.sim.faults().doze) {
            let doze = self.sim.rng().pick(&[10, 500, 5_000, 35_000, 80_000, 150_000]);
            let until = Moment(now.0 + doze);
            self.tasks[chosen].asleep_until = until;
            self.sim.alarms.lock().unwrap().push(until);
            return;
        }
        let polled = self.tasks[chosen]
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(ended) = polled {
            let task = self.tasks.swap_remove(chosen);
            self.ended(task.on, ended.is_ok());
        }
    }

    fn ended(&mut self, on: On, well: bool) {
        self.sim.progress.fetch_add(1, Ordering::Relaxed);
        match on {
            On::Receipt(id) => self.settle_receipt(id, well),
            On::Act(thread) => self.settle_act(thread, well),
            // A caller that got no answer asks again, unless it loses interest.
            On::Call(call) if !well && self.sim.chance(700) => self.calls.push_back(call),
            On::Hint(id) if !well && self.sim.chance(500) => self.sim.hint(id),
            _ => {}
        }
    }

    /// A whole process dies, or one of its workers does.
    fn crash(&mut self) {
        let process = self.sim.rng().below(self.processes.len());
        let whole = self.sim.chance(500);
        let of_process: Vec<usize> = (0..self.tasks.len())
            .filter(|task| self.tasks[*task].process == process)
            .collect();
        if of_process.is_empty() {
            return;
        }
        let one = self.sim.rng().pick(&of_process);
        self.sim
            .say(|| format!("process {process} dies, or one of its workers"));
        let mut dead = Vec::new();
        for number in (0..self.tasks.len()).rev() {
            if (whole && self.tasks[number].process == process) || (!whole && number == one) {
                dead.push(self.tasks.swap_remove(number));
            }
        }
        if whole {
            self.processes[process] = Process::start(&self.sim);
        }
        for task in dead {
            if let On::Hint(id) = task.on {
                self.sim.oracle().in_doubt.insert(id);
            }
            drop(task.work);
            self.ended(task.on, false);
        }
    }
}

fn due(member: &[u8]) -> Moment {
    keys::read_timer_member(member).unwrap().0
}
