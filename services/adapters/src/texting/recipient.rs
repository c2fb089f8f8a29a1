//! Whom a message reaches.

use super::{error, settings::TextSettings};
use omnigate_core::{
    port::adapter::Outgoing,
    sms::{
        phone::{self, Number},
        sender::Sender,
    },
};
use omnigate_proto::v1::{ErrorClass, SendError};

/// Type of identifier of senders that are no phone numbers.
pub(super) const SENDER_TYPE: &str = "sms_sender";

/// Whom a message reaches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Recipient {
    /// A phone, under the number it has now.
    Number(Number),
    /// A short code that wrote before; reachable inside its network only.
    ShortCode(String),
}

/// Reads the peer of a message. A number that cannot be one is RECIPIENT_PERMANENT, like a name, which nobody can answer.
pub(crate) fn recipient(outgoing: &Outgoing, settings: &TextSettings) -> Result<Recipient, SendError> {
    let region = Some(settings.region.as_str());
    if outgoing.peer_type == SENDER_TYPE {
        return match Sender::parse(&outgoing.peer, region) {
            Ok(Sender::ShortCode(code)) => Ok(Recipient::ShortCode(code)),
            Ok(Sender::Number(number)) => Ok(Recipient::Number(number.for_sending())),
            Ok(Sender::Alphanumeric(_)) => Err(nobody("a sender's name cannot be answered")),
            Err(problem) => Err(nobody(&problem.to_string())),
        };
    }
    match phone::parse(&outgoing.peer, region) {
        Ok(number) => Ok(Recipient::Number(number.for_sending())),
        Err(problem) => Err(nobody(&problem.to_string())),
    }
}

fn nobody(text: &str) -> SendError {
    error(ErrorClass::RecipientPermanent, text)
}

impl Recipient {
    /// The number in E.164 form, or the short code.
    pub(crate) fn e164(&self) -> &str {
        match self {
            Self::Number(number) => number.e164(),
            Self::ShortCode(code) => code,
        }
    }

    /// The number's digits with its country code, or the short code.
    pub(crate) fn digits(&self) -> &str {
        match self {
            Self::Number(number) => number.international_digits(),
            Self::ShortCode(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texting::settings::tests::text_settings;
    use omnigate_proto::v1::Message;
    use serde_json::json;
    use std::time::Duration;

    fn outgoing(kind: &str, peer: &str) -> Outgoing {
        Outgoing {
            peer_type: kind.into(),
            peer: peer.into(),
            peer_provider_form: String::new(),
            message: Message::default(),
            piece: 0,
            send_key: String::new(),
            time_limit: Duration::from_secs(1),
        }
    }

    #[test]
    fn numbers_and_short_codes_are_reached_and_names_are_not() {
        let settings = text_settings(json!({})).unwrap();
        let read = |kind, peer| recipient(&outgoing(kind, peer), &settings);
        let reached = |kind, peer| read(kind, peer).map(|found| found.e164().to_owned());
        assert_eq!(reached("phone", "+84912345678"), Ok("+84912345678".to_owned()));
        assert_eq!(reached("phone", "0912345678"), Ok("+84912345678".to_owned()));
        assert_eq!(
            reached("phone", "+841621234567"),
            Ok("+84321234567".to_owned()),
            "moved in 2018"
        );
        assert_eq!(reached("", "+14155550100"), Ok("+14155550100".to_owned()));
        assert_eq!(reached(SENDER_TYPE, "8041"), Ok("8041".to_owned()));
        assert_eq!(read("phone", "+84912345678").unwrap().digits(), "84912345678");
        for (kind, peer) in [
            (SENDER_TYPE, "SHOPABC"),
            ("phone", "8041"),
            ("phone", "x"),
            ("phone", "+84"),
        ] {
            assert_eq!(
                read(kind, peer).unwrap_err().class(),
                ErrorClass::RecipientPermanent,
                "{peer}"
            );
        }
    }
}
