//! Operations on a small world of people, by workers that give up in the middle now and then and begin again.

use crate::rng::Rng;
use crate::told::{TENANT, arrival, person};
use omnigate_core::append::Arrival;
use omnigate_core::id::{Birth, CustomerId, EventId, TransactionId, hash};
use omnigate_core::identifier;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::identity::{built_in_of, is_held, member};
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::identity::{Command, erase, merge, split};
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::protocol::{Ports, Stop, read};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::Membership;
use omnigate_proto::v1::Identifier;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Workers at a time.
const WORKERS: usize = 12;
/// People of each kind of identifier.
const PEOPLE: usize = 60;
/// An operation that does not end by then is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a worker does.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A message that comes by its last identifier.
    Message(Box<Arrival>),
    /// Two are one, on a person's word.
    Merge(Identifier, Identifier),
    /// The oldest or newest merge of somebody is taken back.
    Undo(Identifier, bool),
    /// Somebody's identifier gets a customer of its own.
    Unlink(Identifier),
    /// An address gets a new holder.
    NewHolder(Identifier),
    /// Some of what a merge brought somebody is taken back, with other identifiers.
    Part(Identifier, Vec<Identifier>),
    /// Somebody is erased.
    Erase(Identifier),
    /// Somebody is read.
    Read(Identifier),
}

/// Everything that is to be done.
pub(crate) struct Work {
    rng: Mutex<Rng>,
    /// What is to be done; without it, whatever chance wants.
    script: Vec<Operation>,
    operations: usize,
    begun: AtomicUsize,
    done: AtomicUsize,
    refused: AtomicUsize,
    moved_on: Notify,
    /// Messages that were applied, by event, with the identifier they came by.
    pub(crate) messages: Mutex<BTreeMap<EventId, Identifier>>,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Work {
    pub(crate) fn new(operations: usize, rng: Rng) -> Self {
        Self {
            rng: Mutex::new(rng),
            script: Vec::new(),
            operations,
            begun: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            moved_on: Notify::new(),
            messages: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    /// Work that is written down.
    pub(crate) fn scripted(script: Vec<Operation>, rng: Rng) -> Self {
        Self {
            operations: script.len(),
            script,
            ..Self::new(0, rng)
        }
    }

    /// Has every message come once more, as from the journal.
    pub(crate) async fn redeliver(&self, ports: &Ports) {
        let arrivals = self.arrivals.lock().unwrap().clone();
        for (number, arrival) in arrivals.into_iter().enumerate() {
            self.carry_out(ports, number, &Operation::Message(Box::new(arrival)))
                .await;
        }
    }

    /// How many operations there are.
    pub(crate) const fn operations(&self) -> usize {
        self.operations
    }

    /// How many are done.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Returns when so many operations are done.
    pub(crate) async fn until_done(&self, count: usize) {
        self.until(|| self.done.load(Ordering::Relaxed) >= count.min(self.operations))
            .await;
    }

    /// Returns when the store has refused something.
    pub(crate) async fn until_refused(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        let all = || self.done.load(Ordering::Relaxed) >= self.operations;
        self.until(|| self.refused.load(Ordering::Relaxed) > before || all())
            .await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        let waits = async {
            loop {
                let next = self.moved_on.notified();
                if holds() {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }

    pub(crate) async fn run(self: &Arc<Self>, processes: &[Arc<Ports>]) {
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let (work, ports) = (Arc::clone(self), Arc::clone(&processes[number % processes.len()]));
            workers.spawn(async move { work.work(&ports).await });
        }
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    }

    async fn work(&self, ports: &Ports) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.operations {
                return;
            }
            let operation = self.draw(number, ports.clock.now());
            let carried = tokio::time::timeout(PATIENCE, self.carry_out(ports, number, &operation));
            assert!(carried.await.is_ok(), "stuck: {operation:?}");
            self.done.fetch_add(1, Ordering::Relaxed);
            self.moved_on.notify_waiters();
        }
    }

    /// Tries until it is done; some tries are given up in the middle, as if the process had died.
    async fn carry_out(&self, ports: &Ports, number: usize, operation: &Operation) {
        let mut chosen = None;
        loop {
            let life = {
                let mut rng = self.rng.lock().unwrap();
                let dies = rng.per_mille(250);
                dies.then(|| Duration::from_micros(u64::try_from(rng.below(12_000)).unwrap()))
            };
            let tried = self.attempt(ports, number, operation, &mut chosen);
            let ended = match life {
                Some(life) => match tokio::time::timeout(life, tried).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                },
                None => tried.await,
            };
            match ended {
                Ok(()) => return,
                Err(Stop::Contended(_)) => tokio::task::yield_now().await,
                Err(Stop::Store(_)) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    self.moved_on.notify_waiters();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        ports: &Ports,
        number: usize,
        operation: &Operation,
        chosen: &mut Option<(Command, CustomerId)>,
    ) -> Result<(), Stop> {
        let context = ports.context();
        let asking = Asking {
            tenant_id: TENANT,
            received_at: context.now(),
            trace_id: "",
            replaces: None,
        };
        match operation {
            Operation::Message(arrival) => {
                apply(&context, std::slice::from_ref(&**arrival)).await?;
                Ok(())
            }
            Operation::Merge(one, other) => {
                let people = [person(one), person(other)];
                let both = [&people[0], &people[1]];
                merge(&context, &asking, both, Word::Person, &mut Vec::new()).await?;
                Ok(())
            }
            Operation::Erase(of) => {
                let found = read::resolve(&context, TENANT, of).await?;
                if let Some(whole) = found {
                    erase(&context, TENANT, whole.id).await?;
                }
                Ok(())
            }
            Operation::Read(of) => {
                read::resolve(&context, TENANT, of).await?;
                Ok(())
            }
            Operation::Undo(..) | Operation::Part(..) | Operation::Unlink(_) | Operation::NewHolder(_) => {
                if chosen.is_none() {
                    *chosen = self.choose(ports, number, operation).await?;
                }
                let Some((command, from)) = chosen else { return Ok(()) };
                split(&context, command, *from, &mut Vec::new()).await?;
                Ok(())
            }
        }
    }

    /// Chooses what a command is about, once; nothing when there is nothing to take apart.
    async fn choose(
        &self,
        ports: &Ports,
        number: usize,
        operation: &Operation,
    ) -> Result<Option<(Command, CustomerId)>, Stop> {
        let (of, newest) = match operation {
            Operation::Undo(of, newest) => (of, *newest),
            Operation::Unlink(of) | Operation::NewHolder(of) | Operation::Part(of, _) => (of, false),
            Operation::Message(_) | Operation::Merge(..) | Operation::Erase(_) | Operation::Read(_) => return Ok(None),
        };
        let Some(whole) = read::resolve(&ports.context(), TENANT, of).await? else {
            return Ok(None);
        };
        let Some(membership) = member(&whole.record.members, of) else {
            return Ok(None);
        };
        let alone = is_alone(&whole.record.members);
        let fresh = || {
            CustomerId::new(
                ports.clock.now(),
                identifier::key(TENANT, of).shard(),
                ports.entropy.bytes(),
            )
        };
        let (what, gets, from, birth) = match operation {
            Operation::Undo(..) | Operation::Part(..) => {
                let only = match operation {
                    Operation::Part(_, only) => Some(only.clone()),
                    _ => None,
                };
                let step = if newest {
                    membership.path.last()
                } else {
                    membership.path.first()
                };
                let Some(step) = step.cloned() else { return Ok(None) };
                let gets = CustomerId::from_bytes(&step.loser).unwrap();
                (What::Merge { step, only }, gets, gets, gets.to_bytes())
            }
            _ if alone => return Ok(None),
            Operation::NewHolder(of) => (What::NewHolder(of.clone()), fresh(), whole.id, membership.birth.clone()),
            _ => (
                What::Unlink(vec![of.clone()]),
                fresh(),
                whole.id,
                membership.birth.clone(),
            ),
        };
        let command = Command {
            name: TransactionId(hash("operation", &[&number.to_be_bytes()])[..16].try_into().unwrap()).to_string(),
            tenant_id: TENANT.to_owned(),
            gets,
            what,
            birth: Birth::from_bytes(&birth).unwrap(),
            trace_id: String::new(),
        };
        Ok(Some((command, from)))
    }

    fn draw(&self, number: usize, now: Moment) -> Operation {
        let operation = match self.script.get(number).cloned() {
            Some(Operation::Message(mut arrival)) => {
                arrival.received_at = now;
                arrival.event.received_at = Some(now.to_timestamp());
                arrival.bytes = prost::Message::encode_to_vec(&arrival.event).into();
                Operation::Message(arrival)
            }
            Some(operation) => operation,
            None => self.draw_any(number, now),
        };
        if let Operation::Message(arrival) = &operation {
            let peer = arrival.event.peer.clone().unwrap();
            self.messages.lock().unwrap().insert(arrival.id, peer);
            self.arrivals.lock().unwrap().push((**arrival).clone());
        }
        operation
    }

    fn draw_any(&self, number: usize, now: Moment) -> Operation {
        let mut rng = self.rng.lock().unwrap();
        let one = identifier_of(&mut rng);
        match rng.below(100) {
            0..60 => {
                let mut identifiers: Vec<Identifier> = (0..rng.below(3)).map(|_| identifier_of(&mut rng)).collect();
                identifiers.push(one);
                Operation::Message(Box::new(arrival(&number.to_string(), &identifiers, now)))
            }
            60..75 => Operation::Merge(one, identifier_of(&mut rng)),
            75..88 => Operation::Undo(one, rng.per_mille(500)),
            88..96 => Operation::Unlink(one),
            _ => Operation::NewHolder(one),
        }
    }
}

/// True when there is nothing that an identifier could be taken from.
fn is_alone(members: &[Membership]) -> bool {
    let named = |member: &&Membership| member.identifier.as_ref().is_some_and(|of| built_in_of(of).is_none());
    members.iter().filter(|member| is_held(member)).filter(named).count() < 2
}

/// Few people of each kind, so that they meet often.
fn identifier_of(rng: &mut Rng) -> Identifier {
    let number = rng.below(PEOPLE);
    let (kind, scope) = match rng.below(8) {
        0 => ("crm", "erp".to_owned()),
        1 | 2 => ("phone", String::new()),
        3 | 4 => ("email", String::new()),
        _ => ("zalo_uid", format!("oa-{}", number % 20)),
    };
    let value = match kind {
        "phone" => format!("+849000{number:05}"),
        "email" => format!("{number}@example.vn"),
        _ => format!("{number}-1"),
    };
    Identifier {
        r#type: kind.to_owned(),
        scope,
        value,
    }
}
