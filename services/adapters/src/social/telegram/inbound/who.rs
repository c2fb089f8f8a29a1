//! Who is on the other side, and who wrote in a group.

use super::super::wire::{Chat, Str, User};
use super::Translator;
use super::text::nfc;
use omnigate_core::identifier;
use omnigate_proto::v1::{Author, Event, Evidence, Identifier, IdentifierEvidence, Profile};

/// The contract's limit of `Profile.display_name`, in characters.
const MAX_NAME: usize = 256;

impl Translator<'_> {
    /// Sets peer, identifiers, profile and author from a chat and the person who acted in it.
    pub(super) fn with_chat(
        &self,
        event: &mut Event,
        chat: &Chat<'_>,
        business: Option<&str>,
        person: Option<&User<'_>>,
    ) {
        let own = self.chat_identifier(chat.id);
        let through = own.as_ref().zip(business).map(|(own, connection)| Identifier {
            r#type: "tg_business_chat".to_owned(),
            value: format!("{connection}/{}", chat.id),
            ..own.clone()
        });
        let known = through.iter().chain(&own).cloned();
        event
            .identifiers
            .extend(known.map(|identifier| vouched(identifier, "")));
        event.peer = through.or(own);
        event.profile = Some(match person {
            Some(user) if user.id == chat.id => user_profile(user),
            _ => chat_profile(chat),
        });
        if !chat.is_private() {
            event.author = person.map(|user| self.user_author(user));
        }
    }

    /// Sets peer, identifiers and profile of a person who acted outside any chat; their chat with the bot has their id.
    pub(super) fn with_user(&self, event: &mut Event, user: &User<'_>) {
        let peer = self.chat_identifier(user.id);
        event.identifiers.extend(peer.clone().map(|peer| vouched(peer, "")));
        event.peer = peer;
        event.profile = Some(user_profile(user));
    }

    /// A person as the writer in a group.
    pub(super) fn user_author(&self, user: &User<'_>) -> Author {
        Author {
            identifier: self.chat_identifier(user.id),
            profile: Some(user_profile(user)),
        }
    }

    /// A chat as the writer in a group: a channel, or an administrator who stays anonymous.
    pub(super) fn chat_author(&self, chat: &Chat<'_>) -> Author {
        Author {
            identifier: self.chat_identifier(chat.id),
            profile: Some(chat_profile(chat)),
        }
    }
}

/// An identifier the channel vouches for.
pub(super) fn vouched(identifier: Identifier, provider_form: &str) -> IdentifierEvidence {
    IdentifierEvidence {
        identifier: Some(identifier),
        evidence: Evidence::Vouched.into(),
        provider_form: provider_form.to_owned(),
    }
}

/// The phone number of a card, when it can be one. Telegram leaves the `+` out in places.
pub(super) fn phone(number: &str) -> Option<IdentifierEvidence> {
    let international = if number.starts_with('+') {
        number.to_owned()
    } else {
        format!("+{number}")
    };
    let phone = identifier::canonical(&Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: international,
    });
    let phone = phone.ok()?;
    let written = if phone.value == number { "" } else { number };
    Some(vouched(phone, written))
}

/// First and last name as one.
pub(super) fn name(first: Option<&Str<'_>>, last: Option<&Str<'_>>) -> String {
    let names = [first, last].into_iter().flatten().map(|name| name.trim());
    let full = names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
    nfc(&full).chars().take(MAX_NAME).collect()
}

fn user_profile(user: &User<'_>) -> Profile {
    Profile {
        display_name: name(user.first_name.as_ref(), user.last_name.as_ref()),
        username: user.username.as_deref().unwrap_or_default().to_owned(),
        locale: user.language_code.as_deref().unwrap_or_default().to_owned(),
        avatar_url: String::new(),
    }
}

fn chat_profile(chat: &Chat<'_>) -> Profile {
    let title = name(chat.title.as_ref(), None);
    Profile {
        display_name: if title.is_empty() {
            name(chat.first_name.as_ref(), chat.last_name.as_ref())
        } else {
            title
        },
        username: chat.username.as_deref().unwrap_or_default().to_owned(),
        ..Profile::default()
    }
}
