//! One schedule: queues, processes that hold partitions, and an executor that gives everybody a turn at random.

use crate::breakage::Breakage;
use crate::judgement::judge;
use crate::oracle::thread_name;
use crate::process::Process;
use crate::scenario::{PARTITIONS, Push, arrival};
use crate::store::{Faults, Sim};
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::keys::{self, Timer};
use omnigate_core::partition;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::Stop;
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// From this step on nothing goes wrong any more.
const CALM: usize = 3_000;
/// A schedule that takes longer does not come to rest.
const MOST_STEPS: usize = 60_000;
/// Deliveries a subscription may have in hand.
const PREFETCH: usize = 4;

struct Delivery {
    arrivals: Vec<Arrival>,
    acknowledged: bool,
}

/// A subscription of a process to a partition's queue.
struct Consumer {
    process: usize,
    partition: usize,
    next: usize,
    /// Events of each delivery in hand that are not done.
    open: BTreeMap<usize, usize>,
    lines: BTreeMap<String, VecDeque<(Arrival, usize)>>,
    busy: BTreeSet<String>,
    /// Another process holds the partition by now; acknowledgements count for nothing.
    stale: bool,
}

type Work = Pin<Box<dyn Future<Output = Result<(), Stop>>>>;

struct Task {
    process: usize,
    work: Work,
    asleep_until: usize,
    /// Consumer, line and deliveries, for work on events.
    on: Option<(usize, String, Vec<usize>)>,
}

pub(crate) struct World {
    sim: Arc<Sim>,
    processes: Vec<Arc<Process>>,
    queues: Vec<Vec<Delivery>>,
    consumers: BTreeMap<usize, Consumer>,
    tasks: Vec<Task>,
    script: VecDeque<Push>,
    step: usize,
    consumer_count: usize,
}

/// Runs a schedule; the complaint says which promise was not kept.
pub(crate) fn run(
    seed: u64,
    script: Vec<Push>,
    faults: Faults,
    breakage: Breakage,
    verbose: bool,
) -> Result<(), String> {
    let sim = Sim::new(seed, faults, breakage, verbose);
    let processes = (0..1 + sim.rng().below(3)).map(|_| Process::start(&sim)).collect();
    let mut world = World {
        processes,
        queues: (0..PARTITIONS).map(|_| Vec::new()).collect(),
        consumers: BTreeMap::new(),
        tasks: Vec::new(),
        script: script.into(),
        step: 0,
        consumer_count: 0,
        sim,
    };
    for partition in 0..world.queues.len() {
        world.subscribe(partition);
    }
    world.play()
}

impl World {
    fn play(&mut self) -> Result<(), String> {
        while !self.is_at_rest() {
            self.step += 1;
            if self.step > MOST_STEPS {
                return Err("does not come to rest".into());
            }
            if self.step == CALM {
                *self.sim.faults.lock().unwrap() = Faults::default();
            }
            self.sim.clock.advance(1);
            self.something_happens();
            self.let_time_pass();
            self.complaint()?;
        }
        *self.sim.faults.lock().unwrap() = Faults::default();
        self.sweep_all()?;
        judge(&mut self.sim.oracle());
        self.complaint()
    }

    fn complaint(&self) -> Result<(), String> {
        self.sim.oracle().complaint.clone().map_or(Ok(()), Err)
    }

    fn is_at_rest(&self) -> bool {
        self.nothing_is_left() && self.sim.oracle().timers.is_empty()
    }

    fn nothing_is_left(&self) -> bool {
        let acknowledged = |queue: &Vec<Delivery>| queue.iter().all(|delivery| delivery.acknowledged);
        self.script.is_empty() && self.tasks.is_empty() && self.queues.iter().all(acknowledged)
    }

    /// Where everything that came is settled, time passes until what waits is given up.
    fn let_time_pass(&mut self) {
        if !self.nothing_is_left() {
            return;
        }
        let next = self.sim.oracle().timers.iter().map(|(_, member)| due(member).0).min();
        if let Some(next) = next {
            // Who lost a partition does not go on for minutes.
            self.consumers.values_mut().for_each(|consumer| consumer.lines.clear());
            self.sim.clock.advance((next.0 - self.sim.clock.now().0).max(0));
        }
    }

    /// A scheduler looks at a timer that is due.
    fn round(&mut self) {
        let now = self.sim.clock.now();
        let due: Vec<_> = self.sim.oracle().timers.iter().map(|(_, member)| due(member)).collect();
        let due: Vec<_> = due.into_iter().filter(|(at, _)| *at <= now).collect();
        if due.is_empty() {
            return self.poll();
        }
        let (at, home) = self.sim.rng().pick(&due);
        let process = self.sim.rng().below(self.processes.len());
        let work = Box::pin(self.processes[process].clone().give_up(home, at));
        self.tasks.push(Task {
            process,
            work,
            asleep_until: 0,
            on: None,
        });
    }

    fn something_happens(&mut self) {
        let faults = self.sim.faults();
        let (dice, crash, overlap, leap) = {
            let mut rng = self.sim.rng();
            (
                rng.below(100),
                rng.per_mille(faults.crash),
                rng.per_mille(faults.overlap),
                rng.per_mille(faults.leap),
            )
        };
        if crash {
            return self.crash();
        }
        if leap {
            self.sim.oracle().leapt = true;
            let most = self.sim.rng().pick(&[60_000, 301_000]);
            return self.sim.clock.advance(most);
        }
        if overlap {
            let partition = self.sim.rng().below(self.queues.len());
            return self.subscribe(partition);
        }
        match dice {
            0..6 => self.push(),
            6..30 => self.fetch_and_start(),
            30..32 => self.background(),
            32..34 if !self.sim.oracle().timers.is_empty() => self.round(),
            _ => self.poll(),
        }
    }

    /// Ingest puts the next events on their queues.
    fn push(&mut self) {
        let Some(push) = self.script.pop_front() else {
            return self.fetch_and_start();
        };
        let mut batches: BTreeMap<u16, Vec<Arrival>> = BTreeMap::new();
        let now = self.sim.clock.now();
        for event in push {
            let partition = partition::of(&event, PARTITIONS).0;
            let arrival = arrival(event, now);
            self.sim.oracle().pushed(&arrival);
            self.sim.say(|| format!("push {} to {partition}", arrival.id));
            batches.entry(partition).or_default().push(arrival);
        }
        for (partition, arrivals) in batches {
            let acknowledged = false;
            self.queues[usize::from(partition)].push(Delivery { arrivals, acknowledged });
        }
    }

    /// A partition gets a new holder, at any process; the old one goes on with what it has and does not know.
    fn subscribe(&mut self, partition: usize) {
        for consumer in self
            .consumers
            .values_mut()
            .filter(|consumer| consumer.partition == partition)
        {
            consumer.stale = true;
        }
        let process = self.sim.rng().below(self.processes.len());
        let next = self.queues[partition]
            .iter()
            .position(|delivery| !delivery.acknowledged);
        self.consumer_count += 1;
        let consumer = Consumer {
            process,
            partition,
            next: next.unwrap_or(self.queues[partition].len()),
            open: BTreeMap::new(),
            lines: BTreeMap::new(),
            busy: BTreeSet::new(),
            stale: false,
        };
        self.sim
            .say(|| format!("process {process} takes partition {partition}"));
        self.consumers.insert(self.consumer_count, consumer);
    }

    fn fetch_and_start(&mut self) {
        let ids: Vec<usize> = self.consumers.keys().copied().collect();
        for id in ids {
            self.fetch(id);
            self.start(id);
        }
    }

    fn fetch(&mut self, id: usize) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        let queue = &mut self.queues[consumer.partition];
        let most = if self.sim.rng().per_mille(300) { 1 } else { PREFETCH };
        while !consumer.stale && consumer.next < queue.len() && consumer.open.len() < most {
            let number = consumer.next;
            consumer.next += 1;
            if queue[number].acknowledged {
                continue;
            }
            let arrivals = queue[number].arrivals.clone();
            consumer.open.insert(number, arrivals.len());
            for arrival in arrivals {
                consumer
                    .lines
                    .entry(thread_name(&arrival))
                    .or_default()
                    .push_back((arrival, number));
            }
        }
    }

    /// Starts work on idle threads: on all events at hand, or on some.
    fn start(&mut self, id: usize) {
        let breakage = self.sim.breakage;
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        let mut early = Vec::new();
        for (name, line) in &mut consumer.lines {
            let busy = consumer.busy.contains(name) && breakage != Breakage::ThreadSideBySide;
            if busy || line.is_empty() || self.sim.rng().per_mille(300) {
                continue;
            }
            let all = line.len();
            let taken = if self.sim.rng().per_mille(500) {
                all
            } else {
                1 + self.sim.rng().below(all)
            };
            let (arrivals, deliveries): (Vec<Arrival>, Vec<usize>) = line.drain(..taken).unzip();
            consumer.busy.insert(name.clone());
            early.extend_from_slice(&deliveries);
            let work = Box::pin(self.processes[consumer.process].clone().work(arrivals));
            self.tasks.push(Task {
                process: consumer.process,
                work,
                asleep_until: 0,
                on: Some((id, name.clone(), deliveries)),
            });
        }
        if breakage == Breakage::AckBeforeCommit {
            for delivery in early {
                self.acknowledge(id, delivery);
            }
        }
    }

    fn acknowledge(&mut self, consumer: usize, number: usize) {
        let Some(consumer) = self.consumers.get(&consumer).filter(|consumer| !consumer.stale) else {
            return;
        };
        let delivery = &mut self.queues[consumer.partition][number];
        delivery.acknowledged = true;
        let mut oracle = self.sim.oracle();
        for arrival in &delivery.arrivals {
            oracle.acknowledged(arrival.id);
        }
    }

    /// A process publishes leftovers or takes published ones out.
    fn background(&mut self) {
        let process = self.sim.rng().below(self.processes.len());
        let shards: Vec<Shard> = self.sim.oracle().outbox.keys().map(|(shard, _)| *shard).collect();
        let holder = self.processes[process].clone();
        let sweep = !shards.is_empty() && self.sim.rng().per_mille(500);
        let work: Work = if sweep && self.sim.breakage != Breakage::LeftoversForgotten {
            let shard = self.sim.rng().pick(&shards);
            Box::pin(holder.sweep(shard, Duration::from_millis(100)))
        } else {
            Box::pin(holder.flush())
        };
        self.tasks.push(Task {
            process,
            work,
            asleep_until: 0,
            on: None,
        });
    }

    /// Gives one task a turn.
    fn poll(&mut self) {
        let awake: Vec<usize> = (0..self.tasks.len())
            .filter(|task| self.tasks[*task].asleep_until <= self.step)
            .collect();
        let among: Vec<usize> = if awake.is_empty() {
            (0..self.tasks.len()).collect()
        } else {
            awake
        };
        if among.is_empty() {
            return self.fetch_and_start();
        }
        let chosen = self.sim.rng().pick(&among);
        let doze = self.sim.faults().doze;
        if self.sim.rng().per_mille(doze) {
            self.tasks[chosen].asleep_until = self.step + self.sim.rng().below(300);
            return;
        }
        let polled = self.tasks[chosen]
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(ended) = polled {
            let task = self.tasks.swap_remove(chosen);
            if let Some((consumer, line, deliveries)) = task.on {
                self.ended(consumer, &line, deliveries, ended.is_ok());
            }
        }
    }

    fn ended(&mut self, id: usize, line: &str, deliveries: Vec<usize>, applied: bool) {
        let breakage = self.sim.breakage;
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        if !applied && breakage != Breakage::AckOnError {
            // Everything unsettled is given back and comes again.
            if !consumer.stale {
                let partition = consumer.partition;
                self.subscribe(partition);
            }
            self.consumers.remove(&id);
            return;
        }
        consumer.busy.remove(line);
        let mut done = Vec::new();
        for number in deliveries {
            let Some(open) = consumer.open.get_mut(&number) else {
                continue;
            };
            *open -= 1;
            if *open == 0 || breakage == Breakage::AckOfFirstThread {
                consumer.open.remove(&number);
                done.push(number);
            }
        }
        for number in done {
            self.acknowledge(id, number);
        }
    }

    /// A whole process dies, or one of its workers does.
    fn crash(&mut self) {
        let process = self.sim.rng().below(self.processes.len());
        if self.sim.rng().per_mille(400) {
            let of_process: Vec<usize> = (0..self.tasks.len())
                .filter(|task| self.tasks[*task].process == process)
                .collect();
            if !of_process.is_empty() {
                let chosen = self.sim.rng().pick(&of_process);
                let task = self.tasks.swap_remove(chosen);
                if let Some((consumer, line, deliveries)) = task.on {
                    drop(task.work);
                    self.sim.say(|| format!("a worker of process {process} dies"));
                    self.ended(consumer, &line, deliveries, false);
                }
            }
            return;
        }
        self.sim.say(|| format!("process {process} dies"));
        self.tasks.retain(|task| task.process != process);
        self.processes[process] = Process::start(&self.sim);
        let lost: Vec<usize> = self
            .consumers
            .iter()
            .filter(|(_, consumer)| consumer.process == process)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            let consumer = self.consumers.remove(&id).unwrap();
            if !consumer.stale {
                self.subscribe(consumer.partition);
            }
        }
    }

    /// The lease holders publish what is left over.
    fn sweep_all(&mut self) -> Result<(), String> {
        for process in &self.processes {
            finish(Box::pin(process.clone().flush()));
        }
        if self.sim.breakage == Breakage::LeftoversForgotten {
            return Ok(());
        }
        for _ in 0..20 {
            let shards: BTreeSet<Shard> = self.sim.oracle().outbox.keys().map(|(shard, _)| *shard).collect();
            for shard in &shards {
                finish(Box::pin(self.processes[0].clone().sweep(*shard, Duration::ZERO)));
            }
            self.complaint()?;
            if shards.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

/// When a timer is due, and the home that it is about.
fn due(member: &[u8]) -> (Moment, CustomerId) {
    match keys::read_timer_member(member) {
        Some((due, Timer::Pieces(home))) => (due, home),
        other => panic!("{other:?}"),
    }
}

fn finish(mut work: Work) {
    while work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}
