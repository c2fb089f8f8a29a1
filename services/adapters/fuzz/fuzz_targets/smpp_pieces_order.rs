//! A text cut anywhere, its pieces delivered in any order and any number of times: it is put together once, and is what it
//! was.
//!
//! `cargo +nightly fuzz run smpp_pieces_order` in `services/adapters`. The first octet says how the pieces are told, the
//! second how long they are, the third how many of those behind name pieces that are delivered first; the others are the
//! text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{Deliver, account_of_pieces, arrival, hex, opened, post, words};
use omnigate_core::{
    account::Account,
    append::Arrival,
    pieces,
    port::adapter::{Received, Webhook},
    sms::coding,
    time::Moment,
};
use omnigate_proto::state::v1::ThreadRecord;
use serde_json::json;
use std::sync::LazyLock;

static PDUS: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| opened("sms", "smpp", json!({})));
static ACCOUNT: LazyLock<Account> = LazyLock::new(account_of_pieces);
const NOW: Moment = Moment(1_767_323_045_678);
/// Most UTF-16 units of a piece, and most pieces.
const UNITS: usize = 67;
const PIECES: usize = 255;

fuzz_target!(|octets: &[u8]| {
    let [how, size, early, rest @ ..] = octets else { return };
    let (early, text) = rest.split_at(usize::from(*early).min(rest.len()));
    // A NUL at the end of a piece is taken for one that ends it.
    let text = String::from_utf8_lossy(text).replace('\0', " ");
    let size = usize::from(*size) % UNITS + 1;
    let units: Vec<u16> = text.encode_utf16().take(size * PIECES).collect();
    let cut: Vec<&[u16]> = units.chunks(size).collect();
    if cut.len() < 2 {
        return;
    }
    let total = cut.len() as u8;
    let pieces: Vec<Arrival> = (1..=total)
        .zip(cut)
        .map(|(number, units)| delivered(*how, total, number, units))
        .collect();
    let mut thread = ThreadRecord::default();
    let first = early.iter().map(|pick| &pieces[usize::from(*pick) % pieces.len()]);
    let told: Vec<_> = first
        .chain(&pieces)
        .flat_map(|piece| pieces::take(&mut thread, piece, NOW))
        .collect();
    assert_eq!(told.len(), 1, "told {} times", told.len());
    assert_eq!(words(&told[0]), (coding::text(&units).as_str(), false));
    assert_eq!(told[0].pieces.len(), pieces.len());
    assert!(thread.pending_pieces.is_empty());
});

/// A piece as unify gets it.
fn delivered(how: u8, total: u8, number: u8, units: &[u16]) -> Arrival {
    let mut parameters = Vec::new();
    let mut content = match how % 3 {
        0 => vec![5, 0, 3, how, total, number],
        1 => vec![6, 8, 4, 1, how, total, number],
        _ => {
            parameters.extend_from_slice(&[2, 0x0c, 0, 2, 1, how]);
            parameters.extend_from_slice(&[2, 0x0e, 0, 1, total, 2, 0x0f, 0, 1, number]);
            vec![]
        }
    };
    let has_header = !content.is_empty();
    content.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
    let pdu = Deliver {
        esm_class: if has_header { 0x40 } else { 0 },
        data_coding: 8,
        content: &content,
        parameters: &parameters,
        ..Deliver::default()
    };
    let received = PDUS.receive(&post(hex(&pdu.octets())), false);
    let Received::Events { mut events, .. } = received else {
        panic!("{received:?}")
    };
    assert_eq!(events.len(), 1);
    arrival(events.remove(0), &ACCOUNT, NOW).expect("ingest takes a piece")
}
