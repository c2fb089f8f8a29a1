//! W3C trace context: what ties one message's work together across processes, as text in metadata and headers.

use std::fmt;

/// Where in which trace we are. Version 00 of <https://www.w3.org/TR/trace-context/>, without `tracestate`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// The beginning of a new trace. All-zero ids are not allowed, so zero bytes become ones.
    #[must_use]
    pub fn root(trace: [u8; 16], span: [u8; 8]) -> Self {
        Self {
            trace: if trace == [0; 16] { [1; 16] } else { trace },
            span: if span == [0; 8] { [1; 8] } else { span },
            sampled: true,
        }
    }

    /// The context a `traceparent` names; `None` when it is malformed. A later version is read by its first four parts.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version: [u8; 1] = hex(version)?;
        if version == [0xff] || (version == [0] && parts.next().is_some()) {
            return None;
        }
        let (trace, span): ([u8; 16], [u8; 8]) = (hex(trace)?, hex(span)?);
        let [flags] = hex(flags)?;
        (trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }

    /// A child in the same trace, with this span id.
    #[must_use]
    pub fn child(self, span: [u8; 8]) -> Self {
        Self {
            sampled: self.sampled,
            ..Self::root(self.trace, span)
        }
    }

    /// The trace's id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.trace)
    }

    /// The span's id, 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.span)
    }

    /// Whether somebody asked for the trace to be recorded.
    #[must_use]
    pub const fn sampled(&self) -> bool {
        self.sampled
    }
}

/// The `traceparent` to send.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(formatter, "00-{}-{}-{flags:02x}", self.trace_id(), self.span_id())
    }
}

/// Lower-case hex digits of exactly this many bytes.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_leads_back() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.sampled());
    }

    #[test]
    fn a_child_stays_in_its_trace_and_keeps_the_flag() {
        let parent = TraceContext::parse(&EXAMPLE.replace("-01", "-00")).unwrap();
        let child = parent.child([7; 8]);
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_eq!(child.span_id(), "0707070707070707");
        assert!(!child.sampled());
    }

    #[test]
    fn malformed_texts_are_no_context() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_by_what_we_know() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else";
        assert_eq!(TraceContext::parse(later), TraceContext::parse(EXAMPLE));
    }
}
