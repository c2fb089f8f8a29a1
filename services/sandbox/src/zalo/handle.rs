//! The side of the sandbox that whoever runs it holds.

mod hooks;

use super::{
    act::{Act, Action, AdminAct, ConsoleAction, Done, PersonHandle},
    control::ControlError,
    fault::FaultRule,
    journal::{Counters, EventRecord, JournalEntry, SentMessage},
    options::Switches,
    person::NewPerson,
    server::Shared,
    view::{DeadlinePassed, View},
    world::World,
};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

/// The most messages of one burst; more come by asking again.
const LONGEST_BURST: u32 = 100_000;

/// One OA as whoever runs the sandbox sees it, and through it the whole. Clones speak of the same one.
#[derive(Clone)]
pub struct ZaloHandle {
    pub(super) shared: Arc<Shared>,
    oa: usize,
    app: usize,
    /// Absent in handles that the sandbox makes for itself, which must not keep it alive.
    guard: Option<Arc<DropGuard>>,
}

impl ZaloHandle {
    pub(super) fn outer(shared: Arc<Shared>, guard: Arc<DropGuard>) -> Self {
        let mut handle = Self::inner(&shared, 0);
        handle.guard = Some(guard);
        handle
    }

    pub(super) fn inner(shared: &Arc<Shared>, oa: usize) -> Self {
        let app = shared.lock().oas[oa].app;
        Self {
            shared: Arc::clone(shared),
            oa,
            app,
            guard: None,
        }
    }

    fn with<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&self.shared.lock())
    }

    /// Changes something, and wakes whoever has to know.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.shared.lock());
        self.shared.arrived();
        changed
    }

    /// Where the sandbox listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:PORT`: put this where any of Zalo's three hosts would stand.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// The OA's id.
    #[must_use]
    pub fn oa_id(&self) -> String {
        self.with(|world| world.oa_id(self.oa))
    }

    /// The id of the OA's app.
    #[must_use]
    pub fn app_id(&self) -> String {
        self.with(|world| world.apps[self.app].identity.app_id.clone())
    }

    /// The app's secret, for OAuth.
    #[must_use]
    pub fn app_secret(&self) -> String {
        self.with(|world| world.apps[self.app].identity.app_secret.clone())
    }

    /// The key that webhooks are signed with.
    #[must_use]
    pub fn oa_secret_key(&self) -> String {
        self.with(|world| world.apps[self.app].identity.oa_secret_key.clone())
    }

    /// Gives the console's webhook page another OA Secret Key; what waits is signed with it.
    pub fn reset_oa_secret_key(&self, key: &str) {
        self.change(|world| key.clone_into(&mut world.apps[self.app].identity.oa_secret_key));
    }

    /// The newest access and refresh token of the OA, where it has granted any.
    #[must_use]
    pub fn tokens(&self) -> Option<(String, String)> {
        self.with(|world| world.tokens.newest(self.oa).cloned())
    }

    /// The same sandbox's OA of `oa_id`.
    #[must_use]
    pub fn for_oa(&self, oa_id: &str) -> Option<Self> {
        let oa = self.with(|world| world.oa_index(oa_id))?;
        let mut handle = Self::inner(&self.shared, oa);
        handle.guard.clone_from(&self.guard);
        Some(handle)
    }

    /// An admin consents: a code as the callback gets it, bound to `challenge` where there is one.
    #[must_use]
    pub fn authorize(&self, challenge: Option<&str>) -> String {
        self.change(|world| world.authorize(self.oa, challenge.map(str::to_owned)))
    }

    /// The OA takes its rights back: every token is refused with `-220` (`-124` by ZNS), and no event comes.
    pub fn revoke(&self) {
        self.change(|world| {
            world.tokens.revoke(self.oa);
            world.oas[self.oa].granted = false;
        });
    }

    /// Ends the access tokens' 25 hours; they can be refreshed.
    pub fn expire_access_tokens(&self) {
        self.change(|world| world.tokens.expire(self.oa));
    }

    /// A person who has just written to the OA, so that it may answer.
    #[must_use]
    pub fn person(&self, name: &str) -> PersonHandle {
        self.new_person(NewPerson {
            name: name.to_owned(),
            ..NewPerson::default()
        })
    }

    /// A person with this phone who never met the OA.
    #[must_use]
    pub fn subscriber(&self, phone: &str) -> PersonHandle {
        self.new_person(NewPerson {
            phone: Some(phone.to_owned()),
            interacted: false,
            ..NewPerson::default()
        })
    }

    /// A visitor of the OA's web widget.
    #[must_use]
    pub fn visitor(&self) -> PersonHandle {
        self.new_person(NewPerson {
            anonymous: true,
            ..NewPerson::default()
        })
    }

    /// A person as described.
    #[must_use]
    pub fn new_person(&self, new: NewPerson) -> PersonHandle {
        let id = self.change(|world| world.add_person(self.oa, new));
        PersonHandle::new(self.clone(), id)
    }

    /// The same person as this OA sees them; one who never met it is introduced by their first act.
    #[must_use]
    pub fn meet(&self, person: &PersonHandle) -> PersonHandle {
        PersonHandle::new(self.clone(), person.id())
    }

    pub(super) fn user_id(&self, person: u64) -> String {
        self.with(|world| world.user_id(self.oa, person))
    }

    pub(super) fn user_id_by_app(&self, person: u64) -> String {
        self.with(|world| world.user_id_by_app(self.app, person))
    }

    pub(super) fn conversation_id(&self, person: u64) -> String {
        self.with(|world| world.conversation_id(self.oa, person))
    }

    /// A chat group of the OA; answers its id.
    #[must_use]
    pub fn group(&self, name: &str, members: &[&PersonHandle]) -> String {
        let members: BTreeSet<u64> = members.iter().map(|person| person.id()).collect();
        self.add_group(name, members)
    }

    pub(super) fn add_group(&self, name: &str, members: BTreeSet<u64>) -> String {
        self.change(|world| world.add_group(self.oa, name, members))
    }

    /// Lets somebody do something.
    ///
    /// # Errors
    /// When the person or the message is not there, or the act is impossible.
    pub fn act(&self, act: &Act) -> Result<Done, ControlError> {
        self.change(|world| world.act(self.oa, act))
    }

    /// Lets an admin do something in Zalo's own chat page.
    ///
    /// # Errors
    /// As of [`ZaloHandle::act`].
    pub fn admin(&self, act: &AdminAct) -> Result<Done, ControlError> {
        self.change(|world| world.admin_act(self.oa, act))
    }

    /// Does something in the console.
    ///
    /// # Errors
    /// When there is no such template, group or person.
    pub fn console(&self, action: &ConsoleAction) -> Result<Done, ControlError> {
        self.change(|world| world.console_act(self.oa, action))
    }

    /// `count` texts, the people taking turns; each ends in its number. Answers how many events were made.
    ///
    /// # Errors
    /// When there are no people or one of them is unknown, or at more than 100,000 at once.
    pub async fn burst(&self, people: &[u64], count: u32, text: &str) -> Result<usize, ControlError> {
        if people.is_empty() || count > LONGEST_BURST {
            return Err(ControlError::Impossible(
                "a burst needs people and at most 100000 messages",
            ));
        }
        let mut made = 0;
        for (number, person) in (0..count).zip(people.iter().cycle()) {
            let text = format!("{text} {number}").trim_start().to_owned();
            let act = Act {
                person: *person,
                action: Action::Text { text, quote: None },
            };
            made += self.act(&act)?.events.len();
            // So that delivery begins before the last one is written.
            if number % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
        Ok(made)
    }

    /// Adds a fault.
    pub fn fault(&self, rule: FaultRule) {
        self.change(|world| world.faults.add(rule));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.change(|world| world.faults.clear());
    }

    /// Changes what can be switched. What was held to be reordered is let go where nothing is held any more.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        self.change(|world| {
            change(&mut world.switches);
            if world.switches.reorder <= 1 {
                (0..world.apps.len()).for_each(|app| world.release(app));
            }
        });
    }

    /// What is switched.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.with(|world| world.switches.clone())
    }

    /// Puts the sandbox's clock forward: windows close, tokens and uploads expire, quotas begin anew. Delays that already
    /// run are not shortened.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.change(|world| world.ahead_ms = world.ahead_ms.saturating_add(by));
    }

    /// Milliseconds since 1970, as the sandbox has it.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        self.with(|world| world.now().unix_ms)
    }

    /// Forgets what was recorded, counts too.
    pub fn clear_journal(&self) {
        self.change(|world| world.journal.clear());
    }

    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.with(|world| world.journal.counters)
    }

    /// The messages that were sent, oldest first, as far as they are remembered.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.with(|world| world.journal.sent.iter().cloned().collect())
    }

    /// The calls that were made, oldest first, as far as they are remembered.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.with(|world| world.journal.calls.iter().cloned().collect())
    }

    /// The events that were made, oldest first, as far as they are remembered.
    #[must_use]
    pub fn events(&self) -> Vec<EventRecord> {
        self.with(|world| world.journal.events.iter().cloned().collect())
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&View<'_>) -> bool,
        deadline: Duration,
    ) -> Result<(), DeadlinePassed> {
        let mut changes = self.shared.changes();
        let holds = || {
            let world = self.shared.lock();
            condition(&View {
                world: &world,
                app: self.app,
            })
        };
        let waited = timeout(deadline, async {
            while !holds() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        match waited.await {
            Ok(()) => Ok(()),
            Err(_) if holds() => Ok(()),
            Err(_) => Err(DeadlinePassed {
                after: deadline,
                counters: Box::new(self.counters()),
            }),
        }
    }

    /// Stops serving, at once.
    pub async fn stop(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
