//! `omnigate audience import`: a file, in calls of some thousand rows each. The file is read while a call is under way.

use super::audience_id;
use super::columns::Columns;
use super::reader::Rows;
use crate::cli::{FileFormat, ImportAudience, Output};
use crate::commands::{print, remote};
use anyhow::{Context as _, bail};
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use omnigate_core::id::hash;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::{
    GetImportRequest, Import, ImportAudienceRequest, ImportRow, ImportRows, ImportStart, RowProblem,
};
use omnigate_rpc::client::Connection;
use omnigate_rpc::error;
use prost::Message as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status};

/// Rows of a message.
const TOGETHER: usize = 1_000;
/// Rows of a call, and their bytes, short of one message more.
const CALL: usize = 16_000;
const CALL_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a message, short of one row more.
const MESSAGE_BYTES: usize = 512 * 1024;
/// How often a call that broke off is repeated, and the first wait; the next ones are longer.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_millis(500);
/// Problems that are shown where no file is named.
const SHOWN: usize = 10;

/// Rows of one call.
struct Lot {
    messages: Vec<ImportAudienceRequest>,
    /// Bytes of the file that were read with it.
    read: u64,
}

/// Runs it.
pub(super) async fn run(arguments: &ImportAudience) -> anyhow::Result<()> {
    let columns = Columns::new(&arguments.map)?;
    let format = format(arguments);
    let delimiter = arguments.delimiter.map(u8::try_from).transpose();
    let delimiter = delimiter.ok().context("--delimiter must be an ASCII character")?;
    let is_stdin = arguments.file == Path::new("-");
    let import_id = match &arguments.import_id {
        Some(id) => id.clone(),
        None if is_stdin => remote::request_id(None)?,
        None => id_of(arguments)?,
    };
    let counted = Arc::new(AtomicU64::new(0));
    let (input, length): (Box<dyn Read + Send>, Option<u64>) = if is_stdin {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(&arguments.file).with_context(|| format!("{}", arguments.file.display()))?;
        let length = file.metadata().map(|metadata| metadata.len()).ok();
        (Box::new(file), length)
    };
    let input = Box::new(Counted(input, Arc::clone(&counted)));
    let rows = Rows::new(input, (format, delimiter), columns)?;
    let connection = remote::open(&arguments.remote).await?;
    let importing = Importing {
        start: ImportStart {
            audience_id: audience_id(&connection, &arguments.audience).await?,
            import_id,
            merge_customers: arguments.merge,
        },
        connection,
        bar: bar(length),
    };
    let (import, columns) = importing.all(rows, counted).await.with_context(|| {
        let id = &importing.start.import_id;
        format!("the import broke off; the same command with --import-id {id} goes on")
    })?;
    importing.bar.finish_and_clear();
    importing.tell(arguments, &import, &columns).await
}

fn format(arguments: &ImportAudience) -> FileFormat {
    let extension = arguments.file.extension().and_then(|extension| extension.to_str());
    let by_name = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("jsonl" | "ndjson") => FileFormat::Jsonl,
        _ => FileFormat::Csv,
    };
    arguments.format.unwrap_or(by_name)
}

/// The same for the same rows, read in the same way.
fn id_of(arguments: &ImportAudience) -> anyhow::Result<String> {
    let mut file = File::open(&arguments.file).with_context(|| format!("{}", arguments.file.display()))?;
    let how = format!(
        "{:?} {:?} {:?} {}",
        arguments.map,
        format(arguments),
        arguments.delimiter,
        arguments.merge
    );
    let mut digest = hash("import", &[how.as_bytes()]);
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        if filled == 0 {
            return Ok(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest = hash("import", &[&digest, &buffer[..filled]]);
    }
}

/// Counts what is read.
struct Counted(Box<dyn Read + Send>, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

/// Nothing is drawn where standard error is no terminal.
fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:30} {bytes}/{total_bytes} {msg} {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

struct Importing {
    connection: Connection,
    start: ImportStart,
    bar: ProgressBar,
}

impl Importing {
    async fn all(&self, rows: Rows, counted: Arc<AtomicU64>) -> anyhow::Result<(Import, Columns)> {
        // What an earlier run did need not be sent again.
        let from = self.standing().await?.map_or(1, |import| import.next_row);
        let (sender, mut lots) = mpsc::channel(1);
        let reading = tokio::task::spawn_blocking(move || read(rows, &counted, from, &sender));
        let mut import = None;
        while let Some(lot) = lots.recv().await {
            let stands = self.carry(&lot).await?;
            let done = stands.created + stands.updated + stands.unchanged + stands.failed;
            self.bar.set_position(lot.read);
            self.bar
                .set_message(format!("{done} rows, {} with problems,", stands.failed));
            import = Some(stands);
        }
        let columns = reading.await??;
        let import = match import {
            Some(import) => import,
            // Nothing was left to send.
            None => self.call(&[]).await.map_err(remote::refused)?.0,
        };
        Ok((import, columns))
    }

    /// The import as it stands; `None` before its first call.
    async fn standing(&self) -> anyhow::Result<Option<Import>> {
        match self.page(1, String::new()).await {
            Ok((import, ..)) => Ok(import),
            Err(status) if error::reason(&status).as_deref() == Some("IMPORT_NOT_FOUND") => Ok(None),
            Err(status) => Err(remote::refused(status)),
        }
    }

    async fn page(&self, size: i32, token: String) -> Result<(Option<Import>, Vec<RowProblem>, String), Status> {
        let asked = GetImportRequest {
            audience_id: self.start.audience_id.clone(),
            import_id: self.start.import_id.clone(),
            page_size: size,
            page_token: token,
        };
        let answer = self.connection.audiences().get_import(asked).await?.into_inner();
        Ok((answer.import, answer.problems, answer.next_page_token))
    }

    /// Has the rows of a lot taken, in as many calls as that needs.
    async fn carry(&self, lot: &Lot) -> anyhow::Result<Import> {
        let mut failed = 0;
        loop {
            match self.call(&lot.messages).await {
                Ok((import, true)) => return Ok(import),
                // The next call passes over what was taken.
                Ok((_, false)) => failed = 0,
                Err(status) if may_come_back(&status) && failed < TRIES => {
                    tokio::time::sleep(WAIT * 2_u32.pow(failed)).await;
                    failed += 1;
                }
                Err(status) => return Err(remote::refused(status)),
            }
        }
    }

    async fn call(&self, messages: &[ImportAudienceRequest]) -> Result<(Import, bool), Status> {
        let start = ImportAudienceRequest {
            part: Some(Part::Start(self.start.clone())),
        };
        let messages: Vec<ImportAudienceRequest> = std::iter::once(start).chain(messages.iter().cloned()).collect();
        let answer = self
            .connection
            .audiences()
            .import_audience(stream::iter(messages))
            .await?;
        let answer = answer.into_inner();
        Ok((answer.import.unwrap_or_default(), answer.complete))
    }

    /// Says how it went, and what was wrong with rows.
    async fn tell(&self, arguments: &ImportAudience, import: &Import, columns: &Columns) -> anyhow::Result<()> {
        match arguments.remote.output {
            Output::Json => print::json(import)?,
            Output::Table => print::line(&format!(
                "{} created, {} updated, {} unchanged, {} with problems (import {})",
                import.created, import.updated, import.unchanged, import.failed, import.import_id
            )),
        }
        match &arguments.errors {
            Some(path) => self.write_problems(path, import, columns).await,
            None if import.failed > 0 => self.show_problems(columns).await,
            None => Ok(()),
        }
    }

    async fn write_problems(&self, path: &Path, import: &Import, columns: &Columns) -> anyhow::Result<()> {
        let mut file = csv::Writer::from_path(path).with_context(|| format!("{}", path.display()))?;
        file.write_record(["row", "column", "reason", "problem"])?;
        let mut token = String::new();
        loop {
            let problems;
            (_, problems, token) = self.page(1_000, token).await.map_err(remote::refused)?;
            for problem in problems {
                let (row, column) = (problem.row.to_string(), columns.of_field(&problem.field));
                file.write_record([&row, &column, &problem.reason, &problem.problem])?;
            }
            if token.is_empty() {
                break;
            }
        }
        file.flush()?;
        if import.failed > import.problems {
            print::aside(&format!("only the first {} problems are kept", import.problems));
        }
        Ok(())
    }

    async fn show_problems(&self, columns: &Columns) -> anyhow::Result<()> {
        let size = i32::try_from(SHOWN).unwrap_or(i32::MAX);
        let (_, problems, more) = self.page(size, String::new()).await.map_err(remote::refused)?;
        for problem in problems {
            let column = columns.of_field(&problem.field);
            let line = format!("row {}: {column}: {}", problem.row, problem.problem);
            print::aside(&print::printable(&line.replace(": : ", ": ")));
        }
        if !more.is_empty() {
            print::aside("… and more; --errors FILE writes all of them, also when the import is run again");
        }
        Ok(())
    }
}

/// True for what an other try may get over.
fn may_come_back(status: &Status) -> bool {
    let reason = error::reason(status);
    matches!(
        status.code(),
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded
    ) && reason.as_deref() != Some("IMPORT_TAKEN_OVER")
}

/// Reads the file to its end, in lots; whoever takes them may be gone.
fn read(mut rows: Rows, counted: &AtomicU64, from: u64, lots: &mpsc::Sender<Lot>) -> anyhow::Result<Columns> {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    let (mut bytes, mut in_message, mut count) = (0, 0, 0);
    loop {
        let row = rows.next()?.filter(|row| row.row > 0);
        let is_end = row.is_none();
        if let Some(row) = row.filter(|row| row.row >= from) {
            in_message += row.encoded_len();
            count += 1;
            message.push(row);
        }
        if is_end || message.len() >= TOGETHER || in_message >= MESSAGE_BYTES {
            bytes += in_message;
            in_message = 0;
            messages.extend(rows_of(std::mem::take(&mut message)));
        }
        if messages.is_empty() || !(is_end || count >= CALL || bytes >= CALL_BYTES) {
            if is_end {
                return Ok(rows.columns);
            }
            continue;
        }
        let lot = Lot {
            messages: std::mem::take(&mut messages),
            read: counted.load(Ordering::Relaxed),
        };
        (bytes, count) = (0, 0);
        if lots.blocking_send(lot).is_err() {
            bail!("the import was given up");
        }
        if is_end {
            return Ok(rows.columns);
        }
    }
}

fn rows_of(rows: Vec<ImportRow>) -> Option<ImportAudienceRequest> {
    (!rows.is_empty()).then_some(ImportAudienceRequest {
        part: Some(Part::Rows(ImportRows { rows })),
    })
}
