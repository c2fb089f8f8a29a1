//! Any pieces of long messages, in any order, with any header: no panic, what waits is bounded, and no piece is lost or
//! told twice.
//!
//! `cargo +nightly fuzz run smpp_pieces` in `services/adapters`. The octets are a list of steps: how the pieces are told,
//! reference, total and number of the first, how many there are, each with the next number or the next reference, how many
//! octets of content follow, and those. A step whose first octet is odd lets time pass instead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{Deliver, account_of_pieces, arrival, hex, opened, post, words};
use omnigate_core::{
    account::Account,
    pieces::{self, WAIT, Whole},
    port::adapter::{Received, Webhook},
    time::Moment,
};
use omnigate_proto::{state::v1::ThreadRecord, v1::Event};
use serde_json::json;
use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

static PDUS: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| opened("sms", "smpp", json!({})));
static ACCOUNT: LazyLock<Account> = LazyLock::new(account_of_pieces);

/// Most messages of a thread that wait, or are remembered after they went, and most pieces of them.
const MESSAGES: usize = 8;
const PIECES: usize = 300;

/// Most pieces of a step.
const MANY: u8 = 32;

/// One thread, and what has become of every piece that it took.
struct Thread {
    record: ThreadRecord,
    /// By event: how often it was taken, less how often it was told.
    open: BTreeMap<String, usize>,
    now: Moment,
}

fuzz_target!(|octets: &[u8]| {
    let mut thread = Thread {
        record: ThreadRecord::default(),
        open: BTreeMap::new(),
        now: Moment(1_767_323_045_678),
    };
    let mut rest = octets;
    while let [how, reference, total, number, many, length, behind @ ..] = rest {
        if how % 2 == 1 {
            thread.pass(Duration::from_secs(u64::from(*reference)));
            rest = &rest[2..];
            continue;
        }
        // Short ones too: most of what is of interest is in their number.
        let length = usize::from(*length) >> (how >> 5 & 3);
        let (content, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        for step in 0..=many % MANY {
            let place = match how & 0x80 {
                0 => [*reference, *total, number.wrapping_add(step)],
                _ => [reference.wrapping_add(step), *total, *number],
            };
            for event in events(*how, place, content) {
                thread.take(event);
            }
        }
    }
    thread.pass(WAIT);
    assert!(thread.record.pending_pieces.is_empty());
    assert!(
        thread.open.values().all(|count| *count == 0),
        "pieces are lost: {:?}",
        thread.open
    );
});

/// What the adapter makes of one piece.
fn events(how: u8, [reference, total, number]: [u8; 3], content: &[u8]) -> Vec<Event> {
    let mut parameters = Vec::new();
    let mut whole = match how >> 1 & 3 {
        0 => vec![5, 0, 3, reference, total, number],
        1 => vec![6, 8, 4, total, reference, total, number],
        2 => {
            parameters.extend_from_slice(&[2, 0x0c, 0, 2, 0, reference]);
            parameters.extend_from_slice(&[2, 0x0e, 0, 1, total, 2, 0x0f, 0, 1, number]);
            vec![]
        }
        // A header that is whatever the content is.
        _ => vec![],
    };
    let has_header = how >> 1 & 3 != 2;
    whole.extend_from_slice(content);
    let pdu = Deliver {
        destination: if how & 0x40 == 0 { "8041" } else { "8042" },
        esm_class: if has_header { 0x40 } else { 0 },
        data_coding: [0, 8, 4, 3][usize::from(how >> 3 & 3)],
        content: &whole,
        parameters: &parameters,
    };
    match PDUS.receive(&post(hex(&pdu.octets())), false) {
        Received::Events { events, .. } => events,
        other => panic!("{other:?}"),
    }
}

impl Thread {
    fn take(&mut self, event: Event) {
        let Some(arrival) = arrival(event, &ACCOUNT, self.now) else {
            return;
        };
        if pieces::piece(&arrival.event).is_none() {
            return;
        }
        let before = self.waiting();
        let ready = pieces::take(&mut self.record, &arrival, self.now);
        let told: usize = ready.iter().map(|whole| whole.pieces.len()).sum();
        // One that is known already goes nowhere.
        let taken = self.waiting() + told - before;
        assert!(taken <= 1, "{taken} pieces out of one");
        *self.open.entry(arrival.id.to_string()).or_default() += taken;
        self.told(&ready);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let ready = pieces::overdue(&mut self.record, self.now);
        self.told(&ready);
    }

    fn told(&mut self, ready: &[Whole]) {
        for whole in ready {
            words(whole);
            for piece in &whole.pieces {
                let open = self.open.get_mut(&piece.to_string());
                let open = open
                    .filter(|open| **open > 0)
                    .expect("told and never taken, or told twice");
                *open -= 1;
            }
        }
        assert!(self.record.pending_pieces.len() <= MESSAGES && self.waiting() <= PIECES);
        assert!(self.record.whole_pieces.len() <= MESSAGES);
    }

    fn waiting(&self) -> usize {
        let pending = self.record.pending_pieces.iter();
        pending.map(|message| message.pieces.len()).sum()
    }
}
