//! Conversations for people.

use crate::cli::{Output, Remote};
use crate::commands::print;
use omnigate_proto::v1::{Assignee, Conversation, ConversationCycle};
use pbjson_types::Duration;

/// Columns of a list.
pub(in crate::commands) const HEADER: &[&str] = &[
    "CONVERSATION",
    "CUSTOMER",
    "ACCOUNT",
    "STATUS",
    "PRIORITY",
    "ASSIGNEE",
    "TAGS",
    "WAITING SINCE (UTC)",
    "OPENED (UTC)",
];

/// A line of a list.
pub(in crate::commands) fn row(conversation: &Conversation) -> Vec<String> {
    let cycle = conversation.cycle.unwrap_or_default();
    vec![
        conversation.conversation_id.clone(),
        conversation.customer_id.clone(),
        conversation.account_id.clone(),
        word(conversation.status().as_str_name(), "CONVERSATION_STATUS_"),
        word(conversation.priority().as_str_name(), "CONVERSATION_PRIORITY_"),
        named(conversation.assignee.as_ref()),
        conversation.tags.join("\n"),
        print::time(cycle.waiting_since.as_ref()),
        print::time(conversation.opened_at.as_ref()),
    ]
}

/// One conversation, whole.
pub(super) fn show(remote: &Remote, conversation: Option<Conversation>) -> anyhow::Result<()> {
    let conversation = conversation.unwrap_or_default();
    if remote.output == Output::Json {
        return print::json(&conversation);
    }
    print::all(Output::Table, std::slice::from_ref(&conversation), HEADER, row)?;
    for thread in &conversation.thread_ids {
        print::line(thread);
    }
    if conversation.snoozed_until.is_some() {
        let until = print::time(conversation.snoozed_until.as_ref());
        print::line(&format!("snoozed until {until}"));
    }
    if !conversation.joined_conversation_id.is_empty() {
        print::line(&format!("goes on in {}", conversation.joined_conversation_id));
    }
    for holder in conversation.holders.iter().filter(|holder| holder.to.is_some()) {
        let (from, to) = (print::time(holder.from.as_ref()), print::time(holder.to.as_ref()));
        let text = format!("was with {} from {from} to {to}", named(holder.assignee.as_ref()));
        print::line(&print::printable(&text));
    }
    let mut cycles = conversation.past_cycles.clone();
    cycles.extend(conversation.cycle);
    let header = [
        "CYCLE",
        "OPENED (UTC)",
        "FIRST RESPONSE",
        "REPLIES",
        "LAST REPLY",
        "SNOOZED",
        "RESOLVED (UTC)",
        "RESOLUTION",
    ];
    print::all(Output::Table, &cycles, &header, cycle)?;
    print::line(&format!("etag {}", conversation.etag));
    Ok(())
}

fn cycle(cycle: &ConversationCycle) -> Vec<String> {
    vec![
        cycle.number.to_string(),
        print::time(cycle.opened_at.as_ref()),
        match cycle.started_by_us {
            true => "ours to begin".to_owned(),
            false => time(cycle.first_response_time.as_ref()),
        },
        cycle.replies.to_string(),
        time(cycle.last_reply_time.as_ref()),
        time(cycle.snoozed_time.as_ref()),
        print::time(cycle.resolved_at.as_ref()),
        time(cycle.resolution_time.as_ref()),
    ]
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn named(assignee: Option<&Assignee>) -> String {
    match assignee {
        None => "-".to_owned(),
        Some(Assignee { id, display_name }) if display_name.is_empty() => id.clone(),
        Some(Assignee { id, display_name }) => format!("{display_name} ({id})"),
    }
}

/// How long something took, in the two largest units.
fn time(duration: Option<&Duration>) -> String {
    let Some(duration) = duration else {
        return "-".to_owned();
    };
    let seconds = duration.seconds;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_units() {
        let of = |seconds| time(Some(&Duration { seconds, nanos: 0 }));
        assert_eq!([of(0), of(59), of(61)], ["0s", "59s", "1m 1s"]);
        assert_eq!([of(7_260), of(90_000)], ["2h 1m", "1d 1h"]);
        assert_eq!(time(None), "-");
    }
}
