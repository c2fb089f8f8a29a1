//! Names of keys in Redis: prefix, the shard as hash tag, a letter for the shape, and the key.
//!
//! A record is a string (version and value), a map a hash, a counter a string. An index is a sorted set, all scores 0 so that
//! its members are ordered by their bytes, and a hash of the members' values, of those that are not empty.

use omnigate_core::{port::store::Shape, shard::Shard};

/// The letter of the hash that holds an index's values.
const VALUES: u8 = b'v';

/// Writes names with one prefix.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// Parts of the name of a thing; for an index that of its members.
    pub(super) fn thing<'a>(&'a self, shard: Shard, shape: Shape, key: &'a [u8]) -> Name<'a> {
        let letter = match shape {
            Shape::Record => b'r',
            Shape::Map => b'm',
            Shape::Index => b'i',
            Shape::Counter => b'c',
        };
        self.name(shard, letter, key)
    }

    /// The name of an index's values.
    pub(super) fn values<'a>(&'a self, shard: Shard, key: &'a [u8]) -> Name<'a> {
        self.name(shard, VALUES, key)
    }

    fn name<'a>(&'a self, shard: Shard, letter: u8, key: &'a [u8]) -> Name<'a> {
        let [s, hundreds, tens, ones] = tag(shard);
        Name {
            prefix: self.prefix.as_bytes(),
            place: [b'{', s, hundreds, tens, ones, b'}', letter],
            key,
        }
    }
}

/// A name, to be written where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    prefix: &'a [u8],
    place: [u8; 7],
    key: &'a [u8],
}

impl Name<'_> {
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [self.prefix, &self.place, self.key]
    }
}

/// What Redis Cluster hashes of a shard's names: `s` and three digits.
fn tag(shard: Shard) -> [u8; 4] {
    let number = shard.number();
    [b's', b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10]
}

/// The slot of a shard in Redis Cluster: CRC-16/XMODEM of the tag, modulo 16384.
pub(super) fn slot(shard: Shard) -> u16 {
    let crc = tag(shard).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_how_a_shard_is_shown() {
        for shard in Shard::all() {
            assert_eq!(tag(shard), shard.to_string().as_bytes());
        }
    }

    #[test]
    fn slots_are_those_of_redis() {
        // CLUSTER KEYSLOT of redis-server 7.0.15.
        for (shard, expected) in [(0, 12_234), (42, 844), (255, 12_026)] {
            assert_eq!(slot(Shard::new(shard)), expected);
        }
    }
}
