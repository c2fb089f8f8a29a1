//! Twilio's Messages API: `/2010-04-01/Accounts/{AC}/Messages.json`.
//!
//! It checks credentials and what Twilio checks of a message, signs its callbacks with `X-Twilio-Signature`, tells of each
//! step of a message where `StatusCallback` asks for it, and reads STOP, START and HELP as Advanced Opt-Out does: who
//! wrote STOP gets nothing more (21610).
//!
//! Left out on purpose: `https` callbacks (plain HTTP is the only choice here), Content templates' contents, scheduled
//! messages, prices.

mod api;
mod resource;
mod sign;

pub use crate::texting::{
    ControlError, Counters, DeadlinePassed, Fate, Fault, FaultRule, Forgery, Incoming, JournalEntry, Options,
    SentCallback, SentMessage, SmsHandle,
};

use api::TwilioFace;
use std::io;
use tokio::net::TcpListener;

/// The Twilio account that the sandbox knows.
#[derive(Clone, Debug)]
pub struct TwilioOptions {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Authenticates calls and signs callbacks.
    pub auth_token: String,
    /// `SK…` and its secret, as another way to authenticate.
    pub api_key: (String, String),
    /// Numbers, names and messaging services that messages may come from; empty for any.
    pub senders: Vec<String>,
    /// Calls of the API in a second.
    pub calls_per_second: usize,
    /// Whether STOP, START and HELP are read.
    pub opt_outs: bool,
    /// What all fakes share; `webhook` is where messages from people are told to.
    pub common: Options,
}

impl Default for TwilioOptions {
    fn default() -> Self {
        Self {
            account_sid: "AC00000000000000000000000000000001".to_owned(),
            auth_token: "sandbox-auth-token".to_owned(),
            api_key: (
                "SK00000000000000000000000000000001".to_owned(),
                "sandbox-key-secret".to_owned(),
            ),
            senders: Vec::new(),
            calls_per_second: 2000,
            opt_outs: true,
            common: Options::default(),
        }
    }
}

/// The fake API.
pub struct Twilio;

impl Twilio {
    /// Serves on `listener` until the last handle is dropped or stopped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: TwilioOptions) -> io::Result<SmsHandle> {
        let common = options.common.clone();
        crate::texting::start(listener, common, "", TwilioFace::new(options))
    }
}

#[cfg(test)]
mod tests;
