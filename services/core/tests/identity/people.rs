//! What the workers of a schedule do, each from its beginning when it died.

use crate::breakage::Breakage;
use crate::oracle::{holds, names};
use crate::scenario::identifier;
use crate::store::{Sim, SimStore};
use crate::time::pause;
use crate::told::{TENANT, arrival, person};
use bytes::Bytes;
use omnigate_core::id::{Birth, CustomerId, EventId, TransactionId};
use omnigate_core::identifier::{key, text};
use omnigate_core::identity::merge::{Merge, Word, survivor_and_loser};
use omnigate_core::identity::split::What;
use omnigate_core::identity::{Claimed, built_in, is_held, member, read_claim};
use omnigate_core::keyring::Keyring;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::entries::{View, Wanted, page};
use omnigate_core::protocol::identity::{Command, attempt, erase, find, load, merge, present, split};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::protocol::read::{self, Whole};
use omnigate_core::protocol::resolve::{Asking, claimed};
use omnigate_core::protocol::{Context, Stop};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::Membership;
use omnigate_proto::v1::Identifier;
use std::collections::BTreeSet;
use std::sync::Arc;

static KEYRING: Keyring = Keyring::none();

/// A worker with a connection and a memory of its own.
pub(crate) struct Worker {
    pub sim: Arc<Sim>,
    store: SimStore,
    cache: Cache,
    outbox: Outbox,
    name: &'static str,
    number: usize,
}

impl Worker {
    pub(crate) fn start(sim: &Arc<Sim>, name: &'static str, number: usize) -> Arc<Self> {
        Arc::new(Self {
            sim: sim.clone(),
            store: SimStore::new(sim.clone(), name),
            cache: Cache::new(4),
            outbox: Outbox::default(),
            name,
            number,
        })
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            clock: &*self.sim.clock,
            entropy: &*self.sim,
            outbox: &self.outbox,
            cache: &self.cache,
            keyring: &KEYRING,
            rules: &omnigate_core::conversation::DEFAULT_RULES,
            tenants: &omnigate_core::tenant::DEFAULT_RULES,
        }
    }

    /// Does what its name says.
    pub(crate) async fn work(self: Arc<Self>, about: &'static [&'static str]) -> Result<(), Stop> {
        let first = identifier(about[0]);
        match self.name {
            name if name.starts_with("unlink") => {
                for _ in 0..400 {
                    let there = about[1..].iter().all(|other| {
                        let key = key(TENANT, &identifier(other));
                        self.sim
                            .oracle()
                            .claims
                            .get(&key)
                            .is_some_and(|claim| !claim.customer.is_empty())
                    });
                    if there {
                        break;
                    }
                    pause().await;
                }
                self.take_apart(&first, |_| What::Unlink(vec![first.clone()])).await
            }
            name if name.starts_with("moved") => self.take_apart(&first, |_| What::NewHolder(first.clone())).await,
            name if name.starts_with("undo") || name.starts_with("part") => {
                let only = name
                    .starts_with("part")
                    .then(|| about[1..].iter().map(|one| identifier(one)).collect());
                let newest = name.ends_with('z');
                let what = |member: &Membership| What::Merge {
                    step: if newest {
                        member.path.last()
                    } else {
                        member.path.first()
                    }
                    .cloned()
                    .unwrap(),
                    only: only.clone(),
                };
                self.take_apart(&first, what).await
            }
            name if name.starts_with("erase") => self.erase(&first).await,
            name if name.starts_with("read") => self.read(&first).await,
            _ => self.message(about).await,
        }
    }

    /// A message that unify applies.
    async fn message(&self, about: &[&str]) -> Result<(), Stop> {
        if self.name.starts_with("late") {
            for _ in 0..60 {
                if self.sim.oracle().received.contains_key(self.name) {
                    break;
                }
                pause().await;
            }
        }
        let received_at = *self
            .sim
            .oracle()
            .received
            .entry(self.name.to_owned())
            .or_insert(self.sim.clock.now());
        let identifiers: Vec<Identifier> = about.iter().map(|name| identifier(name)).collect();
        for pair in identifiers.windows(2) {
            self.join(&pair[0], &pair[1], received_at).await?;
        }
        let arrival = arrival(self.name, &identifiers, received_at);
        let applied = apply(&self.context(), &[arrival]).await?;
        if applied.dropped > 0 {
            self.sim.oracle().dropped.insert(self.name.to_owned());
        }
        Ok(())
    }

    /// What is merged before the message is applied: on a person's word, or by a broken rule.
    async fn join(&self, one: &Identifier, other: &Identifier, received_at: Moment) -> Result<(), Stop> {
        let asking = asking(received_at);
        let people = [person(one), person(other)];
        if self.name.starts_with("join") {
            merge(
                &self.context(),
                &asking,
                [&people[0], &people[1]],
                Word::Person,
                &mut Vec::new(),
            )
            .await?;
            return Ok(());
        }
        let broken = self.sim.breakage;
        if !matches!(
            broken,
            Breakage::SurvivorByCallersOrder | Breakage::EvidenceNotLookedAtAgain
        ) {
            return Ok(());
        }
        let context = self.context();
        let mut waited = 0;
        for _ in 0..60 {
            let of_one = present(&context, &asking, &people[0], &mut Vec::new()).await?;
            let of_other = present(&context, &asking, &people[1], &mut Vec::new()).await?;
            let (Some(of_one), Some(of_other)) = (of_one, of_other) else {
                return Ok(());
            };
            if of_one == of_other {
                return Ok(());
            }
            let sorted = survivor_and_loser(of_one, of_other);
            let (survivor, loser) = match broken {
                Breakage::SurvivorByCallersOrder => (of_one, of_other),
                _ => sorted,
            };
            let evidence = match broken {
                Breakage::EvidenceNotLookedAtAgain => [built_in(survivor), built_in(loser)],
                _ => [one.clone(), other.clone()],
            };
            let merge = Merge {
                transaction: TransactionId(self.sim.rng().bytes()),
                survivor,
                loser,
                evidence,
                word: Word::Strong,
            };
            self.sim
                .oracle()
                .evidence
                .insert(merge.transaction.to_bytes(), [one.clone(), other.clone()]);
            let given = attempt(&context, &merge, "", &mut waited, &mut Vec::new()).await?;
            if given.is_some_and(|verdict| verdict.commit || !verdict.forbidden_by.is_empty()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The present owner of an identifier and its membership.
    async fn owned(&self, of: &Identifier) -> Result<Option<(CustomerId, Membership)>, Stop> {
        let context = self.context();
        let claim = claimed(&context, key(TENANT, of)).await?;
        let Claimed::Settled { customer, .. } = read_claim(claim.as_ref(), Moment(i64::MAX)) else {
            return Ok(None);
        };
        let Some(owner) = find(&context, TENANT, of, customer).await? else {
            return Ok(None);
        };
        let record = load(&context, owner).await?.value.unwrap_or_default();
        Ok(member(&record.members, of).map(|member| (owner, member.clone())))
    }

    /// Carries out a command that is chosen once, when there is something to take apart.
    async fn take_apart(&self, of: &Identifier, what: impl Fn(&Membership) -> What) -> Result<(), Stop> {
        for _ in 0..40 {
            if self.sim.oracle().commands.contains_key(self.name) {
                break;
            }
            let owned = self.owned(of).await?;
            let undoes = self.name.starts_with("undo") || self.name.starts_with("part");
            let Some((owner, membership)) = owned.filter(|(_, member)| !undoes || !member.path.is_empty()) else {
                pause().await;
                continue;
            };
            let what = what(&membership);
            let (gets, from, birth) = match &what {
                What::Merge { step, .. } => {
                    let gets = CustomerId::from_bytes(&step.loser).unwrap();
                    (gets, gets, gets.to_bytes())
                }
                _ => {
                    let shard = key(TENANT, of).shard();
                    let gets = CustomerId::new(self.sim.clock.now(), shard, self.sim.rng().bytes());
                    (gets, owner, membership.birth.clone())
                }
            };
            let command = Command {
                name: self.name.to_owned(),
                tenant_id: TENANT.to_owned(),
                gets,
                what,
                birth: Birth::from_bytes(&birth).unwrap(),
                trace_id: String::new(),
            };
            self.sim.oracle().commands.insert(self.name.to_owned(), (command, from));
        }
        let Some((command, from)) = self.sim.oracle().commands.get(self.name).cloned() else {
            return Ok(());
        };
        split(&self.context(), &command, from, &mut Vec::new()).await?;
        Ok(())
    }

    async fn erase(&self, of: &Identifier) -> Result<(), Stop> {
        for _ in 0..40 {
            if self.sim.oracle().erasures.contains_key(self.name) {
                break;
            }
            match self.owned(of).await? {
                Some((owner, _)) => {
                    self.sim.oracle().erasures.insert(self.name.to_owned(), owner);
                }
                None => pause().await,
            }
        }
        let whom = self.sim.oracle().erasures.get(self.name).copied();
        if let Some(whom) = whom {
            erase(&self.context(), TENANT, whom).await?;
        }
        Ok(())
    }

    /// Reads a customer and its timeline, while others change them.
    async fn read(&self, of: &Identifier) -> Result<(), Stop> {
        let mut customer = None;
        for turn in 0..30 {
            let claim = claimed(&self.context(), key(TENANT, of)).await?;
            let read = read_claim(claim.as_ref(), Moment(i64::MAX));
            if let Claimed::Settled { customer: found, .. } = read
                && turn > 3
            {
                customer = Some(found);
                break;
            }
        }
        let Some(customer) = customer else { return Ok(()) };
        let began = self.sim.clock.now();
        {
            let mut oracle = self.sim.oracle();
            oracle.readers.insert(self.number, (customer, Vec::new()));
            oracle.check();
        }
        *self.store.reads.lock().unwrap() = true;
        let whole = read::customer(&self.context(), TENANT, customer).await;
        *self.store.reads.lock().unwrap() = false;
        let whole = whole?;
        {
            let mut oracle = self.sim.oracle();
            let (_, seen) = oracle.readers.remove(&self.number).unwrap();
            let shown = whole.as_ref().map(|whole| names(&whole.record.members));
            if !seen.contains(&shown) {
                oracle.complain(|| format!("{}: {shown:?} was never so: {seen:?}", self.name));
            }
        }
        match whole {
            Some(whole) => self.read_entries(&whole, began).await,
            None => Ok(()),
        }
    }

    async fn read_entries(&self, whole: &Whole, began: Moment) -> Result<(), Stop> {
        let members = whole.record.members.clone();
        let shown = shown(self, whole).await?;
        let mut oracle = self.sim.oracle();
        let stored: Vec<_> = oracle.stored.iter().map(|(of, at)| (of.clone(), *at)).collect();
        for ((message, birth), at) in stored.into_iter().filter(|((message, _), _)| !message.is_empty()) {
            let received = oracle.received[&message];
            let of = members
                .iter()
                .find(|member| is_held(member) && holds(member, &birth, received));
            let erased = of.is_some_and(|member| {
                let home = CustomerId::from_bytes(&member.home).unwrap();
                oracle.homes.get(&home).is_some_and(|home| !home.wiped.is_empty())
            });
            if of.is_some() && at < began && !erased && !shown.contains(&message) {
                oracle.complain(|| format!("{} does not show {message}", self.name));
            }
        }
        let mine: BTreeSet<String> = names(&members).into_iter().map(|(name, _)| name).collect();
        for message in shown {
            let via = oracle.via(&message);
            if !mine.contains(&via) {
                oracle.complain(|| format!("{} shows {message} of {via}", self.name));
            }
        }
        Ok(())
    }
}

/// Messages that a customer's timeline shows.
pub(crate) async fn shown(worker: &Worker, whole: &Whole) -> Result<Vec<String>, Stop> {
    let mut views: Vec<View> = whole.views();
    match worker.sim.breakage {
        Breakage::HomesByMerges => views.retain(|view| {
            let itself = built_in(view.home);
            member(&whole.record.members, &itself).is_some()
        }),
        Breakage::HistoryFollowsTheNumber => {
            let intervals = views.iter_mut().flat_map(|view| &mut view.intervals);
            intervals.for_each(|interval| interval.from = Moment(0));
        }
        Breakage::WholeHomeShown => {
            let oracle = worker.sim.oracle();
            let mut all = Vec::new();
            for view in &views {
                let entries = oracle.entries.range((view.home, Bytes::new())..);
                let of_home = entries.take_while(|((home, _), _)| *home == view.home);
                let messages = of_home.map(|((_, member), _)| oracle.message(member));
                all.extend(messages.filter(|message| !message.is_empty()));
            }
            return Ok(all);
        }
        _ => {}
    }
    let found = page(&worker.context(), &views, &Wanted::first(1000, false)).await?;
    let oracle = worker.sim.oracle();
    let ids = found.entries.iter();
    let ids = ids.filter_map(|(_, entry)| entry.event.as_ref()?.event_id.parse().ok());
    // Merges and splits stand there too, and are no messages.
    let messages = ids.filter_map(|id: EventId| oracle.messages.get(&id).cloned());
    Ok(messages.collect())
}

pub(crate) fn asking(received_at: Moment) -> Asking<'static> {
    Asking {
        tenant_id: TENANT,
        received_at,
        trace_id: "",
        replaces: None,
    }
}

/// The text of an identifier by its name in a scenario.
pub(crate) fn text_of(name: &str) -> String {
    text(&identifier(name))
}
