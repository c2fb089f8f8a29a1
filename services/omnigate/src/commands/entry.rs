//! Entries of a timeline as people read them.

use super::print;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{
    Alternative, Direction, Entry, Event, IdentityChange, IdentityChangeKind, Media, Message, Part, PrivacyRequestKind,
    Purpose, Rating, ReachabilityState, Subscription, SubscriptionState, TemplateRef,
};

/// Longest text shown, in characters.
const MAX_TEXT: usize = 200;

/// An entry as one line: when, in which direction, through which account, what.
#[must_use]
pub fn one_line(entry: &Entry) -> String {
    let event = entry.event.clone().unwrap_or_default();
    let arrow = match event.direction() {
        Direction::Outbound => "→",
        _ => "←",
    };
    let mut line = format!(
        "{} {arrow} {:<12} {}",
        print::time(entry.shown_at.as_ref()),
        event.account_id,
        what(entry, &event)
    );
    if entry.revision > 0 {
        line += &format!("  (edited {}×)", entry.revision);
    }
    if entry.deleted {
        line += "  (withdrawn)";
    }
    for reaction in &entry.reactions {
        line += &format!("  [{}]", reaction.emojis.join(""));
    }
    if entry.follows_gap {
        line += "  (after a parked event)";
    }
    line
}

fn what(entry: &Entry, event: &Event) -> String {
    let writer = event.author.as_ref().and_then(|author| author.profile.as_ref());
    let writer = writer
        .map(|profile| format!("{}: ", profile.display_name))
        .unwrap_or_default();
    match &event.kind {
        Some(Kind::Message(message)) => writer + &message_text(entry.current.as_ref().unwrap_or(message)),
        Some(Kind::Edit(edit)) => format!(
            "edited to: {}",
            edit.message.as_ref().map(message_text).unwrap_or_default()
        ),
        Some(Kind::Deletion(_)) => "withdrew a message".to_owned(),
        Some(Kind::Reaction(reaction)) if reaction.emojis.is_empty() => "took a reaction back".to_owned(),
        Some(Kind::Reaction(reaction)) => format!("reacted {}", reaction.emojis.join("")),
        Some(Kind::Postback(postback)) => format!("pressed {:?} ({})", postback.title, postback.payload),
        Some(Kind::Subscription(subscription)) => subscription_text(subscription),
        Some(Kind::ProfileUpdate(_)) => "profile changed".to_owned(),
        Some(Kind::Call(call)) => format!("call, {} s, {}", call.duration_ms / 1000, call.outcome),
        Some(Kind::AccountNotice(notice)) => format!("{}: {}", notice.code, notice.text),
        Some(Kind::Receipt(receipt)) => format!("receipt {}", receipt.state().as_str_name()),
        Some(Kind::PrivacyRequest(request)) => match request.kind() {
            PrivacyRequestKind::Erasure => "PRIVACY: asks for everything about them to be erased".to_owned(),
            PrivacyRequestKind::Access => "PRIVACY: asks what is stored about them".to_owned(),
            PrivacyRequestKind::Unspecified => "PRIVACY: asks for a right of theirs".to_owned(),
        },
        Some(Kind::Rating(rating)) => rating_text(rating),
        Some(Kind::Reachability(told)) => match told.state() {
            ReachabilityState::Unavailable => "device: cannot be reached now".to_owned(),
            ReachabilityState::Denied => "device: the network lets no messages through".to_owned(),
            ReachabilityState::Available | ReachabilityState::Unspecified => "device: can be reached".to_owned(),
        },
        Some(Kind::Note(note)) => {
            let changed = entry.current.as_ref().map(message_text);
            let text = changed.unwrap_or_else(|| note.text.replace('\n', " ⏎ "));
            format!("note of {}: {text}", note.author)
        }
        Some(Kind::IdentityChange(change)) => identity_text(change),
        Some(Kind::Unsupported(unsupported)) => format!("({})", unsupported.type_name),
        None => "(unknown)".to_owned(),
    }
}

fn identity_text(change: &IdentityChange) -> String {
    let who = if change.by_person {
        "by a person"
    } else {
        "by what a channel said"
    };
    let what = match change.kind() {
        IdentityChangeKind::Split => "identifiers went to",
        IdentityChangeKind::Merged | IdentityChangeKind::Unspecified => "merged with",
    };
    format!("{what} {} {who} ({})", change.other_customer_id, change.transaction_id)
}

/// What somebody wishes to receive, or not.
fn subscription_text(wish: &Subscription) -> String {
    let about = match wish.topic.as_str() {
        "" => String::new(),
        topic => format!(" {topic}"),
    };
    let mut text = match wish.state() {
        SubscriptionState::Subscribed if about.is_empty() => "subscribed".to_owned(),
        SubscriptionState::Subscribed => format!("agrees to{about}"),
        SubscriptionState::Unsubscribed if about.is_empty() => "blocked us".to_owned(),
        SubscriptionState::Unsubscribed => format!("opted out of{about}"),
        SubscriptionState::Requested | SubscriptionState::Unspecified => format!("asks to join{about}"),
    };
    if !wish.source.is_empty() {
        text += &format!(" (by {:?})", wish.source);
    }
    if wish.expires_at.is_some() {
        text += &format!(", until {} UTC", print::time(wish.expires_at.as_ref()));
    }
    if !wish.confirmation.is_empty() {
        text += &format!(", confirmed with {:?}", wish.confirmation);
    }
    text
}

fn rating_text(rating: &Rating) -> String {
    let mut text = format!("rated {}", rating.score);
    if rating.max_score > 0.0 {
        text += &format!(" of {}", rating.max_score);
    }
    if !rating.comment.is_empty() {
        text += &format!(": {}", rating.comment);
    }
    if !rating.answers.is_empty() {
        text += &format!(" [{}]", rating.answers.join(", "));
    }
    text
}

/// A message as one line.
#[must_use]
pub fn message_text(message: &Message) -> String {
    let mut words: Vec<String> = message.parts.iter().map(part_text).collect();
    if !message.subject.is_empty() {
        words.insert(0, format!("{:?}", message.subject));
    }
    if !message.reply_to_provider_message_id.is_empty() {
        words.insert(0, "(reply)".to_owned());
    }
    if message.purpose() == Purpose::Marketing {
        words.insert(0, "(marketing)".to_owned());
    }
    if let Some(piece) = &message.piece {
        words.push(format!("(piece {} of {})", piece.number, piece.total));
    }
    if message.is_partial {
        words.push("(pieces of it did not come)".to_owned());
    }
    if !message.choices.is_empty() {
        let labels: Vec<&str> = message.choices.iter().map(|choice| choice.label.as_str()).collect();
        words.push(format!("[{}]", labels.join(" | ")));
    }
    let text = words.join(" ").replace('\n', " ⏎ ");
    let text = match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match message.alternative.as_ref().and_then(alternative_text) {
        Some(instead) => format!("{text} {instead}"),
        None => text,
    }
}

/// What goes out when the reply window is closed.
fn alternative_text(instead: &Alternative) -> Option<String> {
    let template = template_text(instead.template.as_ref()?);
    Some(match instead.phone.as_str() {
        "" => format!("(outside the reply window {template})"),
        phone => format!("(outside the reply window {template} to {phone})"),
    })
}

fn template_text(template: &TemplateRef) -> String {
    let mut named: Vec<String> = template
        .parameters
        .iter()
        .map(|(name, value)| format!(" {name}={value:?}"))
        .collect();
    named.sort();
    format!("<template {}{}>", template.template_id, named.concat())
}

fn part_text(part: &Part) -> String {
    match &part.content {
        Some(Content::Text(text)) => text.text.clone(),
        Some(Content::Media(media)) => media_text(media),
        Some(Content::Location(place)) => {
            format!("<place {:.5}, {:.5} {}>", place.latitude, place.longitude, place.title)
        }
        Some(Content::Contact(card)) => format!("<contact {}>", card.display_name),
        Some(Content::Sticker(sticker)) => format!("<sticker {}>", sticker.emoji),
        Some(Content::Link(link)) => format!("<link {}>", link.url),
        Some(Content::InfoRequest(form)) => format!("<form {}>", form.title),
        Some(Content::Template(template)) => template_text(template),
        None => "<unknown>".to_owned(),
    }
}

fn media_text(media: &Media) -> String {
    let kind = media
        .kind()
        .as_str_name()
        .trim_start_matches("MEDIA_KIND_")
        .to_lowercase();
    let name = if media.file_name.is_empty() {
        String::new()
    } else {
        format!(" {}", media.file_name)
    };
    let caption = if media.caption.is_empty() {
        String::new()
    } else {
        format!(" {}", media.caption)
    };
    format!("<{kind}{name}>{caption}")
}

#[cfg(test)]
mod tests;
