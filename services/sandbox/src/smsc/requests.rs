//! What the SMSC answers.

use super::checks::check;
use super::{
    center::Center,
    fault::{Fault, Operation, Request, draw},
    journal::JournalEntry,
    pdu::{Frame, Reader, ShortMessage, Tlv, command, put, put_c_string, tag},
    session::{Ending, Mode},
    status,
};
use crate::telegram::Now;
use bytes::BytesMut;
use std::time::Duration;
use tokio::time::Instant;

/// SMPP 3.4.
const INTERFACE_VERSION: u8 = 0x34;
/// Submissions unanswered on one bind where the account sets no limit.
const MOST_OPEN: usize = 100_000;

/// The answer to a request, before a fault changes it.
pub(super) struct Reply<'a> {
    pub(super) status: u32,
    pub(super) body: &'a [u8],
    /// Not before.
    pub(super) due: Option<Instant>,
}

struct Bind {
    system_id: String,
    password: String,
    system_type: String,
}

fn read_bind(frame: &Frame) -> Result<Bind, u32> {
    let mut reader = Reader(frame.body.clone());
    let bind = Bind {
        system_id: reader.c_string(16, status::RINVSYSID)?,
        password: reader.c_string(9, status::RINVPASWD)?,
        system_type: reader.c_string(13, status::RINVSYSTYP)?,
    };
    // Version, type of number, numbering plan and range of the ESME's addresses.
    for _ in 0..3 {
        reader.u8()?;
    }
    reader.c_string(41, status::RBINDFAIL)?;
    Ok(bind)
}

impl Center {
    /// Answers one PDU of the session.
    pub(super) fn receive(&mut self, id: u64, frame: &Frame, now: Now) {
        if frame.command != command::ENQUIRE_LINK && frame.command != command::ENQUIRE_LINK_RESP {
            self.with(id, |session| session.active_at = now.at);
        }
        match frame.command {
            command::BIND_RECEIVER | command::BIND_TRANSMITTER | command::BIND_TRANSCEIVER => self.bind(id, frame, now),
            command::SUBMIT_SM | command::DATA_SM => self.submit(id, frame, now),
            command::ENQUIRE_LINK => {
                self.journal.counters.enquiries += 1;
                self.simple(id, frame, Operation::EnquireLink, now);
            }
            command::UNBIND => {
                self.journal.counters.unbinds += 1;
                if self.simple(id, frame, Operation::Unbind, now) {
                    self.with(id, |session| session.ending = session.ending.or(Some(Ending::Close)));
                }
            }
            command::UNBIND_RESP => self.with(id, |session| session.ending = Some(Ending::Close)),
            command::ENQUIRE_LINK_RESP => {
                let known = self
                    .sessions
                    .get_mut(&id)
                    .is_some_and(|session| session.link_answered(frame.sequence));
                self.journal.counters.strays += u64::from(!known);
            }
            command::DELIVER_SM_RESP | command::DATA_SM_RESP => {
                let known = self.settle(id, frame.sequence, frame.status, now);
                self.journal.counters.strays += u64::from(!known);
            }
            command::GENERIC_NACK => {
                self.journal.counters.nacks += 1;
                self.settle(id, frame.sequence, frame.status, now);
            }
            other if other & command::RESPONSE != 0 => self.journal.counters.strays += 1,
            _ => self.nack(id, frame, status::RINVCMDID, now),
        }
    }

    fn with(&mut self, id: u64, change: impl FnOnce(&mut super::session::Session)) {
        if let Some(session) = self.sessions.get_mut(&id) {
            change(session);
        }
    }

    fn nack(&mut self, id: u64, frame: &Frame, why: u32, now: Now) {
        self.journal.counters.nacks_sent += 1;
        self.with(id, |session| {
            session.say(command::GENERIC_NACK, why, frame.sequence, b"")
        });
        self.note(id, frame, Some(why), None, now);
    }

    /// The length cannot be: says so and closes.
    pub(super) fn bad_length(&mut self, id: u64, sequence: u32) {
        self.journal.counters.nacks_sent += 1;
        self.with(id, |session| {
            session.say(command::GENERIC_NACK, status::RINVCMDLEN, sequence, b"");
            session.ending = Some(Ending::Close);
        });
    }

    fn note(&mut self, id: u64, frame: &Frame, status: Option<u32>, fault: Option<Fault>, now: Now) {
        let account = self.sessions.get(&id).and_then(|session| session.account);
        self.journal.request(JournalEntry {
            number: 0,
            unix: now.unix,
            session: id,
            account: account.map(|index| self.accounts[index].options.system_id.clone()),
            command: frame.command,
            sequence: frame.sequence,
            status,
            fault,
        });
    }

    /// Answers a request without a body; false where a fault kept it from its effect.
    fn simple(&mut self, id: u64, frame: &Frame, operation: Operation, now: Now) -> bool {
        let fault = self.strike(id, operation, "");
        let takes_effect = fault.as_ref().is_none_or(Fault::takes_effect);
        let reply = Reply {
            status: status::ROK,
            body: b"",
            due: None,
        };
        self.answer(id, frame, &reply, fault, now);
        takes_effect
    }

    fn strike(&mut self, id: u64, operation: Operation, destination: &str) -> Option<Fault> {
        let account = self.sessions.get(&id).and_then(|session| session.account);
        let account = account.map_or("", |index| self.accounts[index].options.system_id.as_str());
        let struck = self.faults.strike(&Request {
            operation,
            account,
            destination,
        });
        self.journal.counters.faults += u64::from(struck.is_some());
        struck
    }

    fn bind(&mut self, id: u64, frame: &Frame, now: Now) {
        let bind = self.may_bind(id, frame);
        let named = bind.as_ref().map_or("", |(_, named)| named.as_str());
        let fault = self.faults.strike(&Request {
            operation: Operation::Bind,
            account: named,
            destination: "",
        });
        self.journal.counters.faults += u64::from(fault.is_some());
        let takes_effect = fault.as_ref().is_none_or(Fault::takes_effect);
        let mut body = Vec::new();
        let status = match bind {
            Ok((index, _)) if takes_effect => {
                put_c_string(&mut body, &self.options.system_id);
                Tlv::new(tag::SC_INTERFACE_VERSION, vec![INTERFACE_VERSION]).put(&mut body);
                self.journal.counters.binds += 1;
                self.with(id, |session| {
                    session.account = Some(index);
                    session.mode = Mode::of(frame.command);
                    session.wake.notify_one();
                });
                status::ROK
            }
            Ok(_) => status::ROK,
            Err(status) => status,
        };
        self.journal.counters.binds_refused += u64::from(status != status::ROK || !takes_effect);
        let reply = Reply {
            status,
            body: &body,
            due: None,
        };
        self.answer(id, frame, &reply, fault, now);
    }

    /// The account's index and `system_id`, or why not.
    fn may_bind(&mut self, id: u64, frame: &Frame) -> Result<(usize, String), u32> {
        if self.sessions.get(&id).is_none_or(|session| session.mode != Mode::Open) {
            return Err(status::RALYBND);
        }
        let bind = read_bind(frame)?;
        let index = self.account(Some(&bind.system_id)).ok_or(status::RINVSYSID)?;
        let options = &self.accounts[index].options;
        if options.password != bind.password {
            return Err(status::RINVPASWD);
        }
        if options
            .system_type
            .as_ref()
            .is_some_and(|wanted| *wanted != bind.system_type)
        {
            return Err(status::RINVSYSTYP);
        }
        let most = options.max_binds;
        if self.bound(index).count() >= most {
            return Err(status::RALYBND);
        }
        Ok((index, bind.system_id))
    }

    fn submit(&mut self, id: u64, frame: &Frame, now: Now) {
        self.journal.counters.submits += 1;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let open_before = session.open_submits;
        session.open_submits += 1;
        let bound = session.account.filter(|_| session.mode.may_submit());
        let Some(account) = bound else {
            self.refuse(id, frame, status::RINVBNDSTS, None, now);
            return;
        };
        let message = ShortMessage::read(frame.command, &frame.body);
        let destination = message
            .as_ref()
            .map_or("", |message| message.destination.address.as_str());
        let fault = self.strike(id, Operation::Submit, destination);
        if fault.as_ref().is_some_and(|fault| !fault.takes_effect()) {
            self.refuse(id, frame, status::ROK, fault, now);
            return;
        }
        let one_piece = self.options.one_piece;
        let checked = message.and_then(|message| check(frame.command, &message, one_piece).map(|()| message));
        match checked {
            Err(why) => self.refuse(id, frame, why, fault, now),
            Ok(_) if !self.within_limits(account, open_before, now) => {
                self.journal.counters.throttled += 1;
                self.refuse(id, frame, status::RTHROTTLED, fault, now);
            }
            Ok(message) => self.accept(id, account, frame, &message, fault, now),
        }
    }

    fn within_limits(&mut self, account: usize, open: usize, now: Now) -> bool {
        let account = &mut self.accounts[account];
        let window = match account.options.window {
            0 => MOST_OPEN,
            window => window,
        };
        open < window && account.within_throughput(now.at)
    }

    fn refuse(&mut self, id: u64, frame: &Frame, why: u32, fault: Option<Fault>, now: Now) {
        self.journal.counters.refused += 1;
        let reply = Reply {
            status: why,
            body: b"",
            due: None,
        };
        self.answer(id, frame, &reply, fault, now);
    }

    /// Latency and jitter of the next submission's answer.
    pub(super) fn next_latency(&mut self) -> Duration {
        let jitter = u64::try_from(self.options.jitter.as_micros()).unwrap_or(u64::MAX);
        let drawn = if jitter == 0 { 0 } else { draw(&mut self.seed) % jitter };
        self.options.latency + Duration::from_micros(drawn)
    }

    /// Answers as the fault will have it; the number serves to release the answer.
    pub(super) fn answer(
        &mut self,
        id: u64,
        frame: &Frame,
        reply: &Reply<'_>,
        fault: Option<Fault>,
        now: Now,
    ) -> Option<u64> {
        let account = self.sessions.get(&id).and_then(|session| session.account);
        let error_body = account.is_some_and(|index| self.accounts[index].options.error_body);
        let response = frame.command | command::RESPONSE;
        let refusal = |with_body: bool| if with_body { &b"\0"[..] } else { b"" };
        let body = if reply.status == status::ROK {
            reply.body
        } else {
            refusal(error_body)
        };
        let mut out = BytesMut::new();
        let mut due = reply.due;
        let mut status = Some(reply.status);
        match &fault {
            None => put(&mut out, response, reply.status, frame.sequence, body),
            Some(Fault::Late { ms }) => {
                let delay = self.options.scaled(Duration::from_millis(*ms));
                due = Some(due.unwrap_or(now.at) + delay);
                put(&mut out, response, reply.status, frame.sequence, body);
            }
            Some(Fault::Status { status: refused, body }) => {
                status = Some(*refused);
                put(
                    &mut out,
                    response,
                    *refused,
                    frame.sequence,
                    refusal(body.unwrap_or(error_body)),
                );
            }
            Some(Fault::Nack { status: refused }) => {
                status = Some(*refused);
                self.journal.counters.nacks_sent += 1;
                put(&mut out, command::GENERIC_NACK, *refused, frame.sequence, b"");
            }
            Some(Fault::Twice) => {
                put(&mut out, response, reply.status, frame.sequence, body);
                put(&mut out, response, reply.status, frame.sequence, body);
            }
            Some(Fault::NoBody) => put(&mut out, response, reply.status, frame.sequence, b""),
            Some(Fault::Unterminated) => {
                let cut = body.strip_suffix(b"\0").unwrap_or(body);
                put(&mut out, response, reply.status, frame.sequence, cut);
            }
            Some(Fault::Stray) => put(&mut out, response, reply.status, frame.sequence ^ 0x4000_0000, body),
            Some(Fault::SilenceBefore | Fault::SilenceAfter) => status = None,
            Some(Fault::CutBefore | Fault::CutAfter) => {
                status = None;
                self.with(id, |session| session.ending = Some(Ending::Reset));
            }
        }
        if frame.command != command::ENQUIRE_LINK {
            self.note(id, frame, status, fault, now);
        }
        let frees_window = matches!(frame.command, command::SUBMIT_SM | command::DATA_SM);
        let session = self.sessions.get_mut(&id)?;
        (!out.is_empty()).then(|| session.answer(out.freeze(), due, frees_window))
    }
}
