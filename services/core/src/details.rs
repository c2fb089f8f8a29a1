//! What is known about a customer besides identifiers and timeline: attributes and tags.
//!
//! Each customer record keeps what was said of it, with source and time; what stands for a customer follows from the records
//! that it consists of. Saying a thing twice, or in another order, comes to the same: a command bears one moment, and values
//! and removals are compared by theirs.

use crate::id::hash;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{AttributeRecord, DetailsRecord, SaidValue, TagRecord};
use omnigate_proto::v1::attribute_value::Kind;
use omnigate_proto::v1::{AttributeValue, CustomerAttribute, CustomerTag, DetailSource, SourcedValue};
use prost::Message as _;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

mod schema;

pub use schema::{NotAnAttribute, Schema, ValueType, name_problem, normal, normal_text, tag_problem, value_problem};

/// Most attributes of a record that have a value.
pub const MAX_ATTRIBUTES: usize = 100;
/// Most tags of a record.
pub const MAX_TAGS: usize = 100;
/// Most values that are kept of an attribute besides the one that stands.
const MAX_OTHERS: usize = 10;
/// Most commands with an etag that are remembered.
const MAX_CONDITIONAL: usize = 32;
/// Most removals that are remembered, of attributes and of tags.
const MAX_REMOVED: usize = 200;
/// Removals are remembered longer than the commands that they could meet again.
const REMOVAL_KEPT: Duration = Duration::from_secs(2 * 24 * 3600);

/// A command to change what is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Change {
    /// Attributes that are set.
    pub set: Vec<(String, AttributeValue)>,
    /// Attributes that are removed.
    pub remove: Vec<String>,
    /// Tags that are given.
    pub add_tags: Vec<String>,
    /// Tags that are taken back.
    pub remove_tags: Vec<String>,
    /// Who says it.
    pub source: DetailSource,
    /// Which one of them.
    pub source_id: String,
    /// The command's moment, the same for each repetition and later than everything it could know of.
    pub at: Moment,
    /// The command's name, where it only holds for one version of the customer.
    pub conditional: Option<Bytes>,
}

/// Why a change is not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TooMany {
    /// Attributes.
    #[error("a customer has at most {MAX_ATTRIBUTES} attributes")]
    Attributes,
    /// Tags.
    #[error("a customer has at most {MAX_TAGS} tags")]
    Tags,
}

/// The moment of a new command on these records: later than all that stands in them, also where another process's clock is
/// ahead of ours.
#[must_use]
pub fn moment<'a>(records: impl IntoIterator<Item = &'a DetailsRecord>, now: Moment) -> Moment {
    let newest = records.into_iter().map(|record| record.newest_ms).max().unwrap_or(0);
    Moment(now.0.max(newest + 1))
}

/// True when a command with an etag took effect before.
#[must_use]
pub fn is_applied(record: &DetailsRecord, name: &Bytes) -> bool {
    record.conditional.contains(name)
}

/// Changes the record of the customer itself. `None` when everything is so already.
pub fn apply(record: &DetailsRecord, tenant_id: &str, change: &Change) -> Result<Option<DetailsRecord>, TooMany> {
    let mut next = record.clone();
    tenant_id.clone_into(&mut next.tenant_id);
    next.newest_ms = next.newest_ms.max(change.at.0);
    for name in &change.remove {
        take_back_value(attribute(&mut next.attributes, name), change.at);
    }
    for (name, value) in &change.set {
        say(attribute(&mut next.attributes, name), value, change);
    }
    for name in &change.remove_tags {
        take_back_tag(tag(&mut next.tags, name), change.at);
    }
    for name in &change.add_tags {
        give(tag(&mut next.tags, name), change);
    }
    tidy(&mut next, change.at);
    if let Some(name) = change.conditional.as_ref().filter(|name| !is_applied(record, name)) {
        next.conditional.push(name.clone());
        let surplus = next.conditional.len().saturating_sub(MAX_CONDITIONAL);
        next.conditional.drain(..surplus);
    }
    let grew = |before: usize, after: usize, most: usize| after > most && after > before;
    if grew(valued(record), valued(&next), MAX_ATTRIBUTES) {
        return Err(TooMany::Attributes);
    }
    if grew(tagged(record), tagged(&next), MAX_TAGS) {
        return Err(TooMany::Tags);
    }
    Ok((next != *record).then_some(next))
}

/// Carries out the removals in the record of a customer that was merged. `None` when there is nothing to remove.
#[must_use]
pub fn remove(record: &DetailsRecord, change: &Change) -> Option<DetailsRecord> {
    let mut next = record.clone();
    for attribute in &mut next.attributes {
        if change.remove.contains(&attribute.name) {
            take_back_value(attribute, change.at);
        }
    }
    for tag in &mut next.tags {
        if change.remove_tags.contains(&tag.name) {
            take_back_tag(tag, change.at);
        }
    }
    if next == *record {
        return None;
    }
    next.newest_ms = next.newest_ms.max(change.at.0);
    tidy(&mut next, change.at);
    Some(next)
}

/// The attribute's record, made in its place when it is not there.
fn attribute<'a>(attributes: &'a mut Vec<AttributeRecord>, name: &str) -> &'a mut AttributeRecord {
    let position = match attributes.binary_search_by(|known| known.name.as_str().cmp(name)) {
        Ok(position) => position,
        Err(position) => {
            let fresh = AttributeRecord {
                name: name.to_owned(),
                ..AttributeRecord::default()
            };
            attributes.insert(position, fresh);
            position
        }
    };
    &mut attributes[position]
}

/// The tag's record, made in its place when it is not there.
fn tag<'a>(tags: &'a mut Vec<TagRecord>, name: &str) -> &'a mut TagRecord {
    let position = match tags.binary_search_by(|known| known.name.as_str().cmp(name)) {
        Ok(position) => position,
        Err(position) => {
            let fresh = TagRecord {
                name: name.to_owned(),
                ..TagRecord::default()
            };
            tags.insert(position, fresh);
            position
        }
    };
    &mut tags[position]
}

fn take_back_value(attribute: &mut AttributeRecord, at: Moment) {
    attribute.values.retain(|said| said.at_ms > at.0);
    attribute.removed_ms = attribute.removed_ms.max(at.0);
}

fn say(attribute: &mut AttributeRecord, value: &AttributeValue, change: &Change) {
    let said = SaidValue {
        value: Some(value.clone()),
        source: change.source.into(),
        source_id: change.source_id.clone(),
        at_ms: change.at.0,
    };
    if change.at.0 > attribute.removed_ms {
        attribute.values.push(said);
        attribute.values = bounded(std::mem::take(&mut attribute.values));
    }
}

fn take_back_tag(tag: &mut TagRecord, at: Moment) {
    tag.removed_ms = tag.removed_ms.max(at.0);
    // Given again since: what comes late took only what was given before it.
    if tag.given_again_ms > tag.removed_ms {
        tag.at_ms = tag.at_ms.max(tag.given_again_ms);
    }
}

fn give(tag: &mut TagRecord, change: &Change) {
    if change.at.0 > tag.at_ms && change.at.0 > tag.removed_ms {
        // Given before: who gave it first is who gave it.
        if stands(tag) {
            tag.given_again_ms = tag.given_again_ms.max(change.at.0);
            return;
        }
        tag.at_ms = change.at.0;
        tag.source = change.source.into();
        tag.source_id.clone_from(&change.source_id);
    }
}

fn stands(tag: &TagRecord) -> bool {
    tag.at_ms > tag.removed_ms
}

/// Forgets removals that no command can meet any more, and the oldest ones beyond their number.
fn tidy(record: &mut DetailsRecord, at: Moment) {
    let gone = record.attributes.iter().filter(|attribute| attribute.values.is_empty());
    let oldest = oldest_kept(gone.map(|attribute| attribute.removed_ms), at);
    record
        .attributes
        .retain(|attribute| !attribute.values.is_empty() || attribute.removed_ms >= oldest);
    let gone = record.tags.iter().filter(|tag| !stands(tag));
    let oldest = oldest_kept(gone.map(|tag| tag.removed_ms), at);
    record.tags.retain(|tag| stands(tag) || tag.removed_ms >= oldest);
}

/// The oldest removal that is remembered. Those of one moment go together.
fn oldest_kept(removed: impl Iterator<Item = i64>, at: Moment) -> i64 {
    let mut newest_first: Vec<i64> = removed.collect();
    newest_first.sort_by_key(|removed_ms| Reverse(*removed_ms));
    let beyond = newest_first
        .get(MAX_REMOVED)
        .map_or(i64::MIN, |removed_ms| removed_ms + 1);
    beyond.max((at - REMOVAL_KEPT).0 + 1)
}

fn valued(record: &DetailsRecord) -> usize {
    let with_value = record
        .attributes
        .iter()
        .filter(|attribute| !attribute.values.is_empty());
    with_value.count()
}

fn tagged(record: &DetailsRecord) -> usize {
    record.tags.iter().filter(|tag| stands(tag)).count()
}

/// How much the word of a source counts.
fn rank(source: i32) -> u8 {
    match DetailSource::try_from(source).unwrap_or_default() {
        DetailSource::Authoritative => 3,
        DetailSource::Unspecified | DetailSource::Agent => 2,
        DetailSource::ChannelVerified => 1,
        DetailSource::ChannelStated | DetailSource::Import => 0,
    }
}

/// What decides between two values: source, then time; the rest only makes it the same everywhere.
fn weight(said: &SaidValue) -> (u8, i64, [u8; 32]) {
    let bytes = said.encode_to_vec();
    (rank(said.source), said.at_ms, hash("said", &[&bytes]))
}

/// The value that stands, then the newest of the others; each once.
fn bounded(mut values: Vec<SaidValue>) -> Vec<SaidValue> {
    values.sort_by_cached_key(|said| Reverse(weight(said)));
    values.dedup();
    let mut others = values.split_off(values.len().min(1));
    others.sort_by_key(|said| Reverse(said.at_ms));
    others.truncate(MAX_OTHERS);
    values.extend(others);
    values
}

/// The attributes of a customer that consists of these records, by name.
#[must_use]
pub fn attributes<'a>(records: impl IntoIterator<Item = &'a DetailsRecord>) -> Vec<CustomerAttribute> {
    let mut by_name: BTreeMap<&str, Vec<SaidValue>> = BTreeMap::new();
    for attribute in records.into_iter().flat_map(|record| &record.attributes) {
        if !attribute.values.is_empty() {
            let values = by_name.entry(&attribute.name).or_default();
            values.extend(attribute.values.iter().cloned());
        }
    }
    let attribute = |(name, values): (&str, Vec<SaidValue>)| {
        let mut values = bounded(values).into_iter().map(sourced);
        CustomerAttribute {
            name: name.to_owned(),
            standing: values.next(),
            others: values.collect(),
        }
    };
    by_name.into_iter().map(attribute).collect()
}

fn sourced(said: SaidValue) -> SourcedValue {
    SourcedValue {
        value: said.value,
        source: said.source,
        source_id: said.source_id,
        at: Some(Moment(said.at_ms).to_timestamp()),
    }
}

/// The tags of a customer that consists of these records, by name; one that several have is as old as the oldest.
#[must_use]
pub fn tags<'a>(records: impl IntoIterator<Item = &'a DetailsRecord>) -> Vec<CustomerTag> {
    let mut by_name: BTreeMap<&str, &TagRecord> = BTreeMap::new();
    for tag in records.into_iter().flat_map(|record| &record.tags) {
        let known = by_name.get(tag.name.as_str());
        if stands(tag) && known.is_none_or(|known| tag.at_ms < known.at_ms) {
            by_name.insert(&tag.name, tag);
        }
    }
    let tag = |tag: &TagRecord| CustomerTag {
        name: tag.name.clone(),
        source: tag.source,
        source_id: tag.source_id.clone(),
        at: Some(Moment(tag.at_ms).to_timestamp()),
    };
    by_name.into_values().map(tag).collect()
}

/// Text as a value.
#[must_use]
pub fn text(value: &str) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::Text(value.to_owned())),
    }
}

#[cfg(test)]
mod tests;
