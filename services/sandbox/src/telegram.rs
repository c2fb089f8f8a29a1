//! The Telegram Bot API server.
//!
//! It serves `/bot<token>/<method>` and `/file/bot<token>/<path>` as `api.telegram.org` does, delivers updates to a webhook
//! or to a long poll, and gives whoever runs it a second face: people who write, press, block and leave, faults on demand,
//! and a record of everything the bot did. That second face is [`TelegramHandle`], and the same over HTTP under `/control`.
//!
//! Left out on purpose: `https` webhooks (as with a local Bot API server, plain HTTP is allowed and here the only choice),
//! the two Markdown parse modes, inline mode, payments, stories and business accounts.

mod answer;
mod api;
mod backlog;
mod bot;
mod clock;
mod connection;
mod control;
mod delivery;
mod fault;
mod files;
mod flood;
mod handle;
mod html;
mod journal;
mod keyboard;
mod messages;
mod methods;
mod options;
mod params;
mod people;
mod poll;
mod schedule;
mod server;
mod user;
mod view;
mod webhook;

pub use clock::Clock;
pub(crate) use clock::Now;
pub use control::ControlError;
pub use fault::{Fault, FaultRule};
pub use handle::TelegramHandle;
pub use journal::{Counters, JournalEntry, SentMessage};
pub use options::{BotOptions, Options};
pub use people::{ChatKind, NewUser};
pub use server::Telegram;
pub use user::{Act, Action, Done, Media, UserHandle};
pub use view::{DeadlinePassed, View};
