//! Groups of the OA: what happens to them and in them, messages apart.

use super::super::wire::{Beside, said};
use super::message::nfc;
use super::{Translator, unsupported};
use omnigate_proto::v1::{Author, Event, Profile, ProfileUpdate, Subscription, SubscriptionState, event::Kind};

/// True for names of events about a group; sources differ about some of the names.
pub(in super::super) fn is_about(name: &str) -> bool {
    name.ends_with("_group") || name.contains("_group_")
}

impl Translator<'_> {
    /// Sets the peer to the group that an event names, wherever it does.
    pub(super) fn with_group(&self, event: &mut Event, in_message: &str) {
        let named = said(self.envelope().group_id.as_ref());
        let apart = self.sides.recipient.filter(|id| Some(*id) != self.sides.oa);
        let id = [in_message, named].into_iter().find(|id| !id.is_empty()).or(apart);
        self.with_peer(event, id.and_then(|id| self.group(id)), "");
    }

    /// Sets the author to the event's user.
    pub(super) fn with_writer(&self, event: &mut Event) {
        let identifier = self.sides.user.and_then(|user| self.user(user));
        event.author = identifier.map(|identifier| Author {
            identifier: Some(identifier),
            profile: None,
        });
    }

    /// Everything else about a group.
    pub(super) fn group_event(&self, beside: &Beside<'_>) -> Event {
        let group = beside.group.as_ref();
        let name = group
            .and_then(|group| group.name.as_ref())
            .or(beside.group_name.as_ref());
        let mut event = self.event();
        self.with_group(&mut event, said(group.and_then(|group| group.id.as_ref())));
        self.with_writer(&mut event);
        let subject = event.peer.as_ref().map_or("", |peer| peer.value.as_str());
        let actor = self.sides.user.unwrap_or_default();
        event.stable_key = self.key(&format!("{subject}:{actor}"));
        if !said(name).is_empty() {
            event.profile = Some(Profile {
                display_name: nfc(said(name)),
                ..Profile::default()
            });
        }
        let writable = |state: SubscriptionState| {
            Kind::Subscription(Subscription {
                state: state.into(),
                ..Subscription::default()
            })
        };
        event.kind = Some(match self.name() {
            "create_group" if event.peer.is_some() => writable(SubscriptionState::Subscribed),
            "delete_group" if event.peer.is_some() => writable(SubscriptionState::Unsubscribed),
            "update_group_info" if event.peer.is_some() && event.profile.is_some() => {
                Kind::ProfileUpdate(ProfileUpdate::default())
            }
            name => unsupported(name, self.raw, ""),
        });
        event
    }
}
