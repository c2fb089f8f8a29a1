//! What can be set at start.

use super::receipt::{IdForms, ReceiptPlan};
use crate::telegram::Clock;
use std::time::Duration;

/// One ESME that the sandbox knows.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// At most 15 octets.
    pub system_id: String,
    /// At most 8 octets.
    pub password: String,
    /// What `system_type` must be; anything goes when absent.
    pub system_type: Option<String>,
    /// Binds at a time; one more is answered ESME_RALYBND.
    pub max_binds: usize,
    /// Submissions that may be unanswered on one bind; one more is answered ESME_RTHROTTLED. 0 is no limit.
    pub window: usize,
    /// Submissions a second over all binds; one more is answered ESME_RTHROTTLED. 0 is no limit.
    pub throughput: u32,
    /// `deliver_sm` that may be unanswered on one bind.
    pub deliver_window: usize,
    /// Whether responses that refuse have a body.
    pub error_body: bool,
    /// How message ids are written.
    pub ids: IdForms,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            system_id: "omnigate".to_owned(),
            password: "sandbox1".to_owned(),
            system_type: None,
            max_binds: 4,
            window: 10,
            throughput: 0,
            deliver_window: 10,
            error_body: false,
            ids: IdForms::default(),
        }
    }
}

/// How the sandbox behaves and how much it remembers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ESMEs; the first one is the one that is meant where none is named.
    pub accounts: Vec<AccountOptions>,
    /// What the SMSC calls itself in bind responses.
    pub system_id: String,
    /// Divides the delays of receipts, retries, pieces and late answers. Timers of the session are not touched.
    pub speed: u32,
    /// How long a connection may stay unbound.
    pub session_init: Duration,
    /// After how long without a word from the ESME an `enquire_link` is sent; zero sends none.
    pub enquire_link: Duration,
    /// How long the ESME may take to answer an `enquire_link` before the connection is closed, and a `deliver_sm` before it
    /// is sent again.
    pub response_timeout: Duration,
    /// After how long without anything but `enquire_link` the SMSC unbinds; zero never does.
    pub inactivity: Duration,
    /// The longest PDU; a longer one is answered ESME_RINVCMDLEN and the connection closed.
    pub longest_pdu: usize,
    /// Whether a text that one message cannot carry over the air is refused with ESME_RINVMSGLEN, unless it is a
    /// `message_payload`.
    pub one_piece: bool,
    /// How long every answer to a submission takes.
    pub latency: Duration,
    /// At most so much is added to it at random, so that answers overtake each other.
    pub jitter: Duration,
    /// What comes back for a message that no rule is about.
    pub receipt: ReceiptPlan,
    /// How long a `deliver_sm` waits that the ESME answered with a temporary error; divided by `speed`.
    pub retry_after: Duration,
    /// How often a `deliver_sm` is sent before it is given up.
    pub attempts: u32,
    /// The first message's id.
    pub first_message_id: u64,
    /// Where dates come from.
    pub clock: Clock,
    /// Seeds what is drawn at random.
    pub seed: u64,
    /// Requests, submissions, whole texts and settled deliveries that are remembered, each in a ring of this size.
    pub journal: usize,
    /// Long messages of which pieces are missing; the oldest is forgotten above it.
    pub incomplete: usize,
    /// Distinct contents counted, to show what was sent twice; 0 counts none.
    pub contents: usize,
    /// `deliver_sm` that wait for an ESME; the oldest is dropped above it.
    pub queue: usize,
    /// Answers submissions without reading them: nothing is checked, throttled, remembered or put together, and no rule
    /// applies; they are only counted. For measuring whoever sends.
    pub null: Option<Null>,
}

/// What a null SMSC does beside answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Null {
    /// Whether a receipt for every message that asks for one comes at once, on the same bind if it is a transceiver.
    pub receipts: bool,
    /// Receipts that may be unanswered on one bind; those above it wait. 0 is no limit, and none waits.
    pub receipt_window: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: vec![AccountOptions::default()],
            system_id: "SANDBOX".to_owned(),
            speed: 1,
            session_init: Duration::from_secs(30),
            enquire_link: Duration::from_secs(30),
            response_timeout: Duration::from_secs(30),
            inactivity: Duration::ZERO,
            longest_pdu: 70_000,
            one_piece: true,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            receipt: ReceiptPlan::default(),
            retry_after: Duration::from_secs(10),
            attempts: 100,
            first_message_id: 489_708_364,
            clock: Clock::system(),
            seed: 1,
            journal: 10_000,
            incomplete: 10_000,
            contents: 100_000,
            queue: 200_000,
            null: None,
        }
    }
}

impl Options {
    /// `delay` as this sandbox waits it.
    pub(super) fn scaled(&self, delay: Duration) -> Duration {
        delay / self.speed.max(1)
    }
}
