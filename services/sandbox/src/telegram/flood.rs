//! The rates above which Telegram answers 429.

use super::{
    answer::ApiError,
    people::{Chat, ChatKind},
};
use std::time::Duration;
use tokio::time::Instant;

/// A token bucket that starts full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// Tokens taken and not yet given back, as of `at`.
    taken: f64,
    at: Option<Instant>,
}

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: f64,
    burst: f64,
}

/// The documented rates; "soft" is rendered as a burst of three per chat.
const BOT: Rate = Rate {
    per_second: 30.0,
    burst: 30.0,
};
const CHAT: Rate = Rate {
    per_second: 1.0,
    burst: 3.0,
};
const GROUP: Rate = Rate {
    per_second: 20.0 / 60.0,
    burst: 20.0,
};

impl Bucket {
    fn settle(&mut self, rate: Rate, now: Instant) {
        if let Some(at) = self.at {
            let given_back = now.saturating_duration_since(at).as_secs_f64() * rate.per_second;
            self.taken = (self.taken - given_back).max(0.0);
        }
        self.at = Some(now);
    }

    /// How long until `count` tokens are there; zero when they are.
    fn wait(&self, rate: Rate, count: f64) -> Duration {
        let missing = self.taken + count.min(rate.burst) - rate.burst;
        if missing <= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / rate.per_second)
        }
    }
}

/// Takes `count` messages from the bot's and the chat's rates, all or none.
pub(super) fn admit(bot: &mut Bucket, chat: &mut Chat, count: usize, now: Instant) -> Result<(), ApiError> {
    #[expect(clippy::cast_precision_loss, reason = "at most ten messages at once")]
    let count = count as f64;
    let is_group = chat.kind != ChatKind::Private;
    bot.settle(BOT, now);
    chat.per_second.settle(CHAT, now);
    chat.per_minute.settle(GROUP, now);
    let mut wait = bot.wait(BOT, count).max(chat.per_second.wait(CHAT, count));
    if is_group {
        wait = wait.max(chat.per_minute.wait(GROUP, count));
    }
    if wait > Duration::ZERO {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        return Err(ApiError::retry_after(seconds));
    }
    bot.taken += count;
    chat.per_second.taken += count;
    if is_group {
        chat.per_minute.taken += count;
    }
    Ok(())
}
