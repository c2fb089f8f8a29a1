//! An event on its way in.

use super::{Normalised, Refusal, content::MAX_RAW, normalise, normalise_beside, wire};
use crate::{account::Account, time::Moment};
use bytes::Bytes;
use omnigate_proto::v1::Event;
use prost::{DecodeError, Message as _};

/// An event as it came: decoded, and its bytes where they say more than that.
#[derive(Clone, PartialEq, Debug)]
pub struct Incoming {
    event: Event,
    /// Only where decoding lost something: the usual event costs nothing more.
    original: Option<Bytes>,
}

/// An event that was let in.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    /// What this version knows of it, normalised.
    pub event: Event,
    /// What is to be stored: the event, and what only a newer version knows.
    pub bytes: Bytes,
    /// What normalising found.
    pub normalised: Normalised,
}

impl Incoming {
    /// Reads an event.
    pub fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        let event = Event::decode(bytes.clone())?;
        // Nothing writes an event shorter than we do, so what is as long holds nothing else.
        let says_more = bytes.len() != event.encoded_len();
        Ok(Self {
            event,
            original: says_more.then_some(bytes),
        })
    }

    /// What this version knows of it.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// Exactly as it came.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match &self.original {
            Some(original) => original.clone(),
            None => self.event.encode_to_vec().into(),
        }
    }

    /// Normalises it as [`normalise`] does. A kind that this version does not know is taken; what it does not know is kept.
    pub fn normalise(self, account: &Account, now: Moment, trace_id: &str) -> Result<Taken, Refusal> {
        let Self { mut event, original } = self;
        let Some(original) = original else {
            let normalised = normalise(&mut event, account, now, trace_id)?;
            let bytes = event.encode_to_vec().into();
            return Ok(Taken {
                event,
                bytes,
                normalised,
            });
        };
        let more = original.len().saturating_sub(event.encoded_len());
        if more > MAX_RAW {
            return Err(Refusal::new(
                "event",
                format!("holds {more} bytes that this version does not know, at most {MAX_RAW} are taken"),
            ));
        }
        let before = event.clone();
        let unknown = wire::unknown_fields(&original).map_err(|error| unreadable(&error))?;
        let normalised = normalise_beside(&unknown, &mut event, account, now, trace_id)?;
        let bytes = wire::kept(&original, &before, &event).map_err(|error| unreadable(&error))?;
        Ok(Taken {
            event,
            bytes: bytes.into(),
            normalised,
        })
    }
}

impl From<Event> for Incoming {
    fn from(event: Event) -> Self {
        Self { event, original: None }
    }
}

fn unreadable(error: &DecodeError) -> Refusal {
    Refusal::new("event", format!("cannot be decoded: {error}"))
}

#[cfg(test)]
mod tests;
