//! The API of SpeedSMS.vn: `/index.php/…`.
//!
//! It checks the token and what SpeedSMS checks of a message, answers 429 above 60 calls in 60 seconds, and posts reports
//! and messages to its one webhook, unsigned.

mod api;

pub use crate::texting::{
    ControlError, Counters, DeadlinePassed, Fate, Fault, FaultRule, Forgery, Incoming, JournalEntry, Options,
    SentCallback, SentMessage, SmsHandle,
};

use api::SpeedsmsFace;
use std::io;
use tokio::net::TcpListener;

/// The customer that the sandbox knows.
#[derive(Clone, Debug)]
pub struct SpeedsmsOptions {
    /// Authenticates calls, as the user of basic authentication.
    pub access_token: String,
    /// Registered brandnames, for `sms_type` 3; empty for any.
    pub brandnames: Vec<String>,
    /// In dong; every SMS segment costs 250.
    pub balance: u64,
    /// Calls in a minute.
    pub calls_per_minute: usize,
    /// The `type` of messages from people, `incoming` or `sms`: sources differ.
    pub incoming_type: String,
    /// What all fakes share; `webhook` is where reports and messages from people are told to.
    pub common: Options,
}

impl Default for SpeedsmsOptions {
    fn default() -> Self {
        Self {
            access_token: "sandbox-access-token".to_owned(),
            brandnames: Vec::new(),
            balance: 1_000_000_000,
            calls_per_minute: 60,
            incoming_type: "incoming".to_owned(),
            common: Options::default(),
        }
    }
}

/// The fake API.
pub struct Speedsms;

impl Speedsms {
    /// Serves on `listener` until the last handle is dropped or stopped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: SpeedsmsOptions) -> io::Result<SmsHandle> {
        let common = options.common.clone();
        crate::texting::start(listener, common, api::PREFIX, SpeedsmsFace::new(options))
    }
}

#[cfg(test)]
mod tests;
