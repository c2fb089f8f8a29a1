//! Who an SMS comes from: a number, a short code, or a name.

use super::phone::{self, NotAPhone, Number, SHORT_CODE_DIGITS};

/// Longest name, in characters (SMPP 3.4 and every network).
const MAX_NAME: usize = 11;

/// Why a text can be no sender. None of the texts repeats it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotASender {
    /// A name with characters that networks do not carry.
    #[error("a sender's name must be letters, digits, space and punctuation of ASCII")]
    Characters,
    /// A name of more than eleven characters.
    #[error("a sender's name has at most 11 characters")]
    TooLong,
    /// Neither a name nor a number.
    #[error(transparent)]
    Number(#[from] NotAPhone),
}

/// A sender.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Sender {
    /// Can be answered.
    Number(Number),
    /// Three to six digits; can be answered inside its network.
    ShortCode(String),
    /// A name, in Vietnam a registered brandname; cannot be answered.
    Alphanumeric(String),
}

/// Type of number and numbering plan of an address (SMPP 3.4, 5.2.5 and 5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addressing {
    /// Type of number: 1 international, 5 alphanumeric, 6 abbreviated.
    pub ton: u8,
    /// Numbering plan: 1 E.164, 0 unknown.
    pub npi: u8,
}

impl Sender {
    /// Tells what a sender is. `region` is that of the account, for numbers in national form.
    pub fn parse(text: &str, region: Option<&str>) -> Result<Self, NotASender> {
        let text = text.trim();
        if text.chars().any(char::is_alphabetic) {
            return name(text).map(Self::Alphanumeric);
        }
        let is_short = SHORT_CODE_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_short {
            return Ok(Self::ShortCode(text.to_owned()));
        }
        Ok(Self::Number(phone::parse(text, region)?))
    }

    /// How SMPP addresses it. Some providers want something else for short codes: let the account say so.
    #[must_use]
    pub const fn addressing(&self) -> Addressing {
        match self {
            Self::Number(_) => Addressing { ton: 1, npi: 1 },
            Self::ShortCode(_) => Addressing { ton: 6, npi: 0 },
            Self::Alphanumeric(_) => Addressing { ton: 5, npi: 0 },
        }
    }

    /// The address that goes with [`Sender::addressing`]: a number without its plus.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Number(number) => number.international_digits(),
            Self::ShortCode(text) | Self::Alphanumeric(text) => text,
        }
    }
}

fn name(text: &str) -> Result<String, NotASender> {
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(NotASender::Characters);
    }
    if text.len() > MAX_NAME {
        return Err(NotASender::TooLong);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn senders_are_told_apart() {
        let told = |text| {
            let sender = Sender::parse(text, Some("VN")).unwrap();
            let Addressing { ton, npi } = sender.addressing();
            (sender.address().to_owned(), ton, npi)
        };
        assert_eq!(told("0912 345 678"), ("84912345678".into(), 1, 1));
        assert_eq!(told("+84912345678"), ("84912345678".into(), 1, 1));
        assert_eq!(told("8041"), ("8041".into(), 6, 0));
        assert_eq!(told("199"), ("199".into(), 6, 0));
        assert_eq!(told("SHOPABC"), ("SHOPABC".into(), 5, 0));
        assert_eq!(told(" Shop & Co. "), ("Shop & Co.".into(), 5, 0));
        assert_eq!(told("1234567890A").1, 5);
    }

    #[test]
    fn what_is_no_sender_says_why() {
        let refused = |text| Sender::parse(text, Some("VN")).unwrap_err();
        assert_eq!(refused("SHOPABCDEFGH"), NotASender::TooLong);
        assert_eq!(refused("CỬA HÀNG"), NotASender::Characters);
        assert_eq!(refused("SHOP\nABC"), NotASender::Characters);
        assert_eq!(refused(""), NotASender::Number(NotAPhone::Empty));
        assert_eq!(refused("&&"), NotASender::Number(NotAPhone::Characters));
        assert_eq!(refused("12"), NotASender::Number(NotAPhone::Implausible));
    }

    proptest! {
        #[test]
        fn any_text_is_a_sender_or_not(text in "\\PC{0,45}") {
            if let Ok(sender) = Sender::parse(&text, Some("VN")) {
                prop_assert!(sender.address().is_ascii() && sender.address().len() <= 20, "SMPP has 20 octets");
            }
        }
    }
}
