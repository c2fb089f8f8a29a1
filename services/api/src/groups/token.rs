//! Tokens with which events are acknowledged.

use data_encoding::BASE64URL_NOPAD;
use omnigate_core::consumer_group::Position;
use omnigate_core::protocol::consumer_group::Sent;
use omnigate_core::shard::Partition;

/// First byte of a token, for later forms.
const VERSION: u8 = 1;
/// Bytes of a token.
const LENGTH: usize = 31;

/// Under what an event was sent, and the place behind it. A token is no secret and no right: a caller moves only places of
/// its own tenant's groups with it.
pub(super) fn encode(sent: Sent, position: Position) -> String {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.push(VERSION);
    bytes.extend(sent.birth);
    bytes.extend(sent.log.0.to_be_bytes());
    bytes.extend(sent.epoch.to_be_bytes());
    bytes.extend(position.offset.to_be_bytes());
    bytes.extend(position.index.to_be_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

/// Back from a token; `None` when it is none of ours.
pub(super) fn decode(token: &str) -> Option<(Sent, Position)> {
    if token.len() > 2 * LENGTH {
        return None;
    }
    let bytes: [u8; LENGTH] = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?.try_into().ok()?;
    let (version, rest) = bytes.split_first()?;
    let (birth, rest) = rest.split_first_chunk::<8>()?;
    let (log, rest) = rest.split_first_chunk::<2>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (offset, index) = rest.split_first_chunk::<8>()?;
    let sent = Sent {
        birth: *birth,
        log: Partition(u16::from_be_bytes(*log)),
        epoch: u64::from_be_bytes(*epoch),
    };
    let position = Position {
        offset: u64::from_be_bytes(*offset),
        index: u32::from_be_bytes(index.try_into().ok()?),
    };
    (*version == VERSION).then_some((sent, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_and_nonsense_does_not() {
        let sent = Sent {
            birth: *b"birthday",
            log: Partition(3),
            epoch: 7,
        };
        let position = Position { offset: 900, index: 12 };
        let token = encode(sent, position);
        assert_eq!(decode(&token), Some((sent, position)));
        for nonsense in ["", "x", &token[1..], &format!("{token}AA"), &"A".repeat(42)] {
            assert_eq!(decode(nonsense), None, "{nonsense}");
        }
    }
}
