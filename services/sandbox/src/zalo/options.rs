//! What can be set at start, and what can be switched later.

use super::{Clock, template::Template};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One Official Account that has granted an app its rights.
#[derive(Clone, Debug)]
pub struct OaOptions {
    /// A decimal number above 2^53, as all of Zalo's ids.
    pub oa_id: String,
    /// What people see.
    pub name: String,
    /// The token that the OA has granted at start; without one the app has to go through OAuth first, and no event comes.
    pub access_token: Option<String>,
    /// The single-use token that goes with it.
    pub refresh_token: Option<String>,
    /// Whether Zalo has verified the OA; one that is not meets `-221` on the OA API's messages and `-135` on ZNS.
    pub verified: bool,
    /// `package_name` in `getoa`.
    pub package: String,
    /// Messages of the OA's package per month, used between 48 hours and 7 days after the last interaction. Zalo's numbers
    /// per tier are not public.
    pub package_quota: u32,
    /// ZNS messages a day; Zalo's ladder begins at 500.
    pub zns_daily_quota: u32,
    /// Whether the OA may use `sending_mode` 3.
    pub zns_over_quota: bool,
    /// Whose phones `mode: development` may reach, `84…`.
    pub admin_phones: Vec<String>,
    /// The OA's ZNS templates.
    pub templates: Vec<Template>,
}

impl Default for OaOptions {
    fn default() -> Self {
        Self {
            oa_id: "3000000000000000001".to_owned(),
            name: "Sandbox".to_owned(),
            access_token: Some("sandbox-access-token-1".to_owned()),
            refresh_token: Some("sandbox-refresh-token-1".to_owned()),
            verified: true,
            package: "Advanced".to_owned(),
            package_quota: 2_000,
            zns_daily_quota: 5_000,
            zns_over_quota: false,
            admin_phones: Vec::new(),
            templates: Template::samples(),
        }
    }
}

/// One app of the developer console.
#[derive(Clone, Debug)]
pub struct AppOptions {
    /// Decimal.
    pub app_id: String,
    /// What OAuth's `secret_key` header must hold, and the key of `appsecret_proof`.
    pub app_secret: String,
    /// The OA Secret Key of the console's webhook page: the last term of every webhook's signature.
    pub oa_secret_key: String,
    /// What `redirect_uri` must be; any where absent.
    pub redirect_uri: Option<String>,
    /// What `code_challenge` must be; any where absent.
    pub code_challenge: Option<String>,
    /// An app that is not active meets `-14002`.
    pub active: bool,
    /// The Official Accounts, each with its own tokens.
    pub oas: Vec<OaOptions>,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            app_id: "1000000000000000001".to_owned(),
            app_secret: "sandbox-app-secret".to_owned(),
            oa_secret_key: "sandbox-oa-secret-key".to_owned(),
            redirect_uri: None,
            code_challenge: None,
            active: true,
            oas: vec![OaOptions::default()],
        }
    }
}

/// The unsigned POST with which the console tries a new webhook; sources differ on its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// No body at all.
    #[default]
    Empty,
    /// `{}`.
    EmptyObject,
}

/// What the signature begins with; official SDKs have the app's id, some community code the OA's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureTerm {
    /// As documented.
    #[default]
    AppId,
    /// As some code found in public has it.
    OaId,
}

/// Where a person's message carries its attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentPlace {
    /// `message.attachments`, as documented.
    #[default]
    Nested,
    /// Beside `message`, as seen in the wild.
    TopLevel,
}

/// How many consultation messages are free within 48 hours of the last interaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeMessages {
    /// From 2026 on.
    #[default]
    Unlimited,
    /// Eight until 2025, counted anew after each interaction.
    PerWindow(u32),
}

/// How numbers of quota objects are typed; samples differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaNumbers {
    /// `"7"`.
    #[default]
    Strings,
    /// `7`.
    Numbers,
}

/// What can be changed while the sandbox runs: mostly where Zalo's own documents leave doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Requests per minute and app above which `-32` is answered; none are counted at 0.
    pub rate_per_minute: u32,
    /// The signature's first term.
    pub signature_term: SignatureTerm,
    /// Whether events carry `user_id_by_app`.
    pub user_id_by_app: bool,
    /// Where attachments stand.
    pub attachments: AttachmentPlace,
    /// Whether a file's `size` is a number, as in the wild, and not a string, as documented.
    pub file_size_as_number: bool,
    /// Whether webhooks carry `X-ZEvent-Timestamp` too.
    pub timestamp_header: bool,
    /// What is free within 48 hours.
    pub free_messages: FreeMessages,
    /// Whether answers carry the optional `quota` object.
    pub quota_in_answers: bool,
    /// How its numbers are typed.
    pub quota_numbers: QuotaNumbers,
    /// Whether `oa_send_…` comes for what the API sent, too.
    pub echoes: bool,
    /// How long after a message `user_received_message` comes, in ms; divided by `speed`. Never where absent.
    pub received_after_ms: Option<u64>,
    /// The same of `user_seen_message`.
    pub seen_after_ms: Option<u64>,
    /// Whether ZNS answers `-133` from 22:00 to 06:00 GMT+7.
    pub zns_night_block: bool,
    /// Whether OTP templates may be sent at night all the same.
    pub zns_night_spares_otp: bool,
    /// Whether every event goes to the webhook twice.
    pub deliver_twice: bool,
    /// Above 1: so many events are held and then delivered in the reverse order.
    pub reorder: usize,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            rate_per_minute: 4_000,
            signature_term: SignatureTerm::AppId,
            user_id_by_app: true,
            attachments: AttachmentPlace::Nested,
            file_size_as_number: false,
            timestamp_header: false,
            free_messages: FreeMessages::Unlimited,
            quota_in_answers: true,
            quota_numbers: QuotaNumbers::Strings,
            echoes: true,
            received_after_ms: Some(200),
            seen_after_ms: None,
            zns_night_block: false,
            zns_night_spares_otp: true,
            deliver_twice: false,
            reorder: 0,
        }
    }
}

/// How the sandbox behaves and how much it remembers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The apps; the first one's first OA is the one a fresh handle speaks of.
    pub apps: Vec<AppOptions>,
    /// Divides every delay that the sandbox makes: the retry ladder and the receipts. Lifetimes that Zalo states (of tokens,
    /// windows, uploads) run on `clock`; to pass them use [`ZaloHandle::advance`](super::ZaloHandle::advance).
    pub speed: u32,
    /// Where dates come from.
    pub clock: Clock,
    /// What can be switched later.
    pub switches: Switches,
    /// How the console tries a new webhook.
    pub probe: Probe,
    /// How long a webhook may take to answer. Not divided by `speed`.
    pub webhook_timeout: Duration,
    /// When a failed event comes again; after the last of these fails the subscription is cancelled.
    pub retry_ladder: Vec<Duration>,
    /// Webhook requests side by side. The first attempts of one person's events do not overlap.
    pub webhook_connections: usize,
    /// How long a request that is to meet silence is held before its connection is closed.
    pub silence: Duration,
    /// 25 hours at Zalo; said in `expires_in`.
    pub access_token_life: Duration,
    /// Three months at Zalo.
    pub refresh_token_life: Duration,
    /// How long an `attachment_id` or a file's token can be used.
    pub upload_life: Duration,
    /// Uploads per OA and month.
    pub uploads_per_month: u32,
    /// ZNS messages a day in `mode: development`.
    pub development_quota: u32,
    /// Seeds ids and tokens.
    pub seed: u64,
    /// Requests, sent messages and events that are remembered, each in a ring of this size; 0 remembers none.
    pub journal: usize,
    /// Messages of one person and OA that can still be quoted, reacted to and listed.
    pub conversation: usize,
    /// Distinct contents counted, to show what was sent twice; 0 counts none.
    pub contents: usize,
    /// Events that wait for the webhook; a new one is dropped above it.
    pub pending_events: usize,
    /// Bytes of files kept; the oldest file is forgotten above it.
    pub file_bytes: usize,
    /// Whether `/control` is served.
    pub control: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            apps: vec![AppOptions::default()],
            speed: 1,
            clock: Clock::system(),
            switches: Switches::default(),
            probe: Probe::Empty,
            webhook_timeout: Duration::from_secs(2),
            retry_ladder: [30, 300, 900, 1_800, 3_600].map(Duration::from_secs).to_vec(),
            webhook_connections: 32,
            silence: Duration::from_secs(600),
            access_token_life: Duration::from_secs(90_000),
            refresh_token_life: Duration::from_hours(90 * 24),
            upload_life: Duration::from_hours(7 * 24),
            uploads_per_month: 5_000,
            development_quota: 100,
            seed: 1,
            journal: 10_000,
            conversation: 200,
            contents: 100_000,
            pending_events: 200_000,
            file_bytes: 64 << 20,
            control: true,
        }
    }
}

impl Options {
    /// `delay` as this sandbox waits it.
    pub(super) fn scaled(&self, delay: Duration) -> Duration {
        delay / self.speed.max(1)
    }
}
