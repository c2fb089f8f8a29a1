//! Logs, traces and metrics.
//!
//! Logs go to standard error; standard output belongs to commands. Every line shows the spans it stands in, and the span of
//! a call or a delivery carries `trace_id`, so that one id finds a message's lines in all processes.

pub mod metrics;

use crate::config::{Log, LogFormat};
pub use omnigate_core::trace::TraceContext;
use std::io::{self, IsTerminal as _};
use tracing::{Dispatch, Subscriber, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{
    EnvFilter, Layer, filter,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

/// Telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither a level nor directives.
    #[error("log.level is not understood: {0}")]
    Level(#[from] filter::ParseError),
    /// Somebody else logs in this process already.
    #[error("logs were started before: {0}")]
    Started(#[from] SetGlobalDefaultError),
}

/// Keeps telemetry running; dropping it, last of all, hands over what is buffered.
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Guard(());

/// lapin writes whole messages that the broker returned; message bodies never reach logs, whatever the level.
const NO_BODIES: &str = "lapin::returned_messages=off";

/// Starts logs of this process.
pub fn init(log: &Log) -> Result<Guard, TelemetryError> {
    let terminal = io::stderr().is_terminal();
    let format = log
        .format
        .unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let subscriber = subscriber(&log.level, format, terminal, io::stderr)?;
    tracing::dispatcher::set_global_default(Dispatch::new(subscriber))?;
    Ok(Guard(()))
}

/// A subscriber that writes lines of a format to a writer.
fn subscriber<W>(
    level: &str,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, filter::ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level)?.add_directive(NO_BODIES.parse()?);
    let registry = tracing_subscriber::registry().with(filter);
    Ok(registry.with(lines(format, colours, writer)))
}

fn lines<S, W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn bodies_of_returned_messages_stay_out_whatever_the_level() {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber("trace", LogFormat::Json, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "lapin::returned_messages", "a body");
            tracing::warn!(target: "lapin::connection", "something else");
        });
        let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(
            written.contains("something else") && !written.contains("a body"),
            "{written}"
        );
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber("info", format, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call", trace_id = "4bf92f");
            let _in_call = span.enter();
            let _in_part = tracing::info_span!("part").entered();
            tracing::info!(events = 3, "pushed");
            tracing::debug!("not asked for");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_carry_the_trace_id_of_the_call_they_belong_to() {
        let text = logged(LogFormat::Text);
        assert!(
            text.contains("trace_id=\"4bf92f\"") && text.contains("pushed events=3"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        let json = logged(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (line["message"].as_str(), line["events"].as_i64()),
            (Some("pushed"), Some(3))
        );
        assert_eq!(line["spans"][0]["trace_id"], "4bf92f");
    }

    #[test]
    fn a_wrong_level_is_an_error() {
        assert!(subscriber("=,=", LogFormat::Text, false, io::stderr).is_err());
    }
}
