//! What is known of a home's places and entries while appending.

use crate::append::{Arrival, HomeState, PlaceChange};
use crate::id::{CustomerId, EventId};
use crate::keys;
use crate::pieces;
use crate::port::store::{Found, Query, StoreError};
use crate::protocol::context::{Context, as_fields, as_range};
use crate::timeline::{self, Place, Spot};
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a home's places and entries while appending. Ordinary messages are taken to be new, and the conflict
/// tells when they are not; only changes of earlier messages need a look first.
#[derive(Default)]
pub(super) struct Known {
    places: BTreeMap<EventId, Option<Place>>,
    pub(super) entries: BTreeMap<EventId, (Spot, EntryRecord)>,
    ask_for_all: bool,
}

impl Known {
    pub(super) fn asking_for_all(_: &[Arrival]) -> Self {
        Self {
            ask_for_all: true,
            ..Self::default()
        }
    }

    /// Reads the places and entries that the arrivals need.
    pub(super) async fn load(
        &mut self,
        context: &Context<'_>,
        (id, home): (CustomerId, Option<&HomeRecord>),
        arrivals: &[Arrival],
    ) -> Result<(), StoreError> {
        let mut wanted: BTreeSet<EventId> = arrivals
            .iter()
            .filter_map(|arrival| timeline::target(&arrival.event))
            .collect();
        // A piece that waits has no place yet, so no conflict would tell that its message was put together.
        let looked_for = arrivals
            .iter()
            .filter(|arrival| self.ask_for_all || pieces::piece(&arrival.event).is_some());
        wanted.extend(looked_for.map(|arrival| arrival.id));
        wanted.retain(|event| !self.places.contains_key(event));
        if !wanted.is_empty() {
            let fields: Vec<Bytes> = wanted.iter().map(|event| event.to_bytes()).collect();
            let query = Query::Fields {
                key: keys::places(id),
                fields,
            };
            let answers = context.store.read(id.shard(), vec![query]).await?;
            let values = as_fields(answers.into_iter().next())?;
            for (event, value) in wanted.into_iter().zip(values) {
                self.places.insert(event, read_place(event, value)?);
            }
        }
        match home {
            Some(home) => self.load_entries(context, id, home).await,
            None => Ok(()),
        }
    }

    /// The home has changed: a piece that had no place may have been put together with others since, and no expectation of
    /// a piece that waits would tell.
    pub(super) fn forget_pieces(&mut self, arrivals: &[Arrival]) {
        for arrival in arrivals
            .iter()
            .filter(|arrival| pieces::piece(&arrival.event).is_some())
        {
            self.places.remove(&arrival.id);
        }
    }

    async fn load_entries(
        &mut self,
        context: &Context<'_>,
        id: CustomerId,
        home: &HomeRecord,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(Spot, EventId)> = Vec::new();
        for place in self.places.values().flatten() {
            match place {
                Place::At { spot, entry } => wanted.push((*spot, *entry)),
                Place::Awaited(waiting) => wanted.extend(waiting),
            }
        }
        wanted.retain(|(_, event)| !self.entries.contains_key(event));
        if wanted.is_empty() {
            return Ok(());
        }
        let queries = wanted
            .iter()
            .map(|(spot, event)| one_member(id, *spot, *event))
            .collect();
        let answers = context.store.read(id.shard(), queries).await?;
        for ((spot, event), answer) in wanted.into_iter().zip(answers) {
            let Some((member, value)) = as_range(Some(answer))?.into_iter().next() else {
                continue;
            };
            // One of a thread that is not in the home is erased, or the home is not what was remembered: the commit tells.
            if let Some(entry) = context.stored(id, home).unpack(&member, value)? {
                self.entries.insert(event, (spot, entry));
            }
        }
        Ok(())
    }

    pub(super) fn state(&self, id: CustomerId, record: Option<HomeRecord>) -> HomeState {
        let known = self.places.iter();
        HomeState {
            id,
            record,
            places: known
                .filter_map(|(event, place)| Some((*event, place.clone()?)))
                .collect(),
            entries: self.entries.clone(),
        }
    }

    /// Takes over what a conflict found instead of the expected places, which follow the home among the expectations.
    pub(super) fn learn(&mut self, found: &[(usize, Found)], changes: &[PlaceChange]) -> Result<(), StoreError> {
        for (position, found) in found {
            if let (Found::Field(value), Some(change)) = (found, changes.get(position.wrapping_sub(1))) {
                self.places
                    .insert(change.event, read_place(change.event, value.clone())?);
            }
        }
        Ok(())
    }
}

fn read_place(event: EventId, value: Option<Bytes>) -> Result<Option<Place>, StoreError> {
    value
        .map(|value| Place::decode(event, &value).ok_or_else(|| StoreError::Corrupt("a place".into())))
        .transpose()
}

/// Query for exactly one entry.
#[must_use]
pub fn one_member(home: CustomerId, spot: Spot, event: EventId) -> Query {
    Query::member(keys::timeline(home), keys::timeline_member(spot, event))
}
