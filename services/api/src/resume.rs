//! Resume tokens of streams: where each partition of the events log goes on.

use data_encoding::BASE64URL_NOPAD;
use omnigate_core::port::broker::From;
use omnigate_core::shard::Partition;
use omnigate_core::time::Moment;
use std::collections::BTreeMap;

/// Longest token, in characters.
const MAX_TOKEN: usize = 16 * 1024;

/// Where a stream goes on. A partition that has given nothing yet goes on at the time the stream began: everything kept
/// is read again and what is older is dropped, so that nothing falls between two connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resume {
    /// When the stream first began; `None` for one that began with the oldest event.
    pub(crate) began: Option<Moment>,
    /// Next offset of each partition that gave something.
    offsets: BTreeMap<u16, u64>,
}

impl Resume {
    /// A stream of what comes from now on.
    pub(crate) const fn from_now(now: Moment) -> Self {
        Self {
            began: Some(now),
            offsets: BTreeMap::new(),
        }
    }

    /// A stream of everything kept.
    pub(crate) const fn from_oldest() -> Self {
        Self {
            began: None,
            offsets: BTreeMap::new(),
        }
    }

    /// Notes that everything of a partition up to this offset was given.
    pub(crate) fn given(&mut self, partition: Partition, offset: u64) {
        self.offsets.insert(partition.0, offset + 1);
    }

    /// Where to read a partition. `fresh` is true when no token was given, so that nothing older is wanted.
    pub(crate) fn start(&self, partition: Partition, fresh: bool) -> From {
        match self.offsets.get(&partition.0) {
            Some(offset) => From::Offset(*offset),
            None if fresh && self.began.is_some() => From::Next,
            None => From::Oldest,
        }
    }

    /// As a token.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(9 + self.offsets.len() * 10);
        bytes.push(1);
        bytes.extend(self.began.map_or(i64::MIN, |began| began.0).to_be_bytes());
        for (partition, offset) in &self.offsets {
            bytes.extend(partition.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
        }
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Back from a token; `None` when it is none of ours.
    pub(crate) fn decode(token: &str) -> Option<Self> {
        let bytes = (token.len() <= MAX_TOKEN)
            .then(|| BASE64URL_NOPAD.decode(token.as_bytes()).ok())
            .flatten()?;
        let (version, rest) = bytes.split_first()?;
        let (began, rest) = rest.split_first_chunk::<8>()?;
        let (pairs, remainder) = rest.as_chunks::<10>();
        if *version != 1 || !remainder.is_empty() {
            return None;
        }
        let began = i64::from_be_bytes(*began);
        let offsets = pairs.iter().filter_map(|pair| {
            let (partition, offset) = pair.split_first_chunk::<2>()?;
            Some((
                u16::from_be_bytes(*partition),
                u64::from_be_bytes(offset.try_into().ok()?),
            ))
        });
        Some(Self {
            began: (began != i64::MIN).then_some(Moment(began)),
            offsets: offsets.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_and_nonsense_does_not() {
        let mut resume = Resume::from_now(Moment(77));
        resume.given(Partition(3), 41);
        assert_eq!(Resume::decode(&resume.encode()), Some(resume.clone()));
        assert_eq!(resume.start(Partition(3), true), From::Offset(42));
        assert_eq!(
            (resume.start(Partition(4), true), resume.start(Partition(4), false)),
            (From::Next, From::Oldest)
        );
        for nonsense in ["", "x", "AA", &resume.encode()[1..]] {
            assert_eq!(Resume::decode(nonsense), None, "{nonsense}");
        }
    }
}
