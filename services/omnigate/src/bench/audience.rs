//! `omnigate bench audience`: rows of a file that are imported over gRPC as `audience import` sends them, until the answer:
//! then every row is durable and counted, and what came to be is told.

use super::gateway::{Gateway, roles};
use super::progress::Progress;
use super::resident;
use super::servers::Servers;
use super::table::{self, Line, median};
use crate::cli::BenchAudience;
use anyhow::Context as _;
use futures_util::stream;
use omnigate_core::port::Clock as _;
use omnigate_proto::v1::create_audience_request::Kind;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::{
    AudienceList, CreateAudienceRequest, Identifier, Import, ImportAudienceRequest, ImportRow, ImportRows, ImportStart,
};
use omnigate_rpc::client::Connection;
use omnigate_runtime::clock::SystemClock;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Rows of a call and of a message, as the command line sends them.
const CALL: u64 = 16_000;
const MESSAGE: u64 = 1_000;
/// Mobile numbers of one operator: nine digits of which the first two stand.
const NUMBERS: u64 = 10_000_000;

/// One round.
#[derive(Clone, Default, Debug, Serialize)]
struct Round {
    /// Rows per second of people whom nobody knows.
    new: f64,
    /// Rows per second of the same people, by another import.
    known: f64,
    /// Resident memory at the end, in MiB.
    resident_mib: f64,
}

/// What was measured.
#[derive(Serialize)]
struct Figures {
    servers: &'static str,
    rows: u64,
    rounds: Vec<Round>,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchAudience) -> anyhow::Result<()> {
    let servers = Servers::new(&arguments.broker, &arguments.store)?;
    let mut figures = Figures {
        servers: servers.told(),
        rows: arguments.rows,
        rounds: Vec::new(),
    };
    let mut progress = Progress::new(usize::try_from(arguments.rounds * 2)?, Duration::from_secs(10));
    let gateway = Gateway::start_for_api(servers, &roles(false, false)).await?;
    let connection = gateway.connection(0)?;
    // Numbers that no earlier run took, as far as they go.
    let run = SystemClock.now().0.unsigned_abs() / 1000;
    for number in 0..arguments.rounds {
        let audience_id = list(connection, run, number).await?;
        let first = (run + number * arguments.rows) % NUMBERS;
        let mut round = Round::default();
        progress.step("rows of people whom nobody knows");
        let (rate, import) = imported(connection, &audience_id, "new", (first, arguments.rows)).await?;
        anyhow::ensure!(import.created == arguments.rows, "not all rows are new: {import:?}");
        round.new = rate;
        progress.step("the same rows by another import");
        let (rate, import) = imported(connection, &audience_id, "known", (first, arguments.rows)).await?;
        anyhow::ensure!(import.unchanged == arguments.rows, "not all rows are known: {import:?}");
        round.known = rate;
        round.resident_mib = resident()?;
        figures.rounds.push(round);
    }
    drop(progress);
    gateway.stop().await?;
    let of = |figure: fn(&Round) -> f64| median(figures.rounds.iter().map(figure));
    let lines = [
        Line::new("rows, new customers", of(|round| round.new), "rows/s").above(10_000.0),
        Line::new("rows, known customers", of(|round| round.known), "rows/s"),
        Line::new("resident memory", of(|round| round.resident_mib), "MiB"),
    ];
    let title = format!(
        "imports into an audience, {}, {} rows of one phone number in national form",
        figures.servers, figures.rows
    );
    table::print(arguments.output, &title, &figures, &lines)
}

pub(super) async fn list(connection: &Connection, run: u64, round: u64) -> anyhow::Result<String> {
    let asked = CreateAudienceRequest {
        display_name: format!("bench {run} {round}"),
        kind: Some(Kind::List(AudienceList {})),
        request_id: format!("bench-{run}-{round}"),
        ..CreateAudienceRequest::default()
    };
    let made = connection.audiences().create_audience(asked).await?.into_inner();
    Ok(made.audience.context("no audience")?.audience_id)
}

/// Imports rows; how many a second. The messages of a call are made before its time counts.
pub(super) async fn imported(
    connection: &Connection,
    audience_id: &str,
    import_id: &str,
    (first, rows): (u64, u64),
) -> anyhow::Result<(f64, Import)> {
    let start = ImportStart {
        audience_id: audience_id.to_owned(),
        import_id: import_id.to_owned(),
        merge_customers: false,
    };
    let mut took = Duration::ZERO;
    let mut import = Import::default();
    let mut from = 1;
    while from <= rows {
        let until = (from + CALL).min(rows + 1);
        let messages = call(&start, first, from..until);
        let begin = Instant::now();
        let answer = connection.audiences().import_audience(stream::iter(messages)).await?;
        took += begin.elapsed();
        let answer = answer.into_inner();
        import = answer.import.context("no import")?;
        from = import.next_row;
    }
    #[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
    let rate = rows as f64 / took.as_secs_f64();
    Ok((rate, import))
}

fn call(start: &ImportStart, first: u64, rows: std::ops::Range<u64>) -> Vec<ImportAudienceRequest> {
    let mut messages = vec![ImportAudienceRequest {
        part: Some(Part::Start(start.clone())),
    }];
    let mut from = rows.start;
    while from < rows.end {
        let until = (from + MESSAGE).min(rows.end);
        let rows = (from..until).map(|number| row(number, first)).collect();
        messages.push(ImportAudienceRequest {
            part: Some(Part::Rows(ImportRows { rows })),
        });
        from = until;
    }
    messages
}

fn row(number: u64, first: u64) -> ImportRow {
    let phone = Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: format!("090{:07}", (first + number) % NUMBERS),
    };
    ImportRow {
        row: number,
        identifiers: vec![phone],
        ..ImportRow::default()
    }
}
