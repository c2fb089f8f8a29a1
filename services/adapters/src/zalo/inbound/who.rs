//! Who is on which side of an event.

use super::super::phone;
use super::super::wire::{Envelope, Object, Party, said};
use super::Translator;
use omnigate_core::identifier;
use omnigate_proto::v1::{Author, Event, Evidence, Identifier, IdentifierEvidence};

/// The two sides of an event, as ids of Zalo's.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Sides<'a> {
    /// The Official Account.
    pub(in super::super) oa: Option<&'a str>,
    /// The person; in events of groups whoever acted.
    pub(in super::super) user: Option<&'a str>,
    /// The side that is neither, where it is a group.
    pub(in super::super) recipient: Option<&'a str>,
}

impl<'a> Sides<'a> {
    /// Reads the sides. Receipts and everything called `oa_…` come from the OA, all else goes to it; sources differ about
    /// some events, so an id that is one of ours decides.
    pub(in super::super) fn of(envelope: &'a Envelope<'a>, is_ours: impl Fn(&str) -> bool) -> Self {
        let present = |text: &'a str| (!text.is_empty()).then_some(text);
        let id = |party: &'a Option<Object<Party<'a>>>| present(said(party.as_ref()?.id.as_ref()));
        let name = envelope.name();
        let (sender, recipient) = (id(&envelope.sender), id(&envelope.recipient));
        let from_oa = name.starts_with("oa_") || matches!(name, "user_received_message" | "user_seen_message");
        let (mut oa, mut user) = if from_oa {
            (sender, recipient)
        } else {
            (recipient, sender)
        };
        let named = envelope.oa_id.as_ref().or(envelope.oa_id_in_camel_case.as_ref());
        if let Some(named) = present(said(named)) {
            if user == Some(named) {
                user = oa;
            }
            oa = Some(named);
        } else if !oa.is_some_and(&is_ours) && user.is_some_and(&is_ours) {
            (oa, user) = (user, oa);
        } else if !from_oa && name.contains("group") {
            // What people do in a group goes to the group.
            oa = oa.filter(|id| is_ours(id));
        }
        let told = id(&envelope.follower).or_else(|| present(said(envelope.user_id.as_ref())));
        Self {
            oa,
            user: told.or(user),
            recipient,
        }
    }
}

impl Translator<'_> {
    /// Sets the peer to the event's user.
    pub(super) fn with_user(&self, event: &mut Event) {
        if let Some(user) = self.sides.user {
            self.with_user_id(event, user);
            let by_app = said(self.envelope().user_id_by_app.as_ref());
            let app_id = self.app_id.unwrap_or_else(|| said(self.envelope().app_id.as_ref()));
            if event.peer.is_some() && !app_id.is_empty() && !by_app.is_empty() {
                let by_app = channel_id("zalo_uid_by_app", app_id, by_app);
                event
                    .identifiers
                    .extend(by_app.map(|id| told(id, Evidence::Vouched, "")));
            }
        }
    }

    /// Sets the peer to a user.
    pub(super) fn with_user_id(&self, event: &mut Event, user: &str) {
        self.with_peer(event, self.user(user), "");
    }

    /// Sets the peer to somebody whom Zalo names by an id of its own. `provider_form` is what an answer goes to.
    pub(super) fn with_peer(&self, event: &mut Event, peer: Option<Identifier>, provider_form: &str) {
        let evidence = peer.clone().map(|peer| told(peer, Evidence::Vouched, provider_form));
        event.identifiers.extend(evidence);
        event.peer = peer;
    }

    /// A user of the OA.
    pub(super) fn user(&self, id: &str) -> Option<Identifier> {
        channel_id("zalo_uid", self.oa_id, id)
    }

    /// A group of the OA.
    pub(super) fn group(&self, id: &str) -> Option<Identifier> {
        channel_id("zalo_group", self.oa_id, id)
    }

    /// A visitor of the web widget.
    pub(super) fn visitor(&self, conversation: &str) -> Option<Identifier> {
        channel_id("zalo_anonymous", self.oa_id, conversation)
    }

    /// The person who wrote for the OA in Zalo's own chat tool; none when an app wrote.
    pub(super) fn administrator(&self) -> Option<Author> {
        let sender = self.envelope().sender.as_ref()?;
        let identifier = channel_id("zalo_admin", self.oa_id, said(sender.admin_id.as_ref()))?;
        Some(Author {
            identifier: Some(identifier),
            profile: None,
        })
    }
}

/// An identifier of the channel, when the value can be one.
pub(super) fn channel_id(kind: &str, scope: &str, value: &str) -> Option<Identifier> {
    let identifier = Identifier {
        r#type: kind.to_owned(),
        scope: scope.to_owned(),
        value: value.to_owned(),
    };
    identifier::canonical(&identifier).ok()
}

/// An identifier with how well it is known.
pub(super) fn told(identifier: Identifier, evidence: Evidence, provider_form: &str) -> IdentifierEvidence {
    IdentifierEvidence {
        identifier: Some(identifier),
        evidence: evidence.into(),
        provider_form: provider_form.to_owned(),
    }
}

/// A phone number that somebody stated, with the way it was written.
pub(super) fn stated_phone(written: &str) -> Option<IdentifierEvidence> {
    told_phone(written, Evidence::Stated)
}

/// A phone number as well as it is known, with the way it was written.
pub(super) fn told_phone(written: &str, evidence: Evidence) -> Option<IdentifierEvidence> {
    let phone = phone::identifier(written)?;
    let form = if phone.value == written { "" } else { written };
    Some(told(phone, evidence, form))
}
