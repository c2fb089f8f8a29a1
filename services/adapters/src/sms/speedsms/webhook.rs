//! Calls from SpeedSMS.

use super::{inbound::Translator, settings::SpeedsmsSettings};
use crate::texting::{
    TextSettings,
    arrivals::{Arrival, Arrivals},
    callback::{Guard, Parameters, TOKEN, rejected},
};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};
use omnigate_core::time::Moment;
use std::sync::atomic::{AtomicI64, Ordering};

/// The webhook of one account.
pub(super) struct SpeedsmsWebhook {
    account: Account,
    text: TextSettings,
    guard: Guard,
    arrivals: Arrivals,
    /// When the last call came.
    now: AtomicI64,
}

impl SpeedsmsWebhook {
    pub(super) fn new(account: Account, text: TextSettings, own: SpeedsmsSettings) -> Self {
        Self {
            account,
            text,
            guard: own.guard,
            arrivals: Arrivals::new(own.duplicate_window),
            now: AtomicI64::new(0),
        }
    }
}

impl Webhook for SpeedsmsWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        let refused = || self.guard.refuse(request, &Parameters::of_query(request));
        if verify && let Some(problem) = refused() {
            return rejected(401, problem);
        }
        if request.method != "POST" {
            return rejected(405, "SpeedSMS calls with POST");
        }
        if request.body.is_empty() {
            return rejected(400, "the body is empty");
        }
        let translator = Translator {
            account: &self.account,
            text: &self.text,
            arrivals: &self.arrivals,
            received_at: request.received_at,
        };
        self.now.fetch_max(request.received_at.0, Ordering::Relaxed);
        match translator.events(&request.body) {
            Ok(events) => Received::Events {
                events,
                reply: Reply::status(200),
            },
            Err(error) => rejected(400, format!("the body is not JSON: {error}")),
        }
    }

    fn answered(&self, stable_keys: &[String], kept: bool) {
        let now = Moment(self.now.load(Ordering::Relaxed));
        // The opt-out that a message is has the same key; what has another key is no message.
        for arrival in stable_keys.iter().filter_map(|key| Arrival::parse(key)) {
            if kept {
                self.arrivals.kept_for_good(arrival);
            } else {
                self.arrivals.refused(arrival, now);
            }
        }
    }

    fn secret_parameters(&self) -> &'static [&'static str] {
        &[TOKEN]
    }
}
