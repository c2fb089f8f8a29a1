//! What the contract asks of every event, whatever it came from.

use omnigate_core::{event::normalise, time::Moment};
use omnigate_proto::v1::{Event, event::Kind};
use serde_json::Map;

/// Long after every golden request.
const NOW: Moment = Moment(1_767_400_000_000);

/// Checks that ingest takes an event, whole, and that it says by itself which fact it is.
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
    if matches!(kind, Kind::Unsupported(unsupported) if unsupported.type_name.is_empty()) {
        return Err("unsupported without a name".into());
    }
    let account = crate::golden::account(&event.account_id, "app", "any", "", &Map::new());
    let mut taken = event.clone();
    let normalised = normalise(&mut taken, &account, NOW, "").map_err(|refusal| refusal.to_string())?;
    if normalised.identifiers_removed > 0 {
        return Err(format!("{} identifiers are none", normalised.identifiers_removed));
    }
    if taken.kind != event.kind {
        return Err("not in the form the contract asks for".into());
    }
    serde_json::to_value(event).map_err(|error| format!("not to be written as JSON: {error}"))?;
    Ok(())
}
