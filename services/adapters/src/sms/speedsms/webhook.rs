//! Calls from SpeedSMS.

use super::inbound::Translator;
use crate::texting::{
    TextSettings,
    callback::{Guard, Parameters, TOKEN, rejected},
};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};

/// The webhook of one account.
pub(super) struct SpeedsmsWebhook {
    account: Account,
    text: TextSettings,
    guard: Guard,
}

impl SpeedsmsWebhook {
    pub(super) fn new(account: Account, text: TextSettings, guard: Guard) -> Self {
        Self { account, text, guard }
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
            received_at: request.received_at,
        };
        match translator.events(&request.body) {
            Ok(events) => Received::Events {
                events,
                reply: Reply::status(200),
            },
            Err(error) => rejected(400, format!("the body is not JSON: {error}")),
        }
    }

    fn secret_parameters(&self) -> &'static [&'static str] {
        &[TOKEN]
    }
}
