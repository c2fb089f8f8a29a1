//! Holds one bind: connects, binds, reads and writes until the connection ends or the host says stop.

mod reading;

use super::binds::{Binds, TICK, ticks};
use super::inbound::Translated;
use super::line::{Line, Times};
use super::pdu::{self, Bind, Pdu, command};
use super::settings::SmppSettings;
use super::status;
use crate::texting::arrivals::Arrivals;
use bytes::BytesMut;
use futures_util::future::{Either, select};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Session, SessionError, SessionHost, Stream, TransportError};
use omnigate_proto::v1::Event;
use prost::Message as _;
use reading::Reader;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// After a failure that may pass by itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After the SMSC refused the bind for a reason of its own.
const REFUSED_AFTER: Duration = Duration::from_secs(10);
/// How long unanswered submits are waited for before unbinding.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// How long the answer to `unbind` is waited for, and the last octets are written.
const UNBIND_WITHIN: Duration = Duration::from_millis(800);
/// Deliveries that wait to be pushed; beyond them the SMSC is asked to come again.
const MAX_IN_HAND: usize = 1_000;
/// What one push holds at most; well within the contract's 1,000 events and 4 MiB.
const MAX_EVENTS: usize = 500;
const MAX_BYTES: usize = 1024 * 1024;
/// Octets read at once, at least.
const READ: usize = 16 * 1024;

/// What the sessions of an account share.
pub(super) struct Shared {
    pub(super) account: Account,
    pub(super) settings: SmppSettings,
    pub(super) binds: Arc<Binds>,
    pub(super) arrivals: Arrivals,
    /// Number of the next connection.
    pub(super) connections: AtomicU64,
}

/// The session of one bind.
pub(super) struct BindSession {
    shared: Arc<Shared>,
    index: usize,
}

/// A delivery that waits to be pushed.
struct Delivery {
    translated: Translated,
    /// Command and sequence number to answer; `None` for what has no answer.
    answer: Option<(u32, u32)>,
}

/// One connection that is bound.
struct Connection<'a> {
    shared: &'a Shared,
    line: &'a Line,
    host: &'a dyn SessionHost,
    number: u64,
    /// Deliveries are refused: nothing can be pushed, or the bind is being given up.
    refuses: AtomicBool,
    in_hand: AtomicUsize,
}

/// Ends the connection of a line, also when the session is cut in the middle of whatever it does.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.line.close();
        self.shared.arrivals.ended(self.number, self.host.now());
        self.shared.binds.changed();
    }
}

/// How the work on a connection ended.
enum End {
    /// The SMSC answered our `unbind`.
    Unbound,
    /// It cannot go on.
    Failed(SessionError),
}

impl BindSession {
    pub(super) const fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self { shared, index }
    }
}

#[async_trait::async_trait]
impl Session for BindSession {
    async fn run(&self, host: &dyn SessionHost) -> Result<(), SessionError> {
        let shared = &*self.shared;
        let line = shared.binds.lines.get(self.index);
        let (Some(line), Ok(settings)) = (line, shared.settings.need_bind()) else {
            return Err(SessionError::Misconfigured("there is no such bind".to_owned()));
        };
        let opening = async {
            let mut stream = host.dial(&settings.place).await.map_err(not_connected)?;
            let request = Bind {
                command: match (line.transmits, line.receives) {
                    (true, true) => command::BIND_TRANSCEIVER,
                    (true, false) => command::BIND_TRANSMITTER,
                    (false, _) => command::BIND_RECEIVER,
                },
                system_id: &settings.system_id,
                password: settings.password.expose(),
                system_type: &settings.system_type,
                ton: settings.range.ton.unwrap_or(0),
                npi: settings.range.npi.unwrap_or(0),
                address_range: &settings.address_range,
            };
            let bound = match select(pin!(bind(&mut *stream, &request)), host.sleep(settings.bind_within)).await {
                Either::Left((bound, _)) => bound,
                Either::Right(_) => Err(retry("the SMSC does not answer the bind", RETRY_AFTER)),
            };
            bound.map(|buffer| (stream, buffer))
        };
        let (stream, buffer) = match select(host.stopped(), pin!(opening)).await {
            Either::Left(_) => return Ok(()),
            Either::Right((opened, _)) => opened?,
        };
        line.open(shared.settings.window, BIND_SEQUENCE);
        let connection = Connection {
            shared,
            line,
            host,
            number: shared.connections.fetch_add(1, Ordering::Relaxed),
            refuses: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
        };
        tracing::info!(account_id = shared.account.id, bind = line.name, "bound");
        shared.binds.changed();
        connection.hold(stream, buffer).await
    }
}

const BIND_SEQUENCE: u32 = 1;

/// Binds; what was read behind the answer.
async fn bind(stream: &mut dyn Stream, request: &Bind<'_>) -> Result<BytesMut, SessionError> {
    let lost = |error: std::io::Error| retry(&format!("the connection ended while binding: {error}"), RETRY_AFTER);
    let mut out = BytesMut::new();
    request.write(&mut out, BIND_SEQUENCE);
    stream.write_all(&out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        while let Some(pdu) = pdu::next(&mut buffer).map_err(|problem| retry(&problem.to_string(), REFUSED_AFTER))? {
            if let Some(outcome) = bind_outcome(&pdu, request.command) {
                return outcome.map(|()| buffer);
            }
            // Some ask whether we are there before they say that we are in.
            if !pdu.is_response() {
                out.clear();
                match pdu.command {
                    command::ENQUIRE_LINK => pdu::alone(&mut out, command::ENQUIRE_LINK_RESP, 0, pdu.sequence),
                    command::DELIVER_SM | command::DATA_SM => {
                        pdu::response(&mut out, pdu.command, status::ESME_RINVBNDSTS, pdu.sequence);
                    }
                    _ => continue,
                }
                stream.write_all(&out).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
            }
        }
        if stream.read_buf(&mut buffer).await.map_err(lost)? == 0 {
            return Err(retry(
                "the SMSC closed the connection instead of binding",
                REFUSED_AFTER,
            ));
        }
    }
}

/// Whether a PDU answers the bind, and how.
fn bind_outcome(pdu: &Pdu, request: u32) -> Option<Result<(), SessionError>> {
    if pdu.command != request | command::RESPONSE && pdu.command != command::GENERIC_NACK {
        return None;
    }
    let is_nack = pdu.command == command::GENERIC_NACK;
    let told = format!("{} ({})", status::name(pdu.status), status::code(pdu.status));
    Some(match pdu.status {
        status::ESME_ROK if !is_nack => Ok(()),
        status::ESME_RINVPASWD | status::ESME_RINVSYSID | status::ESME_RINVSYSTYP => Err(SessionError::Misconfigured(
            format!("the SMSC refuses system_id, password or system_type: {told}"),
        )),
        status::ESME_RINVCMDID => Err(SessionError::Misconfigured(format!(
            "the SMSC does not know this kind of bind, try bind = \"transmitter_receiver\": {told}"
        ))),
        // It may be our own predecessor, whose connection the SMSC has not given up yet.
        status::ESME_RALYBND | status::ESME_RBINDFAIL | status::ESME_RTHROTTLED => {
            Err(retry(&format!("the SMSC refuses the bind: {told}"), REFUSED_AFTER))
        }
        _ => Err(retry(&format!("the SMSC refuses the bind: {told}"), REFUSED_AFTER)),
    })
}

impl Connection<'_> {
    /// Works until the connection ends or the session is stopped.
    async fn hold(&self, stream: Box<dyn Stream>, buffer: BytesMut) -> Result<(), SessionError> {
        let (input, output) = tokio::io::split(stream);
        let (deliveries, waiting) = mpsc::channel(MAX_IN_HAND);
        let reader = Reader {
            connection: self,
            deliveries,
        };
        let mut work = pin!(async {
            tokio::select! {
                end = reader.read(input, buffer) => end,
                end = self.write(output) => end,
                end = self.keep_time() => end,
            }
        });
        let mut pushing = pin!(self.push(waiting));
        let outcome = tokio::select! {
            end = &mut work => return end.failure(),
            () = self.host.stopped() => Ok(()),
            error = &mut pushing => Err(error),
        };
        self.line.refuse_submits();
        self.shared.binds.changed();
        let pushes_failed = outcome.is_err();
        let leave = self.leave();
        tokio::select! {
            _ = work => {}
            () = leave => {}
            () = async {
                if !pushes_failed {
                    pushing.await;
                }
                std::future::pending::<()>().await;
            } => {}
        }
        outcome
    }

    /// Gives the bind up: what is under way may end, nothing new begins.
    async fn leave(&self) {
        let under_way = async {
            self.line.answered().await;
            while self.in_hand.load(Ordering::Acquire) > 0 {
                self.host.sleep(TICK / 10).await;
            }
        };
        select(pin!(under_way), self.host.sleep(DRAIN_WITHIN)).await;
        self.refuses.store(true, Ordering::Release);
        self.line.request(command::UNBIND);
        self.host.sleep(UNBIND_WITHIN).await;
    }

    async fn write(&self, mut output: impl AsyncWrite + Unpin) -> End {
        loop {
            let octets = self.line.next_write().await;
            let written = async {
                output.write_all(&octets).await?;
                output.flush().await
            };
            if let Err(error) = written.await {
                return End::lost(&error);
            }
            self.line.wrote();
        }
    }

    async fn keep_time(&self) -> End {
        let settings = &self.shared.settings;
        let times = Times {
            response: ticks(settings.response_within),
            enquire: ticks(settings.enquire_after),
        };
        let second = ticks(Duration::from_secs(1));
        let mut tick = 0;
        loop {
            self.host.sleep(TICK).await;
            tick += 1;
            let ticked = self.line.tick(times);
            if ticked.expired > 0 {
                let (account_id, bind, count) = (&self.shared.account.id, &self.line.name, ticked.expired);
                tracing::warn!(account_id, bind, count, "the SMSC did not answer submits in time");
            }
            if ticked.expired > 0 || tick % second == 0 {
                self.shared.binds.changed();
            }
            if ticked.is_dead {
                return End::Failed(retry("the SMSC does not answer enquire_link", RETRY_AFTER));
            }
        }
    }

    /// Pushes what waits, in order, and answers it. Ends when something could not be pushed: it and all that waits is
    /// refused, so that the SMSC comes again.
    async fn push(&self, mut waiting: mpsc::Receiver<Delivery>) -> SessionError {
        let mut gathered = Vec::new();
        loop {
            if waiting.recv_many(&mut gathered, MAX_EVENTS / 2).await == 0 {
                // The reader is gone; so is the connection.
                std::future::pending::<()>().await;
            }
            let mut rest = gathered.drain(..).peekable();
            while rest.peek().is_some() {
                let (deliveries, events) = one_push(&mut rest);
                if let Err(error) = self.host.push(events).await {
                    self.refuses.store(true, Ordering::Release);
                    let all = deliveries.into_iter().chain(rest);
                    all.for_each(|delivery| self.refuse(&delivery));
                    while let Ok(delivery) = waiting.try_recv() {
                        self.refuse(&delivery);
                    }
                    return retry(&error.to_string(), RETRY_AFTER);
                }
                for delivery in &deliveries {
                    self.acknowledge(delivery);
                }
            }
        }
    }

    fn acknowledge(&self, delivery: &Delivery) {
        let end = delivery.answer.map_or(0, |(command, sequence)| {
            let write = |out: &mut BytesMut| pdu::response(out, command, status::ESME_ROK, sequence);
            self.line.put(write)
        });
        let arrival = delivery.translated.arrival;
        self.shared
            .arrivals
            .acknowledged(arrival, self.number, end, self.host.now());
        self.in_hand.fetch_sub(1, Ordering::AcqRel);
    }

    fn refuse(&self, delivery: &Delivery) {
        if let Some((command, sequence)) = delivery.answer {
            let write = |out: &mut BytesMut| pdu::response(out, command, status::ESME_RX_T_APPN, sequence);
            self.line.put(write);
        }
        let arrival = delivery.translated.arrival;
        self.shared.arrivals.refused(arrival, self.host.now());
        self.in_hand.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Deliveries of one push, and their events.
fn one_push(waiting: &mut std::iter::Peekable<std::vec::Drain<'_, Delivery>>) -> (Vec<Delivery>, Vec<Event>) {
    let (mut deliveries, mut events, mut bytes): (Vec<Delivery>, Vec<Event>, usize) = (Vec::new(), Vec::new(), 0);
    while let Some(delivery) = waiting.peek_mut() {
        let size: usize = delivery.translated.events.iter().map(Event::encoded_len).sum();
        let is_full = events.len() + delivery.translated.events.len() > MAX_EVENTS || bytes + size > MAX_BYTES;
        if is_full && !deliveries.is_empty() {
            break;
        }
        bytes += size;
        events.append(&mut delivery.translated.events);
        deliveries.extend(waiting.next());
    }
    (deliveries, events)
}

impl End {
    fn lost(error: &std::io::Error) -> Self {
        Self::Failed(retry(&format!("the connection ended: {error}"), RETRY_AFTER))
    }

    fn failure(self) -> Result<(), SessionError> {
        match self {
            Self::Unbound => Err(retry("the SMSC ended the bind", RETRY_AFTER)),
            Self::Failed(error) => Err(error),
        }
    }
}

fn not_connected(error: TransportError) -> SessionError {
    match error {
        TransportError::Forbidden(_) => SessionError::Misconfigured(format!("host: {error}")),
        TransportError::NotSent(_) | TransportError::Ambiguous(_) => retry(&error.to_string(), RETRY_AFTER),
    }
}

fn retry(problem: &str, after: Duration) -> SessionError {
    SessionError::Retry {
        problem: problem.to_owned(),
        after,
    }
}
