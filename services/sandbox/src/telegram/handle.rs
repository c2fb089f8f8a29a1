//! The side of the sandbox that whoever runs it holds.

use super::{
    backlog::Kind,
    control::ControlError,
    delivery::{self, Target},
    fault::FaultRule,
    journal::{Counters, JournalEntry, SentMessage},
    people::{ChatKind, NewUser},
    server::{Cell, Shared},
    user::{Act, Action, Done, UserHandle},
    view::{DeadlinePassed, View},
};
use bytes::Bytes;
use serde_json::Value;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

/// The most messages of one burst; more come by asking again.
const LONGEST_BURST: u32 = 100_000;

/// One bot as whoever runs the sandbox sees it. Clones speak of the same one.
#[derive(Clone)]
pub struct TelegramHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) cell: Arc<Cell>,
    /// Absent in handles that the sandbox makes for itself, which must not keep it alive.
    guard: Option<Arc<DropGuard>>,
}

impl TelegramHandle {
    pub(super) fn outer(shared: Arc<Shared>, cell: Arc<Cell>, guard: Arc<DropGuard>) -> Self {
        Self {
            shared,
            cell,
            guard: Some(guard),
        }
    }

    pub(super) fn inner(shared: &Arc<Shared>, cell: &Arc<Cell>) -> Self {
        Self {
            shared: Arc::clone(shared),
            cell: Arc::clone(cell),
            guard: None,
        }
    }

    /// Where the sandbox listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:PORT`: put this where `https://api.telegram.org` would stand.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// The bot's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.cell.identity.token
    }

    /// The bot's id.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        self.cell.lock().id
    }

    /// The same sandbox's bot of `token`.
    #[must_use]
    pub fn for_bot(&self, token: &str) -> Option<Self> {
        let cell = self.shared.cell(token).ok()?;
        Some(Self {
            shared: Arc::clone(&self.shared),
            cell,
            guard: self.guard.clone(),
        })
    }

    /// A person who has written to the bot before.
    #[must_use]
    pub fn user(&self, first_name: &str) -> UserHandle {
        self.new_user(NewUser {
            first_name: first_name.to_owned(),
            ..NewUser::default()
        })
    }

    /// A person as described.
    #[must_use]
    pub fn new_user(&self, new: NewUser) -> UserHandle {
        let id = self.cell.lock().people.add_user(new);
        UserHandle::new(self.clone(), id)
    }

    /// A group with `members` and the bot; answers its id.
    #[must_use]
    pub fn group(&self, kind: ChatKind, title: &str, members: &[&UserHandle]) -> i64 {
        let members: BTreeSet<i64> = members.iter().map(|user| user.id()).collect();
        self.cell.lock().people.add_group(kind, title, members)
    }

    /// Turns a group into a supergroup; answers its new id.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn migrate(&self, group: i64) -> Result<i64, ControlError> {
        let migrated = self.cell.lock().migrate(group, self.shared.now());
        self.cell.arrived();
        migrated
    }

    /// Lets somebody do something.
    ///
    /// # Errors
    /// When the person, the chat or the message is not there, or the act is impossible.
    pub fn act(&self, act: &Act) -> Result<Done, ControlError> {
        let done = self.cell.lock().act(act, self.shared.now());
        self.cell.arrived();
        done
    }

    /// `count` messages in private chats, the people taking turns; each text ends in its number. Answers how many updates
    /// were made.
    ///
    /// # Errors
    /// When there are no users or one of them cannot write, or at more than 100,000 at once.
    pub async fn burst(&self, users: &[i64], count: u32, text: &str) -> Result<usize, ControlError> {
        if users.is_empty() || count > LONGEST_BURST {
            return Err(ControlError::Impossible(
                "a burst needs users and at most 100000 messages",
            ));
        }
        let mut made = 0;
        for (number, user) in (0..count).zip(users.iter().cycle()) {
            let action = Action::Text {
                text: format!("{text} {number}").trim_start().to_owned(),
            };
            made += self
                .act(&Act {
                    user: *user,
                    chat: None,
                    reply_to: None,
                    action,
                })?
                .updates
                .len();
            // So that delivery begins before the last one is written.
            if number % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
        Ok(made)
    }

    /// Makes an update with exactly this content, such as one of a kind that Telegram has yet to invent. None where the bot
    /// did not ask for its kind.
    pub fn other_update(&self, name: &str, content: &Value) -> Option<u32> {
        let update = self
            .cell
            .lock()
            .named_update(name, Kind::Other, content, 0, self.shared.now());
        self.cell.arrived();
        update
    }

    /// Adds a fault.
    pub fn fault(&self, rule: FaultRule) {
        self.cell.lock().faults.add(rule);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.cell.lock().faults.clear();
    }

    /// Switches the rates on or off.
    pub fn rate_limits(&self, on: bool) {
        self.cell.lock().rate_limits = on;
    }

    /// Whether every update goes to the webhook twice.
    pub fn deliver_twice(&self, on: bool) {
        self.cell.lock().deliver_twice = on;
    }

    /// Forgets what was recorded, counts too.
    pub fn clear_journal(&self) {
        self.cell.lock().journal.clear();
        self.cell.changed();
    }

    /// Delivers an update, waiting or past, once more, out of turn. Answers the webhook's HTTP status.
    ///
    /// # Errors
    /// When the update is forgotten, there is no webhook, or it did not answer.
    pub async fn redeliver(&self, update: u32) -> Result<u16, ControlError> {
        let (body, target) = {
            let bot = self.cell.lock();
            let body = bot.backlog.body(update).ok_or(ControlError::UnknownUpdate)?;
            (body, bot.target_of_webhook().ok_or(ControlError::NoWebhook)?)
        };
        self.deliver(target, body).await
    }

    /// Sends `body` to the webhook's address as somebody would who is not Telegram, with `secret` in the header or with
    /// none. Answers the HTTP status.
    ///
    /// # Errors
    /// When there is no webhook, or it did not answer.
    pub async fn forge(&self, secret: Option<&str>, body: &Value) -> Result<u16, ControlError> {
        let mut target = self.cell.lock().target_of_webhook().ok_or(ControlError::NoWebhook)?;
        target.secret = secret.map(str::to_owned);
        self.deliver(target, Bytes::from(body.to_string())).await
    }

    async fn deliver(&self, target: Target, body: Bytes) -> Result<u16, ControlError> {
        let limit = self.shared.options.webhook_timeout;
        match delivery::post(&self.shared.client, &target, body, limit).await {
            Ok(_) => Ok(200),
            Err(failure) => failure.status.ok_or(ControlError::NoAnswer(failure.text)),
        }
    }

    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.cell.lock().journal.counters
    }

    /// The messages that the bot sent, oldest first, as far as they are remembered.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.cell.lock().journal.sent.iter().cloned().collect()
    }

    /// The calls that the bot made, oldest first, as far as they are remembered. Polls are only counted.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.cell.lock().journal.calls.iter().cloned().collect()
    }

    /// What `getWebhookInfo` answers.
    #[must_use]
    pub fn webhook_info(&self) -> Value {
        self.cell.lock().webhook_info()
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
        let mut changes = self.cell.changes();
        let holds = || condition(&View { bot: &self.cell.lock() });
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
