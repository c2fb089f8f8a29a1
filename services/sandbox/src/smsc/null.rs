//! The null SMSC: answers with as little work as can be, so that what is measured is the ESME.

use super::{
    journal::Counters,
    options::{Null, Options},
    pdu::{HEADER, ShortMessage, command, put},
    receipt::{About, IdForms, ReceiptForm, State},
    session::Mode,
};
use crate::telegram::Now;
use bytes::{Buf as _, BytesMut};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Above the sequence numbers of everything else that the SMSC sends.
const FIRST_SEQUENCE: u32 = 0x3000_0000;
const LAST_SEQUENCE: u32 = 0x3FFF_FFFF;

/// What null lines count, over all of them.
#[derive(Debug, Default)]
pub(super) struct NullCounts {
    submits: AtomicU64,
    receipts: AtomicU64,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    dropped: AtomicU64,
}

impl NullCounts {
    /// Adds itself to `counters`.
    pub(super) fn add_to(&self, counters: &mut Counters) {
        let submits = self.submits.load(Ordering::Relaxed);
        counters.submits += submits;
        counters.accepted += submits;
        counters.receipts += self.receipts.load(Ordering::Relaxed);
        counters.deliveries += self.sent.load(Ordering::Relaxed);
        counters.acknowledged += self.acknowledged.load(Ordering::Relaxed);
        counters.dropped += self.dropped.load(Ordering::Relaxed);
    }
}

/// One connection to a null SMSC.
pub(super) struct NullLine {
    options: Arc<Options>,
    null: Null,
    counts: Arc<NullCounts>,
    waiting: VecDeque<Vec<u8>>,
    unanswered: usize,
    sequence: u32,
}

impl NullLine {
    /// None where the SMSC is none.
    pub(super) fn new(options: &Arc<Options>, counts: &Arc<NullCounts>) -> Option<Self> {
        Some(Self {
            null: options.null?,
            options: Arc::clone(options),
            counts: Arc::clone(counts),
            waiting: VecDeque::new(),
            unanswered: 0,
            sequence: FIRST_SEQUENCE,
        })
    }

    /// Answers the submissions at the front of `input`, up to the first PDU that is none of its own.
    pub(super) fn answer(&mut self, input: &mut BytesMut, out: &mut BytesMut, mode: Mode, now: Now) {
        if !mode.may_submit() {
            return;
        }
        let mut answered = 0;
        while let Some((length, command, sequence)) = self.front(input) {
            match command {
                command::SUBMIT_SM | command::DATA_SM => {
                    answered += 1;
                    let number = self.options.first_message_id + self.counts.submits.fetch_add(1, Ordering::Relaxed);
                    let id = terminated(number);
                    put(out, command | command::RESPONSE, 0, sequence, &id);
                    if self.null.receipts && mode.receives() {
                        self.receipt(command, input, length, number, now);
                    }
                }
                command::DELIVER_SM_RESP if (FIRST_SEQUENCE..=LAST_SEQUENCE).contains(&sequence) => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                    self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                _ => break,
            }
            input.advance(length);
        }
        if answered > 0 || !self.waiting.is_empty() {
            self.send_receipts(out);
        }
    }

    fn front(&self, input: &BytesMut) -> Option<(usize, u32, u32)> {
        let mut header = input.get(..HEADER)?;
        let length = usize::try_from(header.get_u32()).ok()?;
        let command = header.get_u32();
        header.advance(4);
        let sequence = header.get_u32();
        let whole = (HEADER..=self.options.longest_pdu.min(input.len())).contains(&length);
        whole.then_some((length, command, sequence))
    }

    fn receipt(&mut self, command: u32, input: &BytesMut, length: usize, number: u64, now: Now) {
        let body = input.get(HEADER..length).unwrap_or_default().to_vec().into();
        let Ok(message) = ShortMessage::read(command, &body) else {
            return;
        };
        if message.registered_delivery & 3 != 1 {
            return;
        }
        let about = About {
            number,
            ids: IdForms::default(),
            state: State::Delivered,
            error: "000",
            submitted: now.unix,
            done: now.unix,
            text: "",
        };
        if self.waiting.len() >= self.options.queue {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let receipt = ReceiptForm::default().write(&about, &message, 0x04);
        self.waiting.push_back(receipt.deliver_body());
        self.counts.receipts.fetch_add(1, Ordering::Relaxed);
    }

    fn send_receipts(&mut self, out: &mut BytesMut) {
        let window = self.null.receipt_window;
        while window == 0 || self.unanswered < window {
            let Some(receipt) = self.waiting.pop_front() else {
                return;
            };
            put(out, command::DELIVER_SM, 0, self.sequence, &receipt);
            self.sequence = if self.sequence == LAST_SEQUENCE {
                FIRST_SEQUENCE
            } else {
                self.sequence + 1
            };
            self.unanswered += 1;
            self.counts.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `number` as ten decimal digits and a NUL.
fn terminated(mut number: u64) -> [u8; 11] {
    let mut id = [b'0'; 11];
    id[10] = 0;
    for place in id[..10].iter_mut().rev() {
        *place += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::{super::receipt::IdForm, *};

    #[test]
    fn ids_are_those_of_the_receipts() {
        for number in [0, 7, 489_708_364, 9_999_999_999] {
            assert_eq!(
                terminated(number),
                format!("{}\0", IdForm::Decimal.write(number)).as_bytes()
            );
        }
    }
}
