//! What the contract asks of every event, whatever it came from.

use omnigate_core::identifier::canonical;
use omnigate_proto::v1::{Event, Evidence, Identifier, Message, event::Kind, part::Content};
use unicode_normalization::is_nfc;

/// Checks an event against the contract.
pub(crate) fn check_event(event: &Event) -> Result<(), String> {
    let kind = event.kind.as_ref().ok_or("no kind")?;
    if event.account_id.is_empty() {
        return Err("no account".into());
    }
    if event.provider_message_id.is_empty() && event.stable_key.is_empty() && !matches!(kind, Kind::Receipt(_)) {
        return Err("nothing to tell it from other events by".into());
    }
    if !event.event_id.is_empty() || !event.thread_id.is_empty() {
        return Err("sets what ingest sets".into());
    }
    if let Some(peer) = &event.peer {
        check_identifier(peer)?;
    }
    for evidence in &event.identifiers {
        check_identifier(evidence.identifier.as_ref().ok_or("evidence of nothing")?)?;
        if evidence.evidence() == Evidence::Unspecified {
            return Err("identifier without evidence".into());
        }
    }
    if let Some(author) = &event.author
        && let Some(identifier) = &author.identifier
    {
        check_identifier(identifier)?;
    }
    if event
        .profile
        .as_ref()
        .is_some_and(|profile| profile.display_name.chars().count() > 256)
    {
        return Err("display name is too long".into());
    }
    serde_json::to_value(event).map_err(|error| format!("not to be written as JSON: {error}"))?;
    match kind {
        Kind::Message(message) => check_message(message),
        Kind::Edit(edit) => check_message(edit.message.as_ref().ok_or("edit of nothing")?),
        Kind::Unsupported(unsupported) if unsupported.type_name.is_empty() => Err("unsupported without a name".into()),
        Kind::Unsupported(unsupported) if unsupported.raw.len() > 256 * 1024 => Err("raw is too long".into()),
        _ => Ok(()),
    }
}

fn check_identifier(identifier: &Identifier) -> Result<(), String> {
    match canonical(identifier) {
        Ok(canonical) if canonical == *identifier => Ok(()),
        Ok(canonical) => Err(format!("{identifier:?} should be {canonical:?}")),
        Err(error) => Err(format!("{identifier:?}: {error}")),
    }
}

fn check_message(message: &Message) -> Result<(), String> {
    if message.parts.is_empty() || message.parts.len() > 32 {
        return Err(format!("{} parts", message.parts.len()));
    }
    for part in &message.parts {
        let text = match part.content.as_ref().ok_or("empty part")? {
            Content::Text(text) if text.text.len() > 65_536 => return Err("text is too long".into()),
            Content::Text(text) => &text.text,
            Content::Media(media) => &media.caption,
            _ => continue,
        };
        if !is_nfc(text) {
            return Err("text is not composed".into());
        }
    }
    Ok(())
}
