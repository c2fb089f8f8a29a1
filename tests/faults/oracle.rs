//! Holds what can be observed against what was acknowledged. Pure, so that it can be shown to find each fault.

#[cfg(test)]
mod tests;

use crate::load::is_over;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::{CustomerEvent, Delivery, DeliveryState, Entry};
use omnigate_tests::reading::{in_thread_order, words};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Messages of each chat that the webhook acknowledged, in order.
    pub(crate) acknowledged: BTreeMap<i64, Vec<String>>,
    /// Messages that the api accepted, in order within a chat.
    pub(crate) sendings: Vec<Sending>,
}

/// A message that the api accepted.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) message_id: String,
    pub(crate) chat: i64,
    /// Unique.
    pub(crate) text: String,
    /// True when the caller allowed a duplicate.
    pub(crate) may_repeat: bool,
}

/// What there is when nothing moves any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Timelines by chat.
    pub(crate) timelines: BTreeMap<i64, Vec<Entry>>,
    /// Deliveries by message id.
    pub(crate) deliveries: BTreeMap<String, Delivery>,
    /// What the provider was sent, in order: chat and text.
    pub(crate) sent: Vec<(i64, String)>,
    /// What was told to a subscriber.
    pub(crate) told: Vec<CustomerEvent>,
    /// Reasons for which events were parked.
    pub(crate) parked: Vec<String>,
}

/// What was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    acknowledged: usize,
    entries: usize,
    accepted: usize,
    states: BTreeMap<&'static str, usize>,
    /// Deliveries of unknown outcome that the provider has.
    unknown_but_sent: usize,
    sent: usize,
    allowed_duplicates: usize,
    told: usize,
    told_again: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} messages acknowledged, {} entries; {} messages accepted {:?}, {} at the provider ({} duplicates that were \
             allowed, {} of unknown outcome); {} customer events, {} of them told again",
            self.acknowledged,
            self.entries,
            self.accepted,
            self.states,
            self.sent,
            self.allowed_duplicates,
            self.unknown_but_sent,
            self.told,
            self.told_again
        )
    }
}

/// Finds everything that is not as it was promised.
pub(crate) fn judge(known: &Known, observed: &Observed) -> Result<Counts, Vec<String>> {
    let mut violations: Vec<String> = Vec::new();
    let mut counts = Counts::default();
    if !observed.parked.is_empty() {
        violations.push(format!("events were parked: {:?}", observed.parked));
    }
    for (chat, acknowledged) in &known.acknowledged {
        counts.acknowledged += acknowledged.len();
        let entries = observed.timelines.get(chat).map(Vec::as_slice).unwrap_or_default();
        counts.entries += entries.len();
        timeline(*chat, acknowledged, entries, &mut violations);
    }
    for sending in &known.sendings {
        outcome(sending, observed, &mut counts, &mut violations);
    }
    sent_in_order(known, observed, &mut violations);
    told(observed, &mut counts, &mut violations);
    if violations.is_empty() {
        Ok(counts)
    } else {
        Err(violations)
    }
}

/// Each acknowledged message exactly once, in the order of the thread, numbered without gaps.
fn timeline(chat: i64, acknowledged: &[String], entries: &[Entry], violations: &mut Vec<String>) {
    let ordered = in_thread_order(entries);
    let numbers: Vec<u64> = ordered.iter().map(|entry| entry.thread_seq).collect();
    if !numbers.iter().copied().eq(1..=numbers.len() as u64) {
        violations.push(format!("chat {chat}: the thread is numbered {numbers:?}"));
    }
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.entry_id.as_str()).collect();
    if ids.len() != entries.len() {
        violations.push(format!("chat {chat}: an entry is listed twice"));
    }
    let inbound = ordered.iter().filter(|entry| entry.message_id.is_empty());
    let found: Vec<String> = inbound.map(|entry| words(entry)).collect();
    if found == acknowledged {
        return;
    }
    let there: BTreeSet<&String> = found.iter().collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|text| !there.contains(text)).collect();
    let mut seen = BTreeSet::new();
    let doubled: Vec<&String> = found.iter().filter(|text| !seen.insert(*text)).collect();
    let expected: BTreeSet<&String> = acknowledged.iter().collect();
    let strange: Vec<&String> = found.iter().filter(|text| !expected.contains(text)).collect();
    let place = found.iter().zip(acknowledged).position(|(found, said)| found != said);
    violations.push(format!(
        "chat {chat}: lost {lost:?}, doubled {doubled:?}, not acknowledged {strange:?}, other order from {place:?}"
    ));
}

/// The state of a delivery says what the provider has.
fn outcome(sending: &Sending, observed: &Observed, counts: &mut Counts, violations: &mut Vec<String>) {
    counts.accepted += 1;
    let mut wrong = |what: String| violations.push(format!("{:?} ({}): {what}", sending.text, sending.message_id));
    let Some(delivery) = observed.deliveries.get(&sending.message_id) else {
        return wrong("it has no delivery".to_owned());
    };
    let state = delivery.state();
    *counts.states.entry(state.as_str_name()).or_default() += 1;
    let copies = observed.sent.iter().filter(|(_, text)| *text == sending.text).count();
    counts.sent += copies;
    let attempts = usize::try_from(delivery.attempts).unwrap_or_default();
    if !is_over(delivery) {
        wrong(format!("it stands at {state:?}: {:?}", delivery.error));
    }
    if copies > attempts {
        wrong(format!("the provider has it {copies} times after {attempts} attempts"));
    }
    if copies > 1 && !(sending.may_repeat && delivery.possible_duplicate) {
        wrong(format!("the provider has it {copies} times and nobody says so"));
    }
    if copies > 2 {
        wrong(format!("the provider has it {copies} times, one duplicate was allowed"));
    }
    counts.allowed_duplicates += copies.saturating_sub(1);
    match state {
        DeliveryState::Sent if copies == 0 => wrong("it is called sent and the provider does not have it".to_owned()),
        DeliveryState::Failed | DeliveryState::Skipped | DeliveryState::Expired if copies > 0 => {
            wrong(format!("it is called {state:?} and the provider has it"));
        }
        DeliveryState::Unknown => counts.unknown_but_sent += copies.min(1),
        _ => {}
    }
    if state != DeliveryState::Sent && delivery.error.is_none() {
        wrong(format!("it is {state:?} and nobody says why"));
    }
    let entries = observed
        .timelines
        .get(&sending.chat)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let listed = entries
        .iter()
        .filter(|entry| entry.message_id == sending.message_id)
        .count();
    if listed != 1 {
        wrong(format!("it is on the timeline {listed} times"));
    }
}

/// What was sent to one chat left in the order in which it was accepted.
fn sent_in_order(known: &Known, observed: &Observed, violations: &mut Vec<String>) {
    let mut accepted: BTreeMap<i64, Vec<&String>> = BTreeMap::new();
    for sending in &known.sendings {
        accepted.entry(sending.chat).or_default().push(&sending.text);
    }
    let mut sent: BTreeMap<i64, Vec<&String>> = BTreeMap::new();
    for (chat, text) in &observed.sent {
        let sent = sent.entry(*chat).or_default();
        if !sent.contains(&text) {
            sent.push(text);
        }
    }
    for (chat, mut sent) in sent {
        let accepted = accepted.remove(&chat).unwrap_or_default();
        let place = |text: &&String| accepted.iter().position(|known| known == text);
        if sent.iter().any(|text| place(text).is_none()) {
            sent.retain(|text| place(text).is_none());
            violations.push(format!("chat {chat}: nobody was told that {sent:?} is accepted"));
        } else if !sent.is_sorted_by_key(place) {
            violations.push(format!("chat {chat}: sent in the order {sent:?}"));
        }
    }
}

/// True when there is nothing left that must still be told.
pub(crate) fn is_all_told(observed: &Observed) -> bool {
    let mut violations = Vec::new();
    told(observed, &mut Counts::default(), &mut violations);
    violations.is_empty()
}

/// Everything was told at least once, under one id, numbered without gaps.
fn told(observed: &Observed, counts: &mut Counts, violations: &mut Vec<String>) {
    let mut by_id: BTreeMap<&str, &CustomerEvent> = BTreeMap::new();
    let mut numbers: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut entries: BTreeMap<&str, &str> = BTreeMap::new();
    let mut states: BTreeMap<&str, (u64, DeliveryState)> = BTreeMap::new();
    for event in &observed.told {
        if let Some(before) = by_id.insert(&event.event_id, event) {
            counts.told_again += 1;
            if before != event {
                violations.push(format!("{} was told in two ways", event.event_id));
            }
        }
        numbers.entry(&event.customer_id).or_default().insert(event.home_seq);
        match &event.kind {
            Some(Kind::EntryAdded(added)) => {
                let id = added.entry.as_ref().map_or("", |entry| &entry.entry_id);
                if *entries.entry(id).or_insert(&event.event_id) != event.event_id {
                    violations.push(format!("entry {id} was told under two ids"));
                }
            }
            Some(Kind::DeliveryChanged(changed)) => {
                let delivery = changed.delivery.as_ref();
                let id = delivery.map_or("", |delivery| &delivery.message_id);
                let state = delivery.map_or(DeliveryState::Unspecified, Delivery::state);
                let newest = states.entry(id).or_insert((event.home_seq, state));
                if event.home_seq >= newest.0 {
                    *newest = (event.home_seq, state);
                }
            }
            _ => {}
        }
    }
    counts.told = by_id.len();
    for (home, numbers) in numbers {
        if !numbers.iter().copied().eq(1..=numbers.len() as u64) {
            violations.push(format!("what was told of {home} is numbered {numbers:?}"));
        }
    }
    for entry in observed.timelines.values().flatten() {
        if !entries.contains_key(entry.entry_id.as_str()) {
            violations.push(format!("entry {} was never told", entry.entry_id));
        }
    }
    for (id, delivery) in &observed.deliveries {
        let told = states.get(id.as_str()).map(|(_, state)| *state);
        if told != Some(delivery.state()) {
            violations.push(format!(
                "delivery {id} is {:?}, and was told to be {told:?}",
                delivery.state()
            ));
        }
    }
}
