//! Long messages that come in pieces: kept in their thread until they are whole, or until the rest is too late.

use crate::append::Arrival;
use crate::id::{EventId, hash};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{PendingPiece, PendingPieces, ThreadRecord, WholePieces};
use omnigate_proto::v1::{Event, Message, Part, Piece, Text, event::Kind, part::Content};
use prost::Message as _;
use std::ops::Range;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization as _;

/// How long pieces wait for the others. Networks try a phone again for hours, but then all pieces are late together.
pub const WAIT: Duration = Duration::from_secs(300);
/// Most long messages of one thread that wait; the oldest goes as it is when there are more.
const MAX_PENDING: usize = 8;
/// Bytes of a piece's hash that are kept.
const DIGEST: usize = 8;
/// Most pieces of one thread that wait, over all its messages.
const MAX_PIECES: usize = 300;

/// The piece that an event brings, if it brings one.
#[must_use]
pub fn piece(event: &Event) -> Option<&Piece> {
    match &event.kind {
        Some(Kind::Message(message)) => message.piece.as_ref(),
        _ => None,
    }
}

/// A message put together.
#[derive(Clone, Debug)]
pub struct Whole {
    /// It, as if it had arrived like this.
    pub arrival: Arrival,
    /// Events of its pieces.
    pub pieces: Vec<EventId>,
}

/// Takes a piece. Gives the messages that are whole now, or that have to go without the rest.
pub fn take(thread: &mut ThreadRecord, arrival: &Arrival, now: Moment) -> Vec<Whole> {
    let Some(piece) = piece(&arrival.event) else {
        return Vec::new();
    };
    let mut ready = Vec::new();
    thread.whole_pieces.retain(|whole| whole.until_ms > now.0);
    if thread.whole_pieces.iter().any(|whole| had(whole, piece)) {
        return ready;
    }
    let known = |pending: &PendingPieces| pending.reference == piece.reference;
    if let Some(position) = thread.pending_pieces.iter().position(known) {
        let pending = &thread.pending_pieces[position];
        let same_number = pending.pieces.iter().find(|there| there.number == piece.number);
        let differs = pending.total != piece.total || same_number.is_some_and(|there| !is_same(there, arrival, piece));
        if differs {
            // The sender has come round to the same reference: what is there will not become whole.
            ready.extend(finish(thread, position, now));
        } else if same_number.is_some() {
            return ready;
        }
    }
    let position = thread.pending_pieces.iter().position(known).unwrap_or_else(|| {
        thread.pending_pieces.push(PendingPieces {
            reference: piece.reference.clone(),
            total: piece.total,
            pieces: Vec::new(),
            due_ms: (now + WAIT).0,
        });
        thread.pending_pieces.len() - 1
    });
    let pending = &mut thread.pending_pieces[position];
    pending.pieces.push(PendingPiece {
        number: piece.number,
        event: arrival.bytes.clone(),
        received_at_ms: arrival.received_at.0,
    });
    if u32::try_from(pending.pieces.len()).unwrap_or(u32::MAX) >= pending.total {
        ready.extend(finish(thread, position, now));
    }
    while thread.pending_pieces.len() > MAX_PENDING || waiting(thread) > MAX_PIECES {
        ready.extend(finish(thread, 0, now));
    }
    ready
}

/// Messages whose missing pieces are too late.
pub fn overdue(thread: &mut ThreadRecord, now: Moment) -> Vec<Whole> {
    let mut ready = Vec::new();
    let late = |pending: &PendingPieces| pending.due_ms <= now.0;
    while let Some(position) = thread.pending_pieces.iter().position(late) {
        ready.extend(finish(thread, position, now));
    }
    ready
}

/// Puts a message together and keeps in mind for a while what it consisted of.
fn finish(thread: &mut ThreadRecord, position: usize, now: Moment) -> Option<Whole> {
    let pending = thread.pending_pieces.remove(position);
    let mut digests = vec![0; DIGEST * usize::try_from(pending.total).unwrap_or(0)];
    for there in &pending.pieces {
        let event = Event::decode(there.event.clone()).unwrap_or_default();
        if let (Some(piece), Some(place)) = (piece(&event), place(there.number, &digests)) {
            digests[place].copy_from_slice(&digest(piece));
        }
    }
    thread.whole_pieces.push(WholePieces {
        reference: pending.reference.clone(),
        total: pending.total,
        digests: digests.into(),
        until_ms: (now + WAIT).0,
    });
    if thread.whole_pieces.len() > MAX_PENDING {
        thread.whole_pieces.remove(0);
    }
    put_together(pending)
}

/// Whether a message that was put together had this piece.
fn had(whole: &WholePieces, piece: &Piece) -> bool {
    whole.reference == piece.reference
        && whole.total == piece.total
        && place(piece.number, &whole.digests).is_some_and(|place| whole.digests[place] == digest(piece))
}

/// Where the digest of a piece stands.
fn place(number: u32, digests: &[u8]) -> Option<Range<usize>> {
    let from = usize::try_from(number.checked_sub(1)?).ok()? * DIGEST;
    (from + DIGEST <= digests.len()).then_some(from..from + DIGEST)
}

fn digest(piece: &Piece) -> [u8; DIGEST] {
    let whole = hash("piece", &[&piece.utf16]);
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&whole[..DIGEST]);
    digest
}

fn waiting(thread: &ThreadRecord) -> usize {
    thread.pending_pieces.iter().map(|pending| pending.pieces.len()).sum()
}

/// Whether what is there already is what came. Networks repeat pieces, as facts of their own where messages have no ids;
/// with the same words they are the same piece, while a message of which pieces are missing still waits for them.
fn is_same(there: &PendingPiece, came: &Arrival, brings: &Piece) -> bool {
    Event::decode(there.event.clone()).is_ok_and(|there| {
        there.event_id.parse() == Ok(came.id) || piece(&there).is_some_and(|there| there.utf16 == brings.utf16)
    })
}

/// One message out of its pieces, in the order of their numbers, whatever is missing. `None` only when nothing is there.
fn put_together(mut pending: PendingPieces) -> Option<Whole> {
    pending.pieces.sort_by_key(|piece| piece.number);
    let received_at = pending.pieces.iter().map(|piece| piece.received_at_ms).max()?;
    let decoded = pending.pieces.iter().map(|piece| Event::decode(piece.event.clone()));
    let events: Vec<Event> = decoded.collect::<Result<_, _>>().ok()?;
    let ids: Vec<EventId> = events.iter().filter_map(|event| event.event_id.parse().ok()).collect();
    let mut units = Vec::new();
    let mut first: Option<&Message> = None;
    for event in &events {
        if let Some(Kind::Message(message)) = &event.kind {
            first = first.or(Some(message));
            let bytes = message.piece.as_ref().map_or(&[][..], |piece| piece.utf16.as_ref());
            units.extend(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
        }
    }
    let message = Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: String::from_utf16_lossy(&units).nfc().collect(),
                ..Text::default()
            })),
        }],
        piece: None,
        is_partial: u32::try_from(events.len()).unwrap_or(u32::MAX) < pending.total,
        ..first.cloned().unwrap_or_default()
    };
    let parts: Vec<&[u8]> = ids.iter().map(|id| id.0.as_slice()).collect();
    let mut id = [0; 16];
    id.copy_from_slice(&hash("pieces", &parts)[..16]);
    let id = EventId(id);
    let event = Event {
        event_id: id.to_string(),
        kind: Some(Kind::Message(message)),
        ..events.into_iter().next()?
    };
    Some(Whole {
        arrival: Arrival {
            bytes: Bytes::from(event.encode_to_vec()),
            event,
            id,
            received_at: Moment(received_at),
        },
        pieces: ids,
    })
}

#[cfg(test)]
mod tests;
