//! Calls from eSMS.

use super::{
    inbound::{Called, Translator},
    settings::EsmsSettings,
};
use crate::texting::{
    TextSettings,
    callback::{Parameters, TOKEN, rejected},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};
use subtle::ConstantTimeEq as _;

/// The webhook of one account.
pub(super) struct EsmsWebhook {
    account: Account,
    text: TextSettings,
    own: EsmsSettings,
}

impl EsmsWebhook {
    pub(super) fn new(account: Account, text: TextSettings, own: EsmsSettings) -> Self {
        Self { account, text, own }
    }

    /// Why a call about a message to a short code is not eSMS's, if it is not. The signature is the base64 text of a raw
    /// MD5 over five values with nothing between them (docs, "receive_mo").
    fn refuse_mo(&self, parameters: &Parameters) -> Option<&'static str> {
        let Some(key) = &self.own.mo_private_key else {
            return Some("no mo_private_key is configured, so no message can be told from a forged one");
        };
        let Some(given) = parameters.raw("sign") else {
            return Some("the signature is missing");
        };
        let mut digest = Md5::new();
        for name in ["cpid", "smsid", "content", "receiverTime"] {
            digest.update(parameters.raw(name).unwrap_or_default().as_bytes());
        }
        digest.update(key.as_bytes());
        let expected = STANDARD.encode(digest.finalize());
        // A plus that was not encoded arrives as a space.
        let given = given.replace(' ', "+");
        let is_signed: bool = given.as_bytes().ct_eq(expected.as_bytes()).into();
        (!is_signed).then_some("the signature is wrong")
    }
}

impl Webhook for EsmsWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        let parameters = Parameters::of(request);
        if verify && let Some(problem) = self.own.guard.refuse(request, &parameters) {
            return rejected(401, problem);
        }
        match request.method.as_str() {
            "POST" if request.body.is_empty() => return rejected(400, "the body is empty"),
            "GET" | "POST" => {}
            _ => return rejected(405, "eSMS calls with GET"),
        }
        let called = Called::of(&parameters);
        if called == Called::Message
            && verify
            && let Some(problem) = self.refuse_mo(&parameters)
        {
            return rejected(401, problem);
        }
        let translator = Translator {
            account: &self.account,
            text: &self.text,
            request,
            parameters: &parameters,
        };
        let events = match called {
            // Somebody looks whether the address answers.
            Called::Nothing => Vec::new(),
            Called::Message => translator.message(),
            Called::Receipt => vec![translator.receipt()],
            Called::Other => vec![translator.unsupported("callback", "")],
        };
        Received::Events {
            events,
            reply: if called == Called::Message {
                taken(&parameters)
            } else {
                Reply::status(200)
            },
        }
    }

    fn secret_parameters(&self) -> &'static [&'static str] {
        &[TOKEN]
    }
}

/// Docs, "receive_mo": the answer. `Message` would be sent back to the writer.
fn taken(parameters: &Parameters) -> Reply {
    let value = |name| escaped(parameters.get(name).unwrap_or_default());
    let body = format!(
        "<ClientResponse><Message></Message><Smsid>{}</Smsid><Receiver>{}</Receiver></ClientResponse>",
        value("smsid"),
        value("sender")
    );
    Reply {
        status: 200,
        content_type: "text/xml",
        body: Bytes::from(body),
    }
}

/// Text as XML has it. Ids are letters and digits; what is not is not repeated at length.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for character in text.chars().filter(|c| !c.is_control()).take(64) {
        match character {
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '&' => written.push_str("&amp;"),
            other => written.push(other),
        }
    }
    written
}
