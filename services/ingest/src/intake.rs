//! Reads a push: which events are taken, which are refused or parked, and which line each one takes.

use crate::{gate::Load, metrics::Metrics, settings::Settings, turned_away::TurnedAway};
use bytes::Bytes;
use omnigate_core::{
    account::{Account, Directory},
    event::{Incoming, Taken},
    id::ParkedId,
    partition,
    shard::Partition,
    time::Moment,
    trace::TraceContext,
};
use omnigate_proto::{
    state::v1::{EventBatch, Parked, RawBatch, Stamped},
    v1::{Event, ParkedItem, PushRequest, PushResult, PushStatus, RawRequest},
};
use omnigate_rpc::push::{Push, WirePush};
use prost::{DecodeError, Message as _};
use std::collections::BTreeMap;

/// Longest account id.
const MAX_ACCOUNT_ID: usize = 64;

/// Which line a group takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Way {
    /// To the queue of a partition.
    Inbound(Partition),
    /// To the parked queue.
    Parked,
    /// To the log of raw requests.
    Raw,
}

/// Encoded batch messages for one line, each small enough for one message to the broker.
#[derive(Debug, Default)]
pub(crate) struct Bodies(pub(crate) Vec<(Bytes, Load)>);

/// A push, read.
#[derive(Debug)]
pub(crate) struct Sorted {
    /// One answer an event; true once everything below is confirmed.
    pub(crate) results: Vec<PushResult>,
    /// What goes where.
    pub(crate) ways: BTreeMap<Way, Bodies>,
    /// All of it together.
    pub(crate) load: Load,
    /// How many events of which channel ended how.
    pub(crate) tally: BTreeMap<(String, PushStatus), u64>,
}

/// Who pushes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pusher {
    /// The only tenant whose accounts exist for it; `None` for all.
    pub(crate) tenant: Option<String>,
    /// The only account it may push for; `None` for all.
    pub(crate) account: Option<String>,
}

/// What reading a push needs.
pub(crate) struct Intake<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) settings: &'a Settings,
    pub(crate) metrics: &'a Metrics,
    pub(crate) now: Moment,
    pub(crate) trace: TraceContext,
    pub(crate) pusher: &'a Pusher,
}

impl Intake<'_> {
    /// Reads a push. Nothing has happened yet when it is turned away.
    pub(crate) fn sort(&self, request: Push) -> Result<Sorted, TurnedAway> {
        let (events, raw) = read(request);
        if let Some(own) = &self.pusher.account
            && let Some(foreign) = events.iter().flatten().find(|event| event.event().account_id != *own)
        {
            let foreign = &foreign.event().account_id;
            return Err(TurnedAway::ForeignAccount(
                foreign.chars().take(MAX_ACCOUNT_ID).collect(),
            ));
        }
        let mut inbound: BTreeMap<Partition, Vec<Stamped>> = BTreeMap::new();
        let mut parked = Bodies::default();
        let mut results = Vec::with_capacity(events.len());
        let mut tally: BTreeMap<(String, PushStatus), u64> = BTreeMap::new();
        for event in events {
            let (channel, result) = self.one(event, &mut inbound, &mut parked);
            *tally.entry((channel.to_owned(), result.status())).or_default() += 1;
            results.push(result);
        }
        let mut ways = BTreeMap::new();
        for (partition, events) in inbound {
            ways.insert(Way::Inbound(partition), self.batches(events));
        }
        if !parked.0.is_empty() {
            ways.insert(Way::Parked, parked);
        }
        if self.settings.keep_raw && !raw.is_empty() {
            ways.insert(Way::Raw, self.raw(&raw));
        }
        let load = ways
            .values()
            .flat_map(|bodies| &bodies.0)
            .fold(Load::default(), |sum, (_, load)| Load {
                events: sum.events + load.events,
                bytes: sum.bytes + load.bytes,
            });
        Ok(Sorted {
            results,
            ways,
            load,
            tally,
        })
    }

    /// Takes, parks or refuses an event; also says on which channel it came.
    fn one(
        &self,
        event: Result<Incoming, DecodeError>,
        inbound: &mut BTreeMap<Partition, Vec<Stamped>>,
        parked: &mut Bodies,
    ) -> (&str, PushResult) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "what was pushed is no event and was refused");
                return ("", refused(&format!("event: cannot be decoded: {error}")));
            }
        };
        let account = self.account(event.event());
        let result = match account {
            _ if !is_account_id(&event.event().account_id) => {
                refused("account_id: must be 1 to 64 of a-z, 0-9, - and _")
            }
            Some(account) => self.take(event, account, inbound),
            None => self.park(&event, parked),
        };
        (account.map_or("", |account| &account.channel), result)
    }

    /// The account of an event, unless it is not the pusher's: another tenant's account looks like one that is not there.
    fn account(&self, event: &Event) -> Option<&Account> {
        let account = self.directory.accounts.get(&event.account_id)?;
        let foreign = self
            .pusher
            .tenant
            .as_ref()
            .is_some_and(|tenant| *tenant != account.tenant_id);
        (!foreign).then_some(account)
    }

    fn take(&self, event: Incoming, account: &Account, inbound: &mut BTreeMap<Partition, Vec<Stamped>>) -> PushResult {
        match event.normalise(account, self.now, &self.trace.trace_id()) {
            Err(refusal) => {
                tracing::warn!(account = %account.id, field = refusal.field, problem = refusal.problem, "event refused");
                refused(&refusal.to_string())
            }
            Ok(Taken {
                event,
                bytes,
                normalised,
            }) => {
                if normalised.identifiers_removed > 0 {
                    self.metrics
                        .identifiers_removed(&account.channel, normalised.identifiers_removed);
                }
                let partition = partition::of(&event, self.settings.partitions);
                inbound.entry(partition).or_default().push(Stamped {
                    event: bytes,
                    received_at_ms: self.now.0,
                    traceparent: self.traceparent(&event),
                    ..Stamped::default()
                });
                PushResult {
                    event_id: event.event_id,
                    status: PushStatus::Accepted.into(),
                    problem: String::new(),
                }
            }
        }
    }

    /// Keeps an event whose account nobody knows, exactly as it came.
    fn park(&self, event: &Incoming, parked: &mut Bodies) -> PushResult {
        let (event, body) = (event.event(), event.bytes());
        let received_at = event.received_at.as_ref().map_or(self.now, Moment::from_timestamp);
        let parked_id = ParkedId::new(received_at.min(self.now), &body).to_string();
        tracing::warn!(
            account = event.account_id,
            parked_id,
            "event of an unknown account parked"
        );
        let item = ParkedItem {
            parked_id: parked_id.clone(),
            tenant_id: self.pusher.tenant.clone().unwrap_or_default(),
            reason: "unknown_account".to_owned(),
            detail: "no account of this id is configured; replay the item once it is".to_owned(),
            parked_at: Some(self.now.to_timestamp()),
            origin: "ingest".to_owned(),
            trace_id: self.trace.trace_id(),
            account_id: event.account_id.clone(),
            event: Some(event.clone()),
            body,
            ..ParkedItem::default()
        };
        let item = Parked {
            item: item.encode_to_vec().into(),
        };
        parked.0.push(encoded(&item, 1));
        PushResult {
            event_id: parked_id,
            status: PushStatus::Parked.into(),
            problem: String::new(),
        }
    }

    /// The trace goes on under the event's own id, also where one push carries several traces.
    fn traceparent(&self, event: &Event) -> String {
        if event.trace_id == self.trace.trace_id() {
            return self.trace.to_string();
        }
        format!("00-{}-{}-01", event.trace_id, self.trace.span_id())
    }

    fn batches(&self, events: Vec<Stamped>) -> Bodies {
        let pieces = pieces(events, self.settings, |event| event.event.len());
        Bodies(
            pieces
                .into_iter()
                .map(|events| {
                    let count = events.len();
                    encoded(&EventBatch { events }, count)
                })
                .collect(),
        )
    }

    fn raw(&self, requests: &[RawRequest]) -> Bodies {
        let requests: Vec<Bytes> = requests.iter().map(|request| request.encode_to_vec().into()).collect();
        let pieces = pieces(requests, self.settings, Bytes::len);
        Bodies(
            pieces
                .into_iter()
                .map(|requests| {
                    let count = requests.len();
                    encoded(&RawBatch { requests }, count)
                })
                .collect(),
        )
    }
}

/// The events of a push, and the raw requests beside them.
fn read(request: Push) -> (Vec<Result<Incoming, DecodeError>>, Vec<RawRequest>) {
    match request {
        Push::Typed(PushRequest { events, raw }) => (events.into_iter().map(|event| Ok(event.into())).collect(), raw),
        Push::Wire(WirePush { events, raw }) => (events.into_iter().map(Incoming::read).collect(), raw),
    }
}

/// Cuts a list so that every piece fits into one message, unless a single element does not.
fn pieces<T>(elements: Vec<T>, settings: &Settings, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut pieces: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for element in elements {
        let more = size(&element);
        match pieces.last_mut() {
            Some(piece) if piece.len() < settings.batch_events && bytes + more <= settings.batch_bytes => {
                bytes += more;
                piece.push(element);
            }
            _ => {
                bytes = more;
                pieces.push(vec![element]);
            }
        }
    }
    pieces
}

fn encoded(message: &impl prost::Message, events: usize) -> (Bytes, Load) {
    let body: Bytes = message.encode_to_vec().into();
    let load = Load {
        events,
        bytes: body.len(),
    };
    (body, load)
}

fn is_account_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=MAX_ACCOUNT_ID).contains(&id.len()) && id.bytes().all(allowed)
}

fn refused(problem: &str) -> PushResult {
    PushResult {
        event_id: String::new(),
        status: PushStatus::Refused.into(),
        problem: problem.to_owned(),
    }
}
