//! What became of messages of ours, and reactions to messages.

use super::super::phone;
use super::super::wire::{Reacted, Reported, Text, said};
use super::who::{channel_id, told};
use super::{Malformed, Translator, time, unsupported};
use omnigate_proto::v1::{Direction, Event, Evidence, Identifier, Reaction, Receipt, ReceiptState, event::Kind};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// Most ids in one report that are read.
const MAX_IDS: usize = 1000;
/// Digits of the shortest user id; phone numbers are shorter.
const USER_ID_DIGITS: usize = 16;

/// Zalo's reaction icons with a plain meaning. Others are kept as Zalo writes them.
const ICONS: &[(&str, &str)] = &[
    ("/-strong", "👍"),
    ("/-heart", "❤️"),
    (":>", "😆"),
    (":o", "😮"),
    (":-((", "😭"),
    (":-h", "😡"),
];
/// The icon that takes a reaction back.
const REMOVED: &str = "/-remove";

impl Translator<'_> {
    /// `user_received_message` of a conversation or of a template by phone number, and `user_seen_message`.
    pub(super) fn receipts(&self) -> Result<Vec<Event>, Malformed> {
        let report: Reported<'_> = self.content()?;
        let state = if self.name() == "user_seen_message" {
            ReceiptState::Read
        } else {
            ReceiptState::Delivered
        };
        // The same event name stands for both: only templates by phone number have these.
        if self.is_zns || report.tracking_id.is_some() || report.delivery_time.is_some() {
            return Ok(vec![self.template_receipt(&report, state)]);
        }
        let lone = said(report.msg_id.as_ref());
        let list = report.msg_ids.as_deref().unwrap_or_default();
        if list.len() > MAX_IDS || (lone.is_empty() && list.is_empty()) {
            return Err(Malformed);
        }
        let mut named = BTreeSet::new();
        let mut events = Vec::new();
        if !lone.is_empty() && named.insert(lone.to_owned()) {
            events.push(self.receipt(lone, state));
        }
        for raw in list {
            match id(raw) {
                Some(id) if !named.insert(id.clone()) => {}
                Some(id) => events.push(self.receipt(&id, state)),
                None => events.push(self.unreadable_id(raw)),
            }
        }
        Ok(events)
    }

    fn receipt(&self, id: &str, state: ReceiptState) -> Event {
        let mut event = self.event();
        self.with_user(&mut event);
        id.clone_into(&mut event.provider_message_id);
        event.kind = Some(Kind::Receipt(Receipt {
            provider_message_id: id.to_owned(),
            state: state.into(),
            ..Receipt::default()
        }));
        event
    }

    /// A template's report names a phone number, or only its hash. `tracking_id` is our send key.
    fn template_receipt(&self, report: &Reported<'_>, state: ReceiptState) -> Event {
        let mut event = self.receipt(said(report.msg_id.as_ref()), state);
        event.peer = None;
        event.identifiers.clear();
        let recipient = self.sides.user.unwrap_or_default();
        if let Some(phone) = receiving_phone(recipient) {
            let evidence = told(phone.clone(), Evidence::Stated, recipient);
            event.identifiers.push(evidence);
            event.peer = Some(phone);
        } else if recipient.len() >= USER_ID_DIGITS && recipient.bytes().all(|byte| byte.is_ascii_digit()) {
            self.with_user(&mut event);
        }
        time::set_own(&mut event, report.delivery_time.as_ref());
        let reference = said(report.tracking_id.as_ref());
        if event.provider_message_id.is_empty() && reference.is_empty() {
            event.kind = Some(unsupported(self.name(), self.raw, "malformed"));
            event.stable_key = super::content_key(self.raw);
        } else if let Some(Kind::Receipt(receipt)) = &mut event.kind {
            reference.clone_into(&mut receipt.client_reference);
        }
        event
    }

    /// What stands in a list of ids and is none.
    fn unreadable_id(&self, raw: &RawValue) -> Event {
        let mut event = self.event();
        self.with_user(&mut event);
        event.stable_key = self.key(self.sides.user.unwrap_or_default());
        event.kind = Some(unsupported(self.name(), raw.get().as_bytes(), "malformed"));
        event
    }

    /// `user_reacted_message` and `oa_reacted_message`. The event's key tells reactions of the same moment apart.
    pub(super) fn reaction(&self) -> Result<Event, Malformed> {
        let reacted: Reacted<'_> = self.content()?;
        let icon = said(reacted.react_icon.as_ref());
        let (id, by_oa) = (said(reacted.msg_id.as_ref()), self.name() == "oa_reacted_message");
        if icon.is_empty() || id.is_empty() {
            return Err(Malformed);
        }
        let known = ICONS.iter().find(|(name, _)| *name == icon).map(|(_, emoji)| *emoji);
        let emojis = if icon == REMOVED {
            vec![]
        } else {
            vec![known.unwrap_or(icon).to_owned()]
        };
        let mut event = self.about_user(Kind::Reaction(Reaction {
            emojis,
            actor: by_oa.then(|| channel_id("zalo_oa", "", self.oa_id)).flatten(),
        }));
        id.clone_into(&mut event.provider_message_id);
        if by_oa {
            event.set_direction(Direction::Outbound);
        }
        Ok(event)
    }
}

fn id(raw: &RawValue) -> Option<String> {
    let id = serde_json::from_str::<Text<'_>>(raw.get()).ok()?;
    let id = said(Some(&id));
    (!id.is_empty()).then(|| id.to_owned())
}

/// The number a template went to: digits with the country code. Longer ones are users' ids, and hashes are no digits.
fn receiving_phone(recipient: &str) -> Option<Identifier> {
    (recipient.len() < USER_ID_DIGITS).then(|| phone::identifier(recipient))?
}
