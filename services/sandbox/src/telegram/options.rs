//! What can be set at start.

use super::Clock;
use std::time::Duration;

/// One bot that the sandbox knows.
#[derive(Clone, Debug)]
pub struct BotOptions {
    /// `<bot id>:<secret>`, as BotFather hands it out.
    pub token: String,
    /// Without the `@`; Telegram wants it to end in `bot`.
    pub username: String,
    /// What people see.
    pub name: String,
}

impl Default for BotOptions {
    fn default() -> Self {
        Self {
            token: "7000000001:AAsandbox_sandbox_sandbox_sandbox-1".to_owned(),
            username: "omnigate_sandbox_bot".to_owned(),
            name: "Sandbox".to_owned(),
        }
    }
}

/// How the sandbox behaves and how much it remembers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The bots; the first one is the one a fresh handle speaks of.
    pub bots: Vec<BotOptions>,
    /// Divides every webhook delay and every lifetime of an update: at 100, the 24 hours are 14 minutes and a retry after
    /// 2 s comes after 20 ms. Rates are not touched, since the client waits in its own time.
    pub speed: u32,
    /// Whether to answer 429 above 30 messages/s, 1 message/s and chat, 20 messages/min and group.
    pub rate_limits: bool,
    /// How long a webhook may take to answer. Not divided by `speed`.
    pub webhook_timeout: Duration,
    /// How long a request that is to meet silence is held before its connection is closed.
    pub silence: Duration,
    /// The first update's id.
    pub first_update_id: u32,
    /// Where dates come from.
    pub clock: Clock,
    /// Seeds the random cap of the retry delay.
    pub seed: u64,
    /// Requests, sent messages and delivered updates that are remembered, each in a ring of this size; 0 remembers none.
    pub journal: usize,
    /// Messages that can still be edited, answered and reacted to, over all chats of a bot.
    pub messages: usize,
    /// Distinct contents counted, to show what was sent twice; 0 counts none.
    pub contents: usize,
    /// Updates that wait for the bot; the oldest is dropped above it.
    pub pending_updates: usize,
    /// Bytes of files kept; the oldest file is forgotten above it.
    pub file_bytes: usize,
    /// Whether `/control` is served.
    pub control: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bots: vec![BotOptions::default()],
            speed: 1,
            rate_limits: true,
            webhook_timeout: Duration::from_secs(60),
            silence: Duration::from_secs(600),
            first_update_id: 700_000_001,
            clock: Clock::system(),
            seed: 1,
            journal: 10_000,
            messages: 20_000,
            contents: 100_000,
            pending_updates: 200_000,
            file_bytes: 64 << 20,
            control: true,
        }
    }
}

impl Options {
    /// `delay` as this sandbox waits it.
    pub(super) fn scaled(&self, delay: Duration) -> Duration {
        delay / self.speed.max(1)
    }
}
