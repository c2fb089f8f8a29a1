//! Long messages in pieces: out of order, repeated, late, and some of which a piece never comes.
//!
//! The words of a piece name it: `3.1;` is the first piece of the third message. So the text of what was put together tells
//! what it consists of.

use crate::oracle::{Oracle, thread_name};
use crate::rng::Rng;
use crate::scenario::{Push, cut, event, message};
use omnigate_core::append::Arrival;
use omnigate_core::id::{CustomerId, EventId};
use omnigate_core::pieces;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::EntryRecord;
use omnigate_proto::v1::{Event, Message, Piece, event::Kind, part::Content};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// A piece by the number of its message and its own.
type Token = (u32, u32);

fn piece(thread: (&str, &str), (number, part): Token, total: u32, id: &str) -> Event {
    let words = format!("{number}.{part};");
    let piece = Piece {
        reference: format!("r{number}"),
        total,
        number: part,
        utf16: words
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
            .into(),
    };
    let message = Message {
        piece: Some(piece),
        ..Message::default()
    };
    event(thread.0, thread.1, &[], id, Kind::Message(message))
}

/// Long messages of two threads among short ones; networks repeat pieces, under their id or another.
pub(crate) fn long_messages(rng: &mut Rng) -> Vec<Push> {
    some(rng, 0)
}

/// The same, and of some a piece never comes.
pub(crate) fn missing_pieces(rng: &mut Rng) -> Vec<Push> {
    some(rng, 600)
}

fn some(rng: &mut Rng, incomplete: usize) -> Vec<Push> {
    let mut pushes = Vec::new();
    let mut number = 0;
    for thread in [("sms", "phone//+84900000001"), ("other", "phone//+84900000001")] {
        let mut events = Vec::new();
        for _ in 0..1 + rng.below(3) {
            number += 1;
            let total = 2 + u32::try_from(rng.below(3)).unwrap();
            let missing = rng
                .per_mille(incomplete)
                .then(|| 1 + u32::try_from(rng.below(2)).unwrap());
            for part in (1..=total).filter(|part| Some(*part) != missing) {
                let original = piece(thread, (number, part), total, &format!("{number}-{part}"));
                if rng.per_mille(250) {
                    events.push(original.clone());
                }
                if rng.per_mille(250) {
                    events.push(piece(thread, (number, part), total, &format!("{number}-{part}-again")));
                }
                events.push(original);
            }
        }
        for short in 0..rng.below(3) {
            events.push(message(thread.0, thread.1, &[], &format!("short-{short}")));
        }
        rng.shuffle(&mut events);
        cut(rng, events, &mut pushes);
    }
    rng.shuffle(&mut pushes);
    pushes
}

pub(crate) fn is_piece(arrival: &Arrival) -> bool {
    pieces::piece(&arrival.event).is_some()
}

fn token(words: &str) -> Option<Token> {
    let (number, part) = words.split_once('.')?;
    Some((number.parse().ok()?, part.parse().ok()?))
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    text.split_terminator(';').map(token).collect()
}

fn token_of(piece: &Piece) -> Token {
    let units: Vec<u16> = piece
        .utf16
        .chunks(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    tokens(&String::from_utf16(&units).unwrap()).unwrap()[0]
}

fn text_of(event: &Event) -> Option<(&str, bool)> {
    let Some(Kind::Message(message)) = &event.kind else {
        return None;
    };
    match &message.parts.first()?.content {
        Some(Content::Text(text)) => Some((&text.text, message.is_partial)),
        _ => None,
    }
}

impl Oracle {
    /// Takes an entry that was put together, as if it had arrived; what is wrong with it.
    pub(crate) fn put_together(&mut self, id: EventId, entry: &EntryRecord) -> Result<Arrival, String> {
        let event = Event::decode(entry.event.clone()).unwrap();
        let (text, is_partial) = text_of(&event).ok_or_else(|| format!("event {id} was never pushed"))?;
        let found = tokens(text).ok_or_else(|| format!("event {id} was never pushed"))?;
        let arrival = Arrival {
            bytes: entry.event.clone(),
            id,
            received_at: Moment(entry.received_at_ms),
            event: event.clone(),
        };
        let name = thread_name(&arrival);
        let pushed = self.threads.get(&name).into_iter().flatten();
        let of_message = pushed.filter_map(|arrival| pieces::piece(&arrival.event));
        let of_message: Vec<&Piece> = of_message.filter(|piece| token_of(piece).0 == found[0].0).collect();
        let known: BTreeSet<Token> = of_message.iter().map(|piece| token_of(piece)).collect();
        let total = of_message.first().map_or(0, |piece| piece.total as usize);
        let in_order = found.is_sorted() && found.iter().all(|token| known.contains(token));
        if !in_order || found.iter().collect::<BTreeSet<_>>().len() != found.len() {
            return Err(format!("event {id} is put together of {text} in {name}"));
        }
        if is_partial != (found.len() < total) {
            return Err(format!("event {id} of {text} says that it is partial: {is_partial}"));
        }
        self.wholes.insert(id, arrival.clone());
        Ok(arrival)
    }

    /// Whether a piece waits in its thread, or is part of what was put together.
    pub(crate) fn has_piece(&self, arrival: &Arrival) -> bool {
        let wanted = pieces::piece(&arrival.event).map(token_of);
        let name = thread_name(arrival);
        let waits = self.homes.values().flat_map(|home| &home.threads).any(|thread| {
            thread.account_id == arrival.event.account_id
                && thread
                    .pending_pieces
                    .iter()
                    .flat_map(|pending| &pending.pieces)
                    .any(|piece| {
                        let event = Event::decode(piece.event.clone()).unwrap();
                        pieces::piece(&event).map(token_of) == wanted
                    })
        });
        let is_there = |whole: &Arrival| {
            let found = text_of(&whole.event)
                .and_then(|(text, _)| tokens(text))
                .unwrap_or_default();
            thread_name(whole) == name && found.iter().any(|token| Some(*token) == wanted)
        };
        waits || self.wholes.values().any(is_there)
    }
}

/// Every piece is told of, once; and what came within its time is one message.
pub(crate) fn are_told(oracle: &Oracle) -> Result<(), String> {
    for home in oracle.homes.values() {
        if home.threads.iter().any(|thread| !thread.pending_pieces.is_empty()) {
            return Err("pieces wait for ever".into());
        }
    }
    for (name, thread) in &oracle.threads {
        let mut told: BTreeMap<Token, usize> = BTreeMap::new();
        let mut longest: BTreeMap<u32, usize> = BTreeMap::new();
        for whole in oracle.wholes.values().filter(|whole| thread_name(whole) == *name) {
            let (text, _) = text_of(&whole.event).unwrap();
            let found = tokens(text).unwrap();
            let length = longest.entry(found[0].0).or_default();
            *length = found.len().max(*length);
            for token in found {
                *told.entry(token).or_default() += 1;
            }
        }
        let mut pushed: BTreeMap<Token, usize> = BTreeMap::new();
        for piece in thread.iter().filter_map(|arrival| pieces::piece(&arrival.event)) {
            *pushed.entry(token_of(piece)).or_default() += 1;
        }
        for (token, facts) in &pushed {
            let times = told.get(token).copied().unwrap_or_default();
            // A piece that comes again under another id after its time is a new fact.
            let most = if oracle.leapt { *facts } else { 1 };
            if times == 0 || times > most {
                return Err(format!("piece {token:?} of {name} is told {times} times"));
            }
        }
        let mut parts: BTreeMap<u32, usize> = BTreeMap::new();
        for (number, _) in pushed.keys() {
            *parts.entry(*number).or_default() += 1;
        }
        if !oracle.leapt && parts != longest {
            return Err(format!(
                "messages of {name} are told in parts: {longest:?} of {parts:?}"
            ));
        }
    }
    Ok(())
}

/// Whether events of a home are shown as they arrived or were put together.
pub(crate) fn arrival_of(oracle: &Oracle, event: EventId, home: CustomerId) -> Result<&Arrival, String> {
    let found = oracle.arrivals.get(&event).or_else(|| oracle.wholes.get(&event));
    found.ok_or_else(|| format!("event {event} in {home} came from nowhere"))
}
