//! Calls from Telegram.

use super::inbound::Translator;
use bytes::Bytes;
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};
use serde_json::json;
use subtle::ConstantTimeEq as _;

/// Bot API, `setWebhook.secret_token`: the header that carries it.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// The webhook of one bot.
pub(super) struct BotWebhook {
    account: Account,
    bot_id: Option<i64>,
    secret_token: Option<String>,
}

impl BotWebhook {
    pub(super) fn new(account: Account, bot_id: Option<i64>, secret_token: Option<String>) -> Self {
        Self {
            account,
            bot_id,
            secret_token,
        }
    }

    /// Why a request is not Telegram's, if it is not.
    fn refuse(&self, request: &WebhookRequest) -> Option<&'static str> {
        let Some(secret) = &self.secret_token else {
            return Some("no secret_token is configured, so no call can be told from a forged one");
        };
        match request.header(SECRET_HEADER) {
            None => Some("the secret token header is missing"),
            Some(given) if bool::from(given.ct_eq(secret.as_bytes())) => None,
            Some(_) => Some("the secret token is wrong"),
        }
    }
}

impl Webhook for BotWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        if verify && let Some(problem) = self.refuse(request) {
            return rejected(401, problem.to_owned());
        }
        if request.method != "POST" {
            return rejected(405, "telegram calls with POST".to_owned());
        }
        if request.body.is_empty() {
            return rejected(400, "the body is empty".to_owned());
        }
        let translator = Translator {
            account: &self.account,
            bot_id: self.bot_id,
            received_at: request.received_at,
        };
        match translator.update(&request.body) {
            Ok(update) => Received::Events {
                events: update.events,
                reply: update.callback_id.map_or_else(|| Reply::status(200), acknowledge),
            },
            Err(error) => rejected(400, format!("the body is not JSON: {error}")),
        }
    }

    fn secret_headers(&self) -> &'static [&'static str] {
        &[SECRET_HEADER]
    }
}

/// Bot API, "Making requests when getting updates": the reply may itself be a method call, so the press is acknowledged
/// without a call of ours.
fn acknowledge(callback_id: String) -> Reply {
    let call = json!({ "method": "answerCallbackQuery", "callback_query_id": callback_id });
    Reply {
        status: 200,
        content_type: "application/json",
        body: Bytes::from(call.to_string()),
    }
}

fn rejected(status: u16, problem: String) -> Received {
    Received::Rejected {
        reply: Reply {
            status,
            content_type: "text/plain",
            body: Bytes::from(problem.clone()),
        },
        problem,
    }
}
