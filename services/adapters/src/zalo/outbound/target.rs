//! Whom a call reaches.

use super::failure::error;
use omnigate_core::port::adapter::Outgoing;
use omnigate_proto::v1::{ErrorClass, SendError};
use serde_json::{Value, json};

/// Whom a call reaches, as Zalo names them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A user of the OA.
    User(String),
    /// A phone number with its country code, without `+`.
    Phone(String),
    /// A group of the OA.
    Group(String),
    /// A visitor of the web widget.
    Visitor {
        /// Their id, when known.
        id: Option<String>,
        /// Their conversation.
        conversation: String,
    },
}

impl Target {
    /// Reads a peer.
    pub(super) fn of(outgoing: &Outgoing) -> Result<Self, SendError> {
        let peer = outgoing.peer.as_str();
        let nobody = |text: &str| Err(error(ErrorClass::RecipientPermanent, text));
        if peer.is_empty() {
            return nobody("the peer is empty");
        }
        let form = Some(outgoing.peer_provider_form.as_str()).filter(|form| !form.is_empty());
        match outgoing.peer_type.as_str() {
            "zalo_uid" => Ok(Self::User(form.unwrap_or(peer).to_owned())),
            "zalo_group" => Ok(Self::Group(form.unwrap_or(peer).to_owned())),
            "zalo_anonymous" => Ok(Self::Visitor {
                id: form
                    .and_then(|form| form.strip_suffix(peer)?.strip_suffix('/'))
                    .map(str::to_owned),
                conversation: peer.to_owned(),
            }),
            // However it was written: other forms are refused.
            "phone" => match peer.strip_prefix('+') {
                Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Ok(Self::Phone(digits.to_owned()))
                }
                _ => nobody("the phone number is not in E.164 form"),
            },
            _ => nobody("zalo reaches users, groups, visitors and phone numbers; the peer is none of them"),
        }
    }

    /// `recipient`; a template names its recipient in another way.
    pub(super) fn recipient(&self) -> Value {
        match self {
            Self::User(id) => json!({ "user_id": id }),
            Self::Group(id) => json!({ "group_id": id }),
            Self::Visitor { id, conversation } => match id {
                Some(id) => json!({ "anonymous_id": id, "conversation_id": conversation }),
                None => json!({ "conversation_id": conversation }),
            },
            Self::Phone(digits) => json!({ "phone": digits }),
        }
    }
}
