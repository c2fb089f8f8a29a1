//! What all SMS adapters share: settings of an account, the text that goes out, phone numbers, opt-outs that come in.
//!
//! A provider's folder reads its settings with [`read`], turns a message into what is sent with [`plan`], resolves whom it
//! reaches with [`recipient`], and builds what came in with [`Inbox`].
//!
//! Peers. A phone number is `phone`, scope empty, value E.164. What no phone has (a short code, a name) is `sms_sender`,
//! scope the account, because the same short code is somebody else's in another network.

pub(crate) mod arrivals;
pub(crate) mod callback;
mod failure;
mod inbox;
mod plain;
mod plan;
mod recipient;
mod settings;

pub(crate) use failure::{content_error, error, not_answered, redacted};
pub(crate) use inbox::{Inbox, Received, text_part};
pub(crate) use plan::{Planned, Rules, plan};
pub(crate) use recipient::{Recipient, recipient};
pub(crate) use settings::{TextSettings, read};
