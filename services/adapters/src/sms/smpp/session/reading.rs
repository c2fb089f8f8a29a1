//! What comes over a connection that is bound.

use super::{Connection, Delivery, End, MAX_IN_HAND, READ, RETRY_AFTER, retry};
use crate::sms::smpp::inbound::Translator;
use crate::sms::smpp::line::Answer;
use crate::sms::smpp::pdu::{self, BadLength, Pdu, command};
use crate::sms::smpp::status;
use bytes::{Bytes, BytesMut};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

/// Before a bind that the SMSC ended is asked for again.
const UNBOUND_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

/// Reads one connection.
pub(super) struct Reader<'a> {
    pub(super) connection: &'a Connection<'a>,
    pub(super) deliveries: mpsc::Sender<Delivery>,
}

impl Reader<'_> {
    /// Reads until the connection ends; everything that one read brought is taken before anything else happens.
    pub(super) async fn read(&self, mut input: impl AsyncRead + Unpin, mut buffer: BytesMut) -> End {
        let line = self.connection.line;
        loop {
            // The highest place in what we wrote that the SMSC has answered.
            let mut proven = None;
            loop {
                let pdu = match pdu::next(&mut buffer) {
                    Ok(Some(pdu)) => pdu,
                    Ok(None) => break,
                    Err(problem) => return self.nothing_can_follow(problem).await,
                };
                match self.take(&pdu) {
                    Taken::Answers(place) => proven = proven.max(place),
                    Taken::Done => {}
                    Taken::Unbind => return self.told_to_leave(pdu.sequence).await,
                    Taken::Unbound => return End::Unbound,
                }
            }
            if let Some(place) = proven {
                self.connection.shared.arrivals.proven(self.connection.number, place);
            }
            line.has_room().await;
            buffer.reserve(READ);
            match input.read_buf(&mut buffer).await {
                Ok(0) => return End::Failed(retry("the SMSC closed the connection", RETRY_AFTER)),
                Ok(_) => line.heard(),
                Err(error) => return End::lost(&error),
            }
        }
    }

    fn take(&self, pdu: &Pdu) -> Taken {
        let line = self.connection.line;
        match pdu.command {
            command::SUBMIT_SM_RESP | command::GENERIC_NACK => return Taken::Answers(self.answered(pdu)),
            command::DELIVER_SM | command::DATA_SM => self.deliver(pdu, true),
            command::ALERT_NOTIFICATION => self.deliver(pdu, false),
            command::ENQUIRE_LINK => {
                line.put(|out| pdu::alone(out, command::ENQUIRE_LINK_RESP, status::ESME_ROK, pdu.sequence));
            }
            command::ENQUIRE_LINK_RESP => return Taken::Answers(line.alive(pdu.sequence)),
            command::UNBIND => return Taken::Unbind,
            command::UNBIND_RESP => return Taken::Unbound,
            // Asks us to bind, which we are.
            command::OUTBIND => {}
            _ if pdu.is_response() => {
                tracing::debug!(command = pdu.command, "the SMSC answers what nobody asked");
            }
            _ => {
                line.put(|out| pdu::alone(out, command::GENERIC_NACK, status::ESME_RINVCMDID, pdu.sequence));
            }
        }
        Taken::Done
    }

    fn answered(&self, pdu: &Pdu) -> Option<u64> {
        // A refusal that says "ok" is one of a kind that nobody knows.
        let is_nack = pdu.command == command::GENERIC_NACK;
        let status = if is_nack && pdu.status == status::ESME_ROK {
            0xff
        } else {
            pdu.status
        };
        let answer = Answer::Response {
            status,
            message_id: Bytes::copy_from_slice(pdu.message_id()),
        };
        let place = self.connection.line.answer(pdu.sequence, answer);
        if place.is_some() {
            self.connection.shared.binds.freed();
        } else {
            tracing::debug!(
                bind = self.connection.line.name,
                "an answer came too late, or to nothing"
            );
        }
        place
    }

    fn deliver(&self, pdu: &Pdu, has_answer: bool) {
        let Connection {
            shared,
            line,
            host,
            number,
            refuses,
            in_hand,
        } = self.connection;
        let answer = has_answer.then_some((pdu.command, pdu.sequence));
        let refuse = |status: u32| {
            if let Some((command, sequence)) = answer {
                line.put(|out| pdu::response(out, command, status, sequence));
            }
        };
        // Without its answer it comes again, so nothing may be remembered of it.
        if refuses.load(Ordering::Acquire) {
            return refuse(status::ESME_RX_T_APPN);
        }
        if in_hand.load(Ordering::Acquire) >= MAX_IN_HAND {
            return refuse(status::ESME_RMSGQFUL);
        }
        let translator = Translator {
            account: &shared.account,
            settings: &shared.settings,
            arrivals: &shared.arrivals,
            bind: &line.name,
            connection: *number,
        };
        let translated = translator.translate(pdu, host.now());
        let arrival = translated.arrival;
        in_hand.fetch_add(1, Ordering::AcqRel);
        if self.deliveries.try_send(Delivery { translated, answer }).is_err() {
            in_hand.fetch_sub(1, Ordering::AcqRel);
            shared.arrivals.refused(arrival, host.now());
            refuse(status::ESME_RMSGQFUL);
        }
    }

    async fn told_to_leave(&self, sequence: u32) -> End {
        let line = self.connection.line;
        line.refuse_submits();
        line.put(|out| pdu::alone(out, command::UNBIND_RESP, status::ESME_ROK, sequence));
        self.written().await;
        End::Failed(retry("the SMSC ended the bind", UNBOUND_AFTER))
    }

    /// Where a PDU has no length, none can be found behind it.
    async fn nothing_can_follow(&self, problem: BadLength) -> End {
        let line = self.connection.line;
        line.put(|out| pdu::alone(out, command::GENERIC_NACK, status::ESME_RINVCMDLEN, problem.sequence));
        self.written().await;
        End::Failed(retry(&format!("the SMSC sent {problem}"), RETRY_AFTER))
    }

    async fn written(&self) {
        let waited = self.connection.host.sleep(super::UNBIND_WITHIN);
        futures_util::future::select(std::pin::pin!(self.connection.line.flushed()), waited).await;
    }
}

/// What a PDU leads to.
enum Taken {
    /// It answers what began at this place in what we wrote.
    Answers(Option<u64>),
    /// Nothing more.
    Done,
    /// The SMSC wants us to leave.
    Unbind,
    /// We may leave.
    Unbound,
}
