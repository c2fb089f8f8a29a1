//! What stands in `message` and beside it, by kind of event.

use super::{Object, Party, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `message` of what somebody wrote.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Content<'a> {
    #[serde(borrow)]
    pub(in super::super) msg_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) quote_msg_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) conversation_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) group_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) attachments: Option<&'a RawValue>,
    /// Seen in the wild instead of an attachment.
    #[serde(borrow)]
    pub(in super::super) location: Option<&'a RawValue>,
    /// Seen in the wild instead of an attachment.
    #[serde(borrow)]
    pub(in super::super) photo_url: Option<Text<'a>>,
}

/// An element of `attachments`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Attachment<'a> {
    #[serde(borrow)]
    pub(in super::super) r#type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) payload: Option<&'a RawValue>,
}

/// `payload` of an attachment, all types.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Payload<'a> {
    #[serde(borrow)]
    pub(in super::super) url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) thumbnail: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) title: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) description: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) size: Option<Text<'a>>,
    /// Of a file: a MIME type, or a name such as `pdf`.
    #[serde(borrow)]
    pub(in super::super) r#type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) link_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) zinstant_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) coordinates: Option<Object<Coordinates<'a>>>,
    /// Seen in the wild instead of `coordinates`.
    #[serde(borrow, alias = "lat")]
    pub(in super::super) latitude: Option<Text<'a>>,
    #[serde(borrow, alias = "long", alias = "lon", alias = "lng")]
    pub(in super::super) longitude: Option<Text<'a>>,
}

/// A place, in all spellings that were seen.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Coordinates<'a> {
    #[serde(borrow, alias = "lat")]
    pub(in super::super) latitude: Option<Text<'a>>,
    #[serde(borrow, alias = "long", alias = "lon", alias = "lng")]
    pub(in super::super) longitude: Option<Text<'a>>,
}

/// `description` of a link that is a business card.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Card<'a> {
    #[serde(borrow)]
    pub(in super::super) phone: Option<Text<'a>>,
    #[serde(borrow, rename = "qrCodeUrl")]
    pub(in super::super) qr_code_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) name: Option<Text<'a>>,
}

/// `message` of a receipt.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Reported<'a> {
    #[serde(borrow)]
    pub(in super::super) msg_id: Option<Text<'a>>,
    /// Raw, so that one bad id does not cost the others.
    #[serde(borrow)]
    pub(in super::super) msg_ids: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(in super::super) tracking_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) delivery_time: Option<Text<'a>>,
}

/// `message` of a reaction.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Reacted<'a> {
    #[serde(borrow)]
    pub(in super::super) msg_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) react_icon: Option<Text<'a>>,
}

/// `message` of `user_feedback` and `user_click_response_button`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Answered<'a> {
    #[serde(borrow)]
    pub(in super::super) msg_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) tracking_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) submit_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) rate: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) note: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) option: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) feedbacks: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(in super::super) button_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) data: Option<Text<'a>>,
}

/// What only some events have beside the envelope.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Beside<'a> {
    /// `follow`.
    #[serde(borrow)]
    pub(in super::super) source: Option<Text<'a>>,
    /// `user_click_response_button`.
    #[serde(borrow)]
    pub(in super::super) msg_id: Option<Text<'a>>,
    /// `user_submit_info`, `update_user_info`.
    #[serde(borrow)]
    pub(in super::super) info: Option<Object<Info<'a>>>,
    /// Consents to calls.
    #[serde(borrow)]
    pub(in super::super) phone: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) request_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) create_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) user_consent: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) confirmed_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) expired_time: Option<Text<'a>>,
    /// Calls. Durations are milliseconds, except `waiting_time`, which is seconds.
    #[serde(borrow)]
    pub(in super::super) call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) call_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) init_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) call_duration: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) talk_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) status_code: Option<Text<'a>>,
    /// Groups.
    #[serde(borrow)]
    pub(in super::super) group: Option<Object<Group<'a>>>,
    #[serde(borrow)]
    pub(in super::super) group_name: Option<Text<'a>>,
    /// Tags.
    #[serde(borrow)]
    pub(in super::super) tag: Option<Object<Tag<'a>>>,
    /// The web widget.
    #[serde(borrow)]
    pub(in super::super) data: Option<Object<About<'a>>>,
    #[serde(borrow)]
    pub(in super::super) user: Option<Object<Party<'a>>>,
}

/// `info`, in the present shape and in the older one.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Info<'a> {
    #[serde(borrow)]
    pub(in super::super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) phone: Option<Text<'a>>,
    /// `DD/MM/YYYY`.
    #[serde(borrow)]
    pub(in super::super) user_dob: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) gender: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) full_address: Option<Object<FullAddress<'a>>>,
    #[serde(borrow)]
    pub(in super::super) address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) ward: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) district: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) city: Option<Text<'a>>,
}

/// `info.full_address`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct FullAddress<'a> {
    #[serde(borrow)]
    pub(in super::super) user_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) user_ward: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) user_city: Option<Text<'a>>,
}

/// `group`, where an event names its group so.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Group<'a> {
    #[serde(borrow, alias = "group_id")]
    pub(in super::super) id: Option<Text<'a>>,
    #[serde(borrow, alias = "group_name")]
    pub(in super::super) name: Option<Text<'a>>,
}

/// `tag`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Tag<'a> {
    #[serde(borrow)]
    pub(in super::super) user_ids: Vec<Text<'a>>,
}

/// `data`, as far as it says whom an event is about.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct About<'a> {
    #[serde(borrow)]
    pub(in super::super) user_id: Option<Text<'a>>,
}

/// What a notice about the account or its templates says.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Notice<'a> {
    #[serde(borrow)]
    pub(in super::super) template_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) reason: Option<Text<'a>>,
    /// `{prev_status, new_status}`.
    #[serde(borrow)]
    pub(in super::super) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in super::super) quality: Option<&'a RawValue>,
    /// `{prev_value, new_value}`.
    #[serde(borrow)]
    pub(in super::super) quota: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in super::super) tags: Option<&'a RawValue>,
}

/// A change, in both spellings.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in super::super) struct Change<'a> {
    #[serde(borrow, alias = "prev_status", alias = "prev_quality")]
    pub(in super::super) prev_value: Option<Text<'a>>,
    #[serde(borrow, alias = "new_status", alias = "new_quality")]
    pub(in super::super) new_value: Option<Text<'a>>,
}
