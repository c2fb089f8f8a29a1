//! People who write faster than people can: for measuring whoever receives.

use super::{
    center::{Account, Center},
    journal::Counters,
    pdu::{Address, ShortMessage, command, put},
    session::Session,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Above every other sequence number of the SMSC, and below those of null receipts.
const FIRST_SEQUENCE: u32 = 0x2000_0000;
const SEQUENCES: u64 = 0x1000_0000;
/// What one turn writes at most, so that answers are read in between.
const ONE_TURN: usize = 256;

/// Many short messages, each kept until it is acknowledged: what a lost connection leaves open is sent again on the next bind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flood {
    /// To this `system_id`; to the first account when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// How many.
    pub count: u64,
    /// How many people take turns; their numbers count up from `from`.
    #[serde(default = "one")]
    pub people: u64,
    /// The first person's number.
    #[serde(default = "number")]
    pub from: u64,
    /// Whom they write to.
    #[serde(default = "short_code")]
    pub to: String,
    /// What they write, in ASCII; a space and the message's number, counted from 0, follow.
    #[serde(default)]
    pub text: String,
    /// `deliver_sm` that may be unanswered on one bind.
    #[serde(default = "window")]
    pub window: usize,
}

fn one() -> u64 {
    1
}

fn number() -> u64 {
    84_900_000_000
}

fn short_code() -> String {
    "8088".to_owned()
}

fn window() -> usize {
    100
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            account: None,
            count: 1000,
            people: one(),
            from: number(),
            to: short_code(),
            text: "flood".to_owned(),
            window: window(),
        }
    }
}

/// A flood under way.
#[derive(Debug)]
pub(super) struct Flowing {
    flood: Flood,
    next: u64,
    again: VecDeque<u64>,
    sequence: u64,
}

impl Flowing {
    pub(super) fn new(flood: Flood) -> Self {
        Self {
            flood,
            next: 0,
            again: VecDeque::new(),
            sequence: 0,
        }
    }

    fn take(&mut self) -> Option<u64> {
        let number = self.again.pop_front();
        number.or_else(|| {
            let number = self.next;
            (number < self.flood.count).then(|| {
                self.next += 1;
                number
            })
        })
    }

    fn body(&self, number: u64) -> Vec<u8> {
        let person = self.flood.from + number % self.flood.people.max(1);
        ShortMessage {
            source: Address {
                ton: 1,
                npi: 1,
                address: person.to_string(),
            },
            destination: Address::of(&self.flood.to),
            short_message: format!("{} {number}", self.flood.text).into(),
            ..ShortMessage::default()
        }
        .deliver_body()
    }
}

impl Account {
    /// Sends what the session's window has room for; answers whether more could follow at once.
    pub(super) fn flow(&mut self, session: &mut Session, counters: &mut Counters) -> bool {
        let Some(flowing) = &mut self.flowing else { return false };
        if !session.takes_deliveries() {
            return false;
        }
        let room = flowing.flood.window.max(1).saturating_sub(session.flooding.len());
        for _ in 0..room.min(ONE_TURN) {
            let Some(number) = flowing.take() else { return false };
            let sequence = FIRST_SEQUENCE + u32::try_from(flowing.sequence % SEQUENCES).unwrap_or_default();
            flowing.sequence += 1;
            put(
                &mut session.out,
                command::DELIVER_SM,
                0,
                sequence,
                &flowing.body(number),
            );
            session.flooding.insert(sequence, number);
            counters.deliveries += 1;
        }
        room > ONE_TURN
    }

    /// Sends these once more.
    pub(super) fn flow_again(&mut self, numbers: impl IntoIterator<Item = u64>) {
        if let Some(flowing) = &mut self.flowing {
            flowing.again.extend(numbers);
        }
    }
}

impl Center {
    pub(super) fn settle_flood(&mut self, account: usize, number: u64, answered: u32, again: bool) {
        let counters = &mut self.journal.counters;
        match (again, answered) {
            (true, _) => {
                counters.retried += 1;
                if let Some(account) = self.accounts.get_mut(account) {
                    account.flow_again([number]);
                }
            }
            (false, 0) => counters.acknowledged += 1,
            (false, _) => counters.rejected += 1,
        }
    }
}
