//! What becomes of a submission that was taken.

use super::{
    center::Center,
    coding::decode,
    fault::{Fault, begins},
    journal::{Key, Submission, Waiting, WholeText, hex},
    pdu::{Frame, ShortMessage, command, put_c_string, tag},
    pieces::{Piece, piece_of},
    receipt::{About, ReceiptPlan, State},
    requests::Reply,
    status,
};
use crate::telegram::Now;
use bytes::Bytes;
use std::time::Duration;

/// `esm_class` of a delivery receipt.
const RECEIPT: u8 = 0x04;
/// `esm_class` of an intermediate notification.
const INTERMEDIATE: u8 = 0x20;
/// How long a response waits for the receipt that is to come before it, should no bind take receipts.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

impl Center {
    /// Takes the submission: records it, answers it, and sees to its receipts.
    pub(super) fn accept(
        &mut self,
        id: u64,
        account: usize,
        frame: &Frame,
        message: &ShortMessage,
        fault: Option<Fault>,
        now: Now,
    ) {
        let number = self.next_message_id;
        self.next_message_id += 1;
        let message_id = self.accounts[account].options.ids.response.write(number);
        let (piece, octets) = piece_of(message);
        self.record(account, message, &message_id, piece, &octets, now);
        self.assemble(account, message, &message_id, piece, octets.clone());
        let plan = self.plan_for(&message.destination.address);
        let latency = self.next_latency();
        let held = plan.before_response && wants(message, plan.state) && plan.copies > 0;
        let delay = if held { latency + LONGEST_HOLD } else { latency };
        let mut body = Vec::new();
        put_c_string(&mut body, &message_id);
        let reply = Reply {
            status: status::ROK,
            body: &body,
            due: (!delay.is_zero()).then(|| now.at + delay),
        };
        let answer = self.answer(id, frame, &reply, fault, now);
        let releases = answer.filter(|_| held).map(|answer| (id, answer));
        let text = decode(message.data_coding, &octets).unwrap_or_default();
        self.give_receipts(
            &Sent {
                account,
                number,
                message,
                text: &text,
            },
            &plan,
            latency,
            releases,
            now,
        );
    }

    fn record(
        &mut self,
        account: usize,
        message: &ShortMessage,
        message_id: &str,
        piece: Option<Piece>,
        octets: &Bytes,
        now: Now,
    ) {
        if self.options.journal == 0 {
            self.journal.counters.accepted += 1;
            return;
        }
        let others = message.tlvs.iter().filter(|tlv| tlv.tag != tag::MESSAGE_PAYLOAD);
        self.journal.submission(Submission {
            number: 0,
            unix: now.unix,
            account: self.accounts[account].options.system_id.clone(),
            message_id: message_id.to_owned(),
            source: message.source.clone(),
            destination: message.destination.clone(),
            service_type: message.service_type.clone(),
            esm_class: message.esm_class,
            data_coding: message.data_coding,
            registered_delivery: message.registered_delivery,
            validity_period: message.validity_period.clone(),
            piece,
            text: decode(message.data_coding, octets),
            octets: hex(message.octets()),
            tlvs: others.map(|tlv| (tlv.tag, hex(&tlv.value))).collect(),
        });
    }

    fn assemble(
        &mut self,
        account: usize,
        message: &ShortMessage,
        message_id: &str,
        piece: Option<Piece>,
        octets: Bytes,
    ) {
        let waiting = Waiting {
            octets,
            message_id: message_id.to_owned(),
        };
        let pieces = match piece.filter(|piece| piece.total > 1) {
            None => Some(vec![waiting]),
            Some(piece) => {
                let key = Key {
                    account,
                    source: message.source.clone(),
                    destination: message.destination.clone(),
                    by: piece.by,
                    reference: piece.reference,
                    total: piece.total,
                };
                self.journal.piece(key, piece.number, waiting)
            }
        };
        let Some(pieces) = pieces else { return };
        let octets = pieces
            .iter()
            .map(|piece| &piece.octets[..])
            .collect::<Vec<_>>()
            .concat();
        let whole = WholeText {
            number: 0,
            account: self.accounts[account].options.system_id.clone(),
            source: message.source.address.clone(),
            destination: message.destination.address.clone(),
            text: decode(message.data_coding, &octets),
            pieces: u8::try_from(pieces.len()).unwrap_or(u8::MAX),
            message_ids: pieces.into_iter().map(|piece| piece.message_id).collect(),
            copies: 0,
        };
        self.journal.text(whole, (message.data_coding, octets));
    }

    fn plan_for(&mut self, destination: &str) -> ReceiptPlan {
        let rule = self
            .receipt_rules
            .iter_mut()
            .find(|rule| begins(rule.destination.as_deref(), destination));
        let Some(rule) = rule else {
            return self.options.receipt.clone();
        };
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
        }
        let plan = rule.plan.clone();
        self.receipt_rules.retain(|rule| rule.times != Some(0));
        plan
    }

    fn give_receipts(
        &mut self,
        sent: &Sent<'_>,
        plan: &ReceiptPlan,
        latency: Duration,
        mut releases: Option<(u64, u64)>,
        now: Now,
    ) {
        let step = self.options.scaled(Duration::from_millis(plan.after_ms));
        // Nothing is known of a message before its answer, unless the plan says so.
        let mut due = if plan.before_response { now.at } else { now.at + latency };
        if sent.message.registered_delivery & 0x10 != 0 {
            for state in &plan.intermediate {
                due += step;
                let body = self.receipt_body(sent, plan, *state, INTERMEDIATE, now);
                self.enqueue(sent.account, due, command::DELIVER_SM, body, None);
            }
        }
        if wants(sent.message, plan.state) {
            due += step;
            for _ in 0..plan.copies {
                let body = self.receipt_body(sent, plan, plan.state, RECEIPT, now);
                self.enqueue(sent.account, due, command::DELIVER_SM, body, releases.take());
                self.journal.counters.receipts += 1;
            }
        }
    }

    fn receipt_body(&self, sent: &Sent<'_>, plan: &ReceiptPlan, state: State, esm_class: u8, now: Now) -> Vec<u8> {
        let about = About {
            number: sent.number,
            ids: self.accounts[sent.account].options.ids,
            state,
            error: &plan.error,
            submitted: now.unix,
            done: now
                .unix
                .saturating_add(i64::try_from(plan.after_ms / 1000).unwrap_or(0)),
            text: sent.text,
        };
        plan.form.write(&about, sent.message, esm_class).deliver_body()
    }
}

/// A submission that receipts are about.
struct Sent<'a> {
    account: usize,
    number: u64,
    message: &'a ShortMessage,
    text: &'a str,
}

/// Whether the ESME asked for a receipt that says `state`.
fn wants(message: &ShortMessage, state: State) -> bool {
    match message.registered_delivery & 3 {
        1 => true,
        2 => state.is_failure(),
        _ => false,
    }
}
