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
        let octets = match octets(&request.body) {
            Ok(octets) if octets.is_empty() => {
                return rejected("the body is empty; it must be PDUs in hexadecimal digits");
            }
            Ok(octets) => octets,
            Err(problem) => return rejected(&problem),
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
                Ok(None) if buffer.is_empty() => break,
                Ok(None) => return rejected(&format!("the last PDU is not whole: {} octets are left", buffer.len())),
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
fn octets(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut digits = Vec::with_capacity(body.len());
    for (place, byte) in body.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace()) {
        let digit = char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        digits.push(digit.ok_or_else(|| {
            let found = char::from(*byte);
            format!(
                "the body must be PDUs in hexadecimal digits; byte {} is {found:?}",
                place + 1
            )
        })?);
    }
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(format!(
            "{} hexadecimal digits are no whole number of octets",
            digits.len()
        ));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_digits_is_said() {
        assert_eq!(octets(b"00 Fa\n0b").unwrap(), [0x00, 0xfa, 0x0b]);
        assert_eq!(octets(b"").unwrap(), [0_u8; 0]);
        let odd = octets(b"00 f").unwrap_err();
        assert_eq!(odd, "3 hexadecimal digits are no whole number of octets");
        let strange = octets(b"00 0x").unwrap_err();
        assert!(strange.ends_with("byte 5 is 'x'"), "{strange}");
    }
}
