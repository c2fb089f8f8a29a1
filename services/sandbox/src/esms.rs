//! The API of eSMS.vn: `/MainService.svc/json/…`.
//!
//! It checks keys, brandnames, numbers and the balance, refuses a repeated `RequestId` (124), tells of each message by GET
//! at `CallbackUrl`, up to five times where nobody answers, and signs what people write to short codes.
//!
//! Left out on purpose: Zalo, Viber and voice, registration of templates, the variants of the API that are not JSON.

mod api;

pub use crate::texting::{
    ControlError, Counters, DeadlinePassed, Fate, Fault, FaultRule, Forgery, Incoming, JournalEntry, Options,
    SentCallback, SentMessage, SmsHandle,
};

use api::EsmsFace;
use std::io;
use tokio::net::TcpListener;

/// The customer that the sandbox knows.
#[derive(Clone, Debug)]
pub struct EsmsOptions {
    /// `ApiKey`.
    pub api_key: String,
    /// `SecretKey`.
    pub secret_key: String,
    /// Signs what people write.
    pub mo_private_key: String,
    /// Registered brandnames; empty for any.
    pub brandnames: Vec<String>,
    /// In dong; every SMS segment costs 850.
    pub balance: u64,
    /// Whether `error_info` is percent-encoded twice, as it is by the provider.
    pub double_encoding: bool,
    /// What all fakes share; `webhook` is where messages from people are told to.
    pub common: Options,
}

impl Default for EsmsOptions {
    fn default() -> Self {
        Self {
            api_key: "sandbox-api-key".to_owned(),
            secret_key: "sandbox-secret-key".to_owned(),
            mo_private_key: "sandbox-private-key".to_owned(),
            brandnames: Vec::new(),
            balance: 1_000_000_000,
            double_encoding: true,
            common: Options::default(),
        }
    }
}

/// The fake API.
pub struct Esms;

impl Esms {
    /// Serves on `listener` until the last handle is dropped or stopped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: EsmsOptions) -> io::Result<SmsHandle> {
        let common = options.common.clone();
        crate::texting::start(listener, common, api::PREFIX, EsmsFace::new(options))
    }
}

#[cfg(test)]
mod tests;
