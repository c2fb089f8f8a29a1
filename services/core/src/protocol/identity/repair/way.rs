//! The way to an identifier, as far as it leads.

use super::super::merge::recover;
use super::super::record::load;
use crate::id::CustomerId;
use crate::identity::repair::told_of;
use crate::identity::{self, Whereabouts, frozen, whereabouts};
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use omnigate_proto::state::v1::{CustomerRecord, Membership};
use omnigate_proto::v1::Identifier;

/// Where a way ends.
#[derive(Debug)]
pub(super) enum End {
    /// At the owner.
    Here(CustomerRecord),
    /// At a record that was erased.
    Erased(CustomerRecord),
    /// At one that does not know the identifier, or is not there.
    Lost(Option<CustomerRecord>),
    /// Nowhere: it leads in a circle.
    Circle,
}

/// A way that was gone.
#[derive(Debug)]
pub(super) struct Way {
    /// The last record on it.
    pub(super) at: CustomerId,
    pub(super) end: End,
    /// All records on it.
    pub(super) been: Vec<CustomerId>,
    /// What the records on it tell of the part of this birth: the last word.
    pub(super) told: Option<Membership>,
    /// When the part of a former holder ends, where one is told of.
    pub(super) begins_ms: i64,
}

/// Goes from record to record as [`super::super::find`] does, and changes nothing but what was left frozen.
pub(super) async fn walk(
    context: &Context<'_>,
    (identifier, birth): (&Identifier, &[u8]),
    from: CustomerId,
) -> Result<Way, Stop> {
    let mut way = Way {
        at: from,
        been: vec![from],
        end: End::Circle,
        told: None,
        begins_ms: 0,
    };
    for _ in 0..MAX_TRIES {
        let Some(record) = load(context, way.at).await?.value else {
            way.end = End::Lost(None);
            return Ok(way);
        };
        if frozen(&record).is_some() {
            recover(context, way.at).await?;
            continue;
        }
        if let Some(told) = told_of(&record, birth) {
            way.told = Some(told.clone());
        }
        let parts = record.members.iter().filter(|member| member.birth == birth);
        let ends = parts.map(|member| member.to_ms).filter(|to| *to != identity::CLOSED);
        way.begins_ms = ends.max().unwrap_or(0).max(way.begins_ms);
        way.end = match whereabouts(&record, identifier) {
            Whereabouts::Here => End::Here(record),
            Whereabouts::Erased => End::Erased(record),
            Whereabouts::Lost | Whereabouts::Wait => End::Lost(Some(record)),
            Whereabouts::Gone(next) if way.been.contains(&next) => End::Circle,
            Whereabouts::Gone(next) => {
                way.been.push(next);
                way.at = next;
                continue;
            }
        };
        return Ok(way);
    }
    Ok(way)
}
