//! Imports: rows come in a stream and are taken in batches, while what the batch before brought about is told.

use super::not_done;
use crate::{Api, problems};
use futures_util::future::join;
use omnigate_core::audience::MAX_IMPORT_ID;
use omnigate_core::id::AudienceId;
use omnigate_core::protocol::audience::{Batch, Session};
use omnigate_core::protocol::outbox::Outgoing;
use omnigate_core::protocol::publish::publish;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::ImportRecord;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::{Import, ImportAudienceRequest, ImportAudienceResponse, ImportRow, ImportStart};
use omnigate_rpc::deadline::Deadline;
use omnigate_rpc::error::Problem;
use omnigate_rpc::trace;
use prost::Message as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

/// Rows of a batch: the more, the fewer commits each shard has.
const BATCH: usize = 4_096;
/// Bytes of a batch, short of one message.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most rows of a message.
const MAX_ROWS: usize = 5_000;
/// A call that has no time limit of its own is answered after so long.
const NO_LIMIT: Duration = Duration::from_secs(60);

impl Api {
    /// Takes the rows of a call, as many as its time allows.
    pub(super) async fn import(
        &self,
        tenant_id: &str,
        limit: Option<Deadline>,
        mut stream: Streaming<ImportAudienceRequest>,
    ) -> Result<ImportAudienceResponse, Problem> {
        // Half of the time is for what is under way when no more is taken.
        let half = limit.map_or(NO_LIMIT, |limit| limit.remaining() / 2);
        let until = Instant::now() + half;
        let start = match next(&mut stream).await? {
            Some(Part::Start(start)) => start,
            _ => return Err(Problem::invalid("part", "the first message must be start")),
        };
        let mut session = self.begin(tenant_id, &start).await?;
        // Checked while the batch before is taken; ends with this call.
        let (sender, mut batches) = mpsc::channel(1);
        let mut reading = JoinSet::new();
        reading.spawn(read(stream, self.clone(), tenant_id.to_owned(), sender));
        let (mut told, mut complete) = (Vec::new(), false);
        while !complete && Instant::now() < until {
            let Ok(batch) = timeout_at(until, batches.recv()).await else {
                break;
            };
            let Some(batch) = batch.transpose()? else {
                complete = true;
                break;
            };
            let mut outgoing = Vec::new();
            let context = self.context();
            let before = self.publish(std::mem::take(&mut told));
            let (taken, ()) = join(session.take(&context, &batch, &mut outgoing), before).await;
            told = outgoing;
            if let Err(refused) = taken {
                self.publish(told).await;
                return Err(not_done(&refused));
            }
        }
        self.publish(told).await;
        if complete {
            let finished = session.finish(&self.context()).await;
            finished.map_err(|refused| not_done(&refused))?;
        }
        Ok(ImportAudienceResponse {
            import: Some(to_import(session.record())),
            complete,
        })
    }

    async fn begin(&self, tenant_id: &str, start: &ImportStart) -> Result<Session, Problem> {
        let audience: AudienceId = problems::id("start.audience_id", &start.audience_id)?;
        let id = start.import_id.as_str();
        if id.is_empty() || id.chars().count() > MAX_IMPORT_ID {
            let text = format!("must have 1 to {MAX_IMPORT_ID} characters");
            return Err(Problem::invalid("start.import_id", text));
        }
        let trace_id = trace::next(trace::current()).trace_id();
        let how = (id, start.merge_customers);
        let begun = Session::begin(&self.context(), (tenant_id, audience), how, &trace_id).await;
        begun.map_err(|refused| not_done(&refused))
    }

    /// Tells what a batch brought about. What is not confirmed stands in the outbox.
    async fn publish(&self, outgoing: Vec<Outgoing>) {
        if !outgoing.is_empty() {
            publish(self.broker.as_ref(), &self.ports.outbox, self.partitions, outgoing).await;
        }
    }
}

/// Reads and checks batches until the stream ends, goes wrong, or nobody wants them any more.
async fn read(
    mut stream: Streaming<ImportAudienceRequest>,
    api: Api,
    tenant_id: String,
    batches: mpsc::Sender<Result<Batch, Problem>>,
) {
    let rules = api.ports.tenants.of(&tenant_id);
    loop {
        let gathered = gather(&mut stream).await;
        let (batch, is_last) = match gathered {
            Ok((rows, is_last)) => (Batch::new(&rows, rules).map_err(|refused| not_done(&refused)), is_last),
            Err(problem) => (Err(problem), true),
        };
        let is_wrong = batch.is_err();
        if batches.send(batch).await.is_err() || is_wrong || is_last {
            return;
        }
    }
}

async fn next(stream: &mut Streaming<ImportAudienceRequest>) -> Result<Option<Part>, Problem> {
    let message = stream.message().await.map_err(|status| broken(&status))?;
    let part = message.map(|message| message.part);
    part.map_or(Ok(None), |part| {
        let part = part.ok_or_else(|| Problem::invalid("part", "start or rows must be set"))?;
        Ok(Some(part))
    })
}

fn broken(status: &Status) -> Problem {
    match status.code() {
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => {
            Problem::invalid("part", "the message is too large: send fewer rows")
        }
        _ => Problem::aborted(
            "IMPORT_BROKEN_OFF",
            "the stream broke off; GetImport says where to go on",
        ),
    }
}

/// Rows for a batch, and whether they are the last ones.
async fn gather(stream: &mut Streaming<ImportAudienceRequest>) -> Result<(Vec<ImportRow>, bool), Problem> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        match next(stream).await? {
            None => return Ok((batch, true)),
            Some(Part::Start(_)) => return Err(Problem::invalid("part", "only the first message is start")),
            Some(Part::Rows(rows)) if rows.rows.len() > MAX_ROWS => {
                return Err(Problem::invalid("rows", format!("at most {MAX_ROWS} a message")));
            }
            Some(Part::Rows(rows)) => {
                bytes += rows.encoded_len();
                batch.extend(rows.rows);
            }
        }
    }
    Ok((batch, false))
}

/// An import as readers see it.
pub(super) fn to_import(record: &ImportRecord) -> Import {
    let audience = AudienceId::from_bytes(&record.audience);
    let finished = (record.finished_ms > 0).then(|| Moment(record.finished_ms).to_timestamp());
    Import {
        audience_id: audience.map(|id| id.to_string()).unwrap_or_default(),
        import_id: record.import_id.clone(),
        began_at: Some(Moment(record.began_ms).to_timestamp()),
        updated_at: Some(Moment(record.updated_ms).to_timestamp()),
        finished_at: finished,
        next_row: record.next_row,
        created: record.created,
        updated: record.updated,
        unchanged: record.unchanged,
        failed: record.failed,
        merge_customers: record.merge_customers,
        problems: record.problems,
    }
}
