//! Names of keys in Redis: prefix, the shard as hash tag, a letter for the shape, and the key.
//!
//! A record is a string (version and value), a map a hash, a counter a string. An index is a sorted set, all scores 0 so that
//! its members are ordered by their bytes, and a hash of the members' values; both always hold the same members, so they come
//! and go together.

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

    /// The name of a thing; for an index that of its members.
    pub(super) fn thing(&self, shard: Shard, shape: Shape, key: &[u8]) -> Vec<u8> {
        let letter = match shape {
            Shape::Record => b'r',
            Shape::Map => b'm',
            Shape::Index => b'i',
            Shape::Counter => b'c',
        };
        self.name(shard, letter, key)
    }

    /// The name of an index's values.
    pub(super) fn values(&self, shard: Shard, key: &[u8]) -> Vec<u8> {
        self.name(shard, VALUES, key)
    }

    fn name(&self, shard: Shard, letter: u8, key: &[u8]) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.prefix.len() + key.len() + 8);
        name.extend(self.prefix.as_bytes());
        name.push(b'{');
        name.extend(tag(shard));
        name.extend([b'}', letter]);
        name.extend(key);
        name
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
