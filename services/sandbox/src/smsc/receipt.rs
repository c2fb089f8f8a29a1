//! Delivery receipts, in the standard's form and in those that are met in the field.

use super::{
    coding::Coding,
    pdu::{ShortMessage, Tlv, tag},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// On its way; intermediate.
    Enroute,
    /// Arrived.
    #[default]
    Delivered,
    /// Its validity ran out.
    Expired,
    /// Taken back.
    Deleted,
    /// Cannot be delivered.
    Undeliverable,
    /// Taken by the network; final in some.
    Accepted,
    /// Nobody knows.
    Unknown,
    /// Refused by the network.
    Rejected,
}

impl State {
    /// As `message_state` says it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
        }
    }

    /// As `stat:` says it.
    #[must_use]
    pub fn stat(self) -> &'static str {
        match self {
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
        }
    }

    pub(super) fn is_failure(self) -> bool {
        !matches!(self, Self::Enroute | Self::Delivered | Self::Accepted)
    }
}

/// How one id is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// Decimal, ten digits, zeros in front: `0489708364`.
    #[default]
    Decimal,
    /// Decimal as it is.
    Plain,
    /// Hexadecimal in lower case: `1d305b4c`.
    Hex,
    /// Hexadecimal in upper case.
    UpperHex,
    /// A UUID.
    Uuid,
    /// Letters and digits with a hyphen, as some aggregators make them.
    Alphanumeric,
}

impl IdForm {
    /// `number` in this form.
    #[must_use]
    pub fn write(self, number: u64) -> String {
        match self {
            Self::Decimal => format!("{number:010}"),
            Self::Plain => number.to_string(),
            Self::Hex => format!("{number:x}"),
            Self::UpperHex => format!("{number:X}"),
            Self::Uuid => format!("5a4d0c1e-7b2f-4c6d-9e8a-{number:012x}"),
            Self::Alphanumeric => format!("SbX{:04}-{number}", number % 9973),
        }
    }
}

/// How a message's id is written in each place; in the field they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdForms {
    /// In `submit_sm_resp`.
    pub response: IdForm,
    /// In a receipt's text, after `id:`.
    pub text: IdForm,
    /// In a receipt's `receipted_message_id`.
    pub tlv: IdForm,
}

/// What stands after `err:` in a receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextField {
    /// `text:` and the message's first 20 characters.
    #[default]
    Lower,
    /// The same, as `Text:`.
    Upper,
    /// Nothing.
    Absent,
    /// `text:` and the message's first 20 characters as UCS-2, whatever `data_coding` says.
    Ucs2,
}

/// `network_error_code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkError {
    /// Not there.
    #[default]
    Absent,
    /// Network type GSM and a number, as documented.
    Gsm,
    /// The three ASCII characters `000`.
    Ascii,
}

/// The form of a receipt. The default is the standard's appendix B with TLVs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptForm {
    /// Whether there is a text.
    pub text: bool,
    /// Whether there are `receipted_message_id` and `message_state`.
    pub tlvs: bool,
    /// Whether the text is in `message_payload`, with `sm_length` 0.
    pub in_payload: bool,
    /// Whether there are `sub:` and `dlvrd:`.
    pub counts: bool,
    /// Whether dates have seconds: twelve digits in place of ten.
    pub seconds: bool,
    /// Whether it says `submitdate:` and `donedate:`.
    pub joined_dates: bool,
    /// Whether a NUL ends the text.
    pub trailing_nul: bool,
    /// What stands last.
    pub text_field: TextField,
    /// `network_error_code`.
    pub network_error: NetworkError,
    /// `data_coding`.
    pub data_coding: u8,
    /// Further optional parameters, such as a vendor's: tag and value, as text without a NUL.
    pub other_tlvs: Vec<(u16, String)>,
    /// What stands after `stat:`, in place of the state's own word.
    pub stat: Option<String>,
}

impl Default for ReceiptForm {
    fn default() -> Self {
        Self {
            text: true,
            tlvs: true,
            in_payload: false,
            counts: true,
            seconds: false,
            joined_dates: false,
            trailing_nul: false,
            text_field: TextField::Lower,
            network_error: NetworkError::Absent,
            data_coding: 0,
            other_tlvs: Vec::new(),
            stat: None,
        }
    }
}

/// What a receipt is about.
pub(super) struct About<'a> {
    pub(super) number: u64,
    pub(super) ids: IdForms,
    pub(super) state: State,
    /// After `err:`.
    pub(super) error: &'a str,
    /// Seconds since 1970.
    pub(super) submitted: i64,
    pub(super) done: i64,
    pub(super) text: &'a str,
}

impl ReceiptForm {
    /// The receipt on `about`, from the message's destination to its source.
    pub(super) fn write(&self, about: &About<'_>, sent: &ShortMessage, esm_class: u8) -> ShortMessage {
        let mut receipt = ShortMessage {
            source: sent.destination.clone(),
            destination: sent.source.clone(),
            esm_class,
            data_coding: self.data_coding,
            ..ShortMessage::default()
        };
        if self.text {
            let text = Bytes::from(self.text(about));
            if self.in_payload {
                receipt.tlvs.push(Tlv::new(tag::MESSAGE_PAYLOAD, text));
            } else {
                receipt.short_message = text;
            }
        }
        if self.tlvs {
            let id = format!("{}\0", about.ids.tlv.write(about.number));
            receipt.tlvs.push(Tlv::new(tag::RECEIPTED_MESSAGE_ID, id));
            receipt
                .tlvs
                .push(Tlv::new(tag::MESSAGE_STATE, vec![about.state.code()]));
        }
        let others = self.other_tlvs.iter();
        receipt
            .tlvs
            .extend(others.map(|(tag, value)| Tlv::new(*tag, value.clone())));
        match self.network_error {
            NetworkError::Absent => {}
            NetworkError::Gsm => {
                let [high, low] = about.error.parse().unwrap_or(0_u16).to_be_bytes();
                receipt.tlvs.push(Tlv::new(tag::NETWORK_ERROR_CODE, vec![3, high, low]));
            }
            NetworkError::Ascii => receipt.tlvs.push(Tlv::new(tag::NETWORK_ERROR_CODE, &b"000"[..])),
        }
        receipt
    }

    fn text(&self, about: &About<'_>) -> Vec<u8> {
        let mut text = format!("id:{}", about.ids.text.write(about.number));
        if self.counts {
            let delivered = u8::from(about.state == State::Delivered);
            text += &format!(" sub:001 dlvrd:{delivered:03}");
        }
        let gap = if self.joined_dates { "" } else { " " };
        let (submitted, done) = (self.date(about.submitted), self.date(about.done));
        text += &format!(" submit{gap}date:{submitted} done{gap}date:{done}");
        let stat = self.stat.as_deref().unwrap_or(about.state.stat());
        text += &format!(" stat:{stat} err:{}", about.error);
        let first: String = about.text.chars().take(20).collect();
        let in_gsm = || -> String { first.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect() };
        let mut octets = match self.text_field {
            TextField::Lower => format!("{text} text:{}", in_gsm()).into_bytes(),
            TextField::Upper => format!("{text} Text:{}", in_gsm()).into_bytes(),
            TextField::Absent => text.into_bytes(),
            TextField::Ucs2 => {
                let first = Coding::Ucs2.encode(&first).unwrap_or_default();
                [format!("{text} text:").as_bytes(), &first].concat()
            }
        };
        if self.trailing_nul {
            octets.push(0);
        }
        octets
    }

    fn date(&self, unix: i64) -> String {
        let format = if self.seconds { "%y%m%d%H%M%S" } else { "%y%m%d%H%M" };
        let time = jiff::Timestamp::from_second(unix).unwrap_or_default();
        time.strftime(format).to_string()
    }
}

/// What comes back for a message, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptPlan {
    /// The last word.
    pub state: State,
    /// After how many milliseconds, divided by the sandbox's speed.
    pub after_ms: u64,
    /// After `err:`; one to three characters, not always digits.
    pub error: String,
    /// Its form.
    pub form: ReceiptForm,
    /// What is told before, where the ESME asked for intermediate notifications, each `after_ms` apart.
    pub intermediate: Vec<State>,
    /// How often the receipt is sent; 0 is never.
    pub copies: u32,
    /// Whether it is sent before the `submit_sm_resp` that says the id.
    pub before_response: bool,
}

impl Default for ReceiptPlan {
    fn default() -> Self {
        Self {
            state: State::Delivered,
            after_ms: 0,
            error: "000".to_owned(),
            form: ReceiptForm::default(),
            intermediate: Vec::new(),
            copies: 1,
            before_response: false,
        }
    }
}

/// Which messages a plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRule {
    /// To destinations that begin so, without a `+`; to all when absent.
    #[serde(default)]
    pub destination: Option<String>,
    /// For how many messages; for all that follow when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// What comes back.
    #[serde(default)]
    pub plan: ReceiptPlan,
}

#[cfg(test)]
mod tests;
