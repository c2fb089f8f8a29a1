//! PDUs without a connection, as hexadecimal digits: `omnigate normalize --channel sms --provider smpp`.

use super::inbound::Translator;
use super::pdu;
use super::settings::SmppSettings;
use crate::texting::arrivals::Arrivals;
use bytes::{Bytes, BytesMut};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};

/// Reads PDUs for one account.
pub(super) struct Offline {
    account: Account,
    settings: SmppSettings,
}

impl Offline {
    /// Reads for an account.
    pub(super) const fn new(account: Account, settings: SmppSettings) -> Self {
        Self { account, settings }
    }
}

impl Webhook for Offline {
    fn receive(&self, request: &WebhookRequest, _: bool) -> Received {
        let Some(octets) = octets(&request.body) else {
            return rejected("the body must be PDUs in hexadecimal digits");
        };
        // Nothing came before: the same PDU gives the same events every time.
        let arrivals = Arrivals::new(self.settings.duplicate_window);
        let translator = Translator {
            account: &self.account,
            settings: &self.settings,
            arrivals: &arrivals,
            bind: "bind-1",
            connection: 0,
        };
        let mut buffer = BytesMut::from(octets.as_slice());
        let mut events = Vec::new();
        loop {
            match pdu::next(&mut buffer) {
                Ok(Some(pdu)) => events.extend(translator.translate(&pdu, request.received_at).events),
                Ok(None) if buffer.is_empty() && !events.is_empty() => break,
                Ok(None) => return rejected("the last PDU is not whole"),
                Err(problem) => return rejected(&format!("{problem} cannot be")),
            }
        }
        Received::Events {
            events,
            reply: Reply::status(200),
        }
    }
}

/// Octets of digits, with space wherever it helps a reader.
fn octets(body: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let digits: Option<Vec<u32>> = body
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(digit)
        .collect();
    let digits = digits?;
    let (pairs, odd) = digits.as_chunks::<2>();
    let octet = |[high, low]: &[u32; 2]| u8::try_from(high << 4 | low).ok();
    odd.is_empty().then(|| pairs.iter().map(octet).collect())?
}

fn rejected(problem: &str) -> Received {
    Received::Rejected {
        reply: Reply {
            status: 400,
            content_type: "text/plain",
            body: Bytes::from(problem.to_owned()),
        },
        problem: problem.to_owned(),
    }
}
