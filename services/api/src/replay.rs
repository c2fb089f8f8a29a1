//! ReplayService: puts what the journal kept on its way again. It does no harm to do so twice, so nothing is written down
//! about it: where it has come to is the caller's token.

use crate::{Api, problems};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use omnigate_core::port::broker::{From, LogEntry, LogReader, Publication};
use omnigate_core::protocol::replay::without_erased;
use omnigate_core::replay::{self, Found, Wanted};
use omnigate_core::shard::Partition;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::EventBatch;
use omnigate_proto::v1::{ReplayRequest, ReplayResponse};
use omnigate_rpc::error::Problem;
use omnigate_rpc::v1::replay_service_server::ReplayService;
use prost::Message as _;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Entries looked through before progress is told, each up to 512 events.
const ENTRIES: usize = 32;
/// Events after which no further entry is taken in.
const EVENTS: usize = 2048;
/// How long the broker may take for the next entry, of which there is one at least.
const PATIENCE: Duration = Duration::from_secs(30);
/// Times further ahead than clocks differ are a mistake.
const AHEAD: Duration = Duration::from_mins(10);
/// Most events of one message, and most bytes of them short of one larger event.
const MOST: usize = 256;
const MOST_BYTES: usize = 256 * 1024;

/// A replay under way.
struct Replaying {
    api: Api,
    wanted: Wanted,
    dry_run: bool,
    /// What binds the token to the request.
    query: Vec<u8>,
    marker: [u8; 16],
    reader: Option<Box<dyn LogReader>>,
    /// The entry that is next, where one was looked at.
    next: Option<u64>,
    told: ReplayResponse,
}

/// Events that were looked at together.
struct Lot {
    found: Vec<Found>,
    entries: u64,
    unreadable: u64,
    next: Option<u64>,
    is_last: bool,
}

#[tonic::async_trait]
impl ReplayService for Api {
    type ReplayStream = BoxStream<'static, Result<ReplayResponse, Status>>;

    async fn replay(&self, request: Request<ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let replaying = self.replaying(tenant_id, &request.into_inner()).await?;
        let steps = stream::try_unfold(Some(replaying), |replaying| async move {
            let Some(mut replaying) = replaying else {
                return Ok::<_, Status>(None);
            };
            let told = replaying.step().await?;
            let goes_on = !told.done;
            Ok(Some((told, goes_on.then_some(replaying))))
        });
        let stop = self.stop.clone();
        let stopped = async move { stop.requested().await };
        Ok(Response::new(steps.take_until(stopped).boxed()))
    }
}

impl Api {
    async fn replaying(&self, tenant_id: String, asked: &ReplayRequest) -> Result<Replaying, Problem> {
        let now = self.ports.clock.now();
        let kept = self.settings.copies.iter().find(|copies| copies.place == "journal");
        let kept = kept.ok_or_else(|| {
            let text = "no journal is kept: broker.journal_hours is 0";
            Problem::failed_precondition("JOURNAL_OFF", text)
        })?;
        let from = asked.from.as_ref().map(Moment::from_timestamp);
        let from = from.ok_or_else(|| Problem::invalid("from", "must be set"))?;
        let to = asked.to.as_ref().map_or(now, Moment::from_timestamp);
        if to > now + AHEAD || from >= to {
            return Err(Problem::invalid(
                "to",
                "must be later than `from`, and not in the future",
            ));
        }
        let wanted = Wanted {
            tenant_id,
            account_id: asked.account_id.clone(),
            from,
            to: to.min(now),
            originals_since: replay::originals_since(now, kept.kept),
        };
        let query = ReplayRequest {
            resume_token: String::new(),
            ..asked.clone()
        };
        let query = [wanted.tenant_id.as_bytes(), &query.encode_to_vec()].concat();
        let next = self.tokens.cursor(&[b"replay", &query], &asked.resume_token);
        let next = next.map_err(|_| Problem::invalid("resume_token", "is of another call or gateway"))?;
        let next = next.and_then(|offset| Some(u64::from_be_bytes(offset.try_into().ok()?)));
        let marker = self.ports.entropy.bytes();
        let end = self
            .broker
            .append(&topology::journal(), vec![replay::end(marker)])
            .await;
        end.into_iter().collect::<Result<Vec<()>, _>>().map_err(|error| {
            tracing::warn!(%error, "a replay could not be begun");
            unconfirmed()
        })?;
        // Content is not for logs; who asked for what is.
        tracing::info!(
            tenant = wanted.tenant_id,
            account = wanted.account_id,
            from_ms = wanted.from.0,
            to_ms = wanted.to.0,
            dry_run = asked.dry_run,
            resumed = next.is_some(),
            "a replay of the journal begins"
        );
        Ok(Replaying {
            api: self.clone(),
            wanted,
            dry_run: asked.dry_run,
            query,
            marker,
            reader: None,
            next,
            told: ReplayResponse::default(),
        })
    }
}

impl Replaying {
    /// Looks through some entries, and puts what is wanted of them on its way.
    async fn step(&mut self) -> Result<ReplayResponse, Problem> {
        let lot = self.read().await?;
        let context = self.api.ports.context();
        let (left, erased) = without_erased(&context, lot.found)
            .await
            .map_err(|error| problems::store(&error))?;
        let replayed = u64::try_from(left.len()).unwrap_or(u64::MAX);
        if !self.dry_run {
            publish(&self.api, left).await?;
        }
        self.next = lot.next;
        self.told = ReplayResponse {
            entries: self.told.entries + lot.entries,
            replayed: self.told.replayed + replayed,
            erased: self.told.erased + erased,
            unreadable: self.told.unreadable + lot.unreadable,
            resume_token: match self.next {
                Some(next) => self.api.tokens.token(&[b"replay", &self.query], &next.to_be_bytes()),
                None => String::new(),
            },
            done: lot.is_last,
        };
        if lot.is_last {
            let ReplayResponse {
                entries,
                replayed,
                erased,
                unreadable,
                ..
            } = self.told;
            tracing::info!(entries, replayed, erased, unreadable, "a replay of the journal is done");
        }
        Ok(self.told.clone())
    }

    async fn read(&mut self) -> Result<Lot, Problem> {
        let mut lot = Lot {
            found: Vec::new(),
            entries: 0,
            unreadable: 0,
            next: self.next,
            is_last: false,
        };
        for _ in 0..ENTRIES {
            if lot.found.len() >= EVENTS {
                break;
            }
            let entry = self.entry(lot.next).await?;
            lot.next = Some(entry.offset + 1);
            let Some(sorted) = replay::sort(&entry.body, &self.wanted, self.api.partitions, &self.marker) else {
                lot.is_last = true;
                break;
            };
            lot.entries += 1;
            lot.unreadable += sorted.unreadable;
            lot.found.extend(sorted.found);
        }
        Ok(lot)
    }

    async fn entry(&mut self, next: Option<u64>) -> Result<LogEntry, Problem> {
        let silent = || Problem::unavailable("BROKER_SILENT", "the broker does not answer; go on with the last token");
        let read = async {
            // A reader that ended, because the connection did, is begun again once.
            for _ in 0..2 {
                if self.reader.is_none() {
                    let from = next.map_or(From::Oldest, From::Offset);
                    let reader = self.api.broker.read(&topology::journal(), from).await;
                    self.reader = Some(reader.map_err(|_| silent())?);
                }
                let reader = self.reader.as_mut().ok_or_else(silent)?;
                match reader.next().await {
                    Some(entry) => return Ok(entry),
                    None => self.reader = None,
                }
            }
            Err(silent())
        };
        tokio::time::timeout(PATIENCE, read).await.map_err(|_| silent())?
    }
}

/// In their order, those of one partition in one message.
async fn publish(api: &Api, events: Vec<Found>) -> Result<(), Problem> {
    let mut batches: Vec<(Partition, usize, EventBatch)> = Vec::new();
    for Found { partition, stamped, .. } in events {
        let last = batches.iter_mut().rev().find(|(of, ..)| *of == partition);
        let room = last.filter(|(_, bytes, batch)| batch.events.len() < MOST && *bytes < MOST_BYTES);
        match room {
            Some((_, bytes, batch)) => {
                *bytes += stamped.event.len();
                batch.events.push(stamped);
            }
            None => batches.push((partition, stamped.event.len(), EventBatch { events: vec![stamped] })),
        }
    }
    let publication = |(partition, _, batch): (Partition, usize, EventBatch)| Publication {
        queue: topology::inbound(partition),
        body: batch.encode_to_vec().into(),
        traceparent: String::new(),
    };
    let publications: Vec<Publication> = batches.into_iter().map(publication).collect();
    for answer in api.broker.publish(publications).await {
        answer.map_err(|error| {
            tracing::warn!(%error, "a replay was interrupted");
            unconfirmed()
        })?;
    }
    Ok(())
}

fn unconfirmed() -> Problem {
    let text = "the broker did not confirm; go on with the last token";
    Problem::unavailable("BROKER_UNCONFIRMED", text)
}
