//! Configuration: a TOML file, environment variables over it, and nothing at all for the defaults.

mod account;
mod address;
mod consent;
mod conversation;
mod customers;
mod event_webhook;
mod marketing;
mod node;
mod overlay;
mod problem;
mod reference;
mod roles;
mod secret;
mod section;
mod setting;
mod settings;
mod tenant;
#[cfg(test)]
mod tests;
mod validate;

pub use account::{Account, App, Limits as AccountLimits, SCOPES, Token};
pub use address::{Address, Endpoint, LogFormat};
pub use consent::Consent;
pub use conversation::{Conversations, ReopenPolicy};
pub use customers::{Attribute, Customers};
pub use event_webhook::EventWebhook;
pub use marketing::Marketing;
pub use problem::{ConfigError, Origin, Problem};
pub use reference::reference;
pub use roles::{RolesError, check_roles};
pub use secret::{ConnectionUrl, Secret, Secrets, TokenHash};
pub use setting::List;
pub use settings::AdapterSettings;
pub use tenant::{Identity, Tenant, TenantIdentity, TenantTimeline, Timeline};

use node::{Node, Source};
use section::section;
use setting::Setting as _;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

section! {
    /// Keys outside any section.
    pub struct Config {
        /// Folder of the embedded broker and store and of the local token.
        pub data_dir: PathBuf = PathBuf::from("./omnigate-data"),
        /// Tenant of everything that names none.
        pub tenant: String = "default".to_owned(),
        /// What this gateway is: campaigns belong to the environment in which they were last told to do something. Where a
        /// copy of the store runs under another name, such as `staging`, its campaigns are PAUSED there and send nothing until
        /// somebody resumes them.
        pub environment: String = "default".to_owned(),
        /// Language of people of whom nothing else is known, BCP 47: templates fall back to it.
        pub locale: String = "vi".to_owned(),
        /// IANA time zone of people of whom nothing else is known.
        pub time_zone: String = "Asia/Ho_Chi_Minh".to_owned(),
        /// The broker.
        pub broker: Broker,
        /// The store.
        pub store: Store,
        /// Listeners of this process.
        pub listen: Listen,
        /// Other processes of the gateway.
        pub connect: Connect,
        /// TLS.
        pub tls: Tls,
        /// Limits.
        pub limits: Limits,
        /// What internal services are told.
        pub events: Events,
        /// Consent to advertising.
        pub consent: Consent,
        /// Advertising of campaigns.
        pub marketing: Marketing,
        /// Graceful stop.
        pub budgets: Budgets,
        /// Logs.
        pub log: Log,
        /// Telemetry.
        pub telemetry: Telemetry,
        /// Trust among the gateway's processes.
        pub cluster: Cluster,
        /// Tokens of callers.
        pub tokens: List<Token>,
        /// Apps.
        pub apps: BTreeMap<String, App>,
        /// Accounts.
        pub accounts: BTreeMap<String, Account>,
        /// What is known of customers.
        pub customers: Customers,
        /// What stays on timelines.
        pub timeline: Timeline,
        /// Who is who.
        pub identity: Identity,
        /// What holds for single tenants.
        pub tenants: BTreeMap<String, Tenant>,
        /// Outgoing webhooks.
        pub event_webhooks: BTreeMap<String, EventWebhook>,
    }
}

section! {
    /// Queues and logs.
    pub struct Broker {
        /// Address of RabbitMQ (`amqp://` or `amqps://`); without it the embedded broker in `data_dir`.
        pub url: Option<ConnectionUrl>,
        /// Partitions of inbound events: how far work on them can be shared. Fixed at first start.
        pub partitions: u16 = 16,
        /// Hours for which the journal keeps inbound events; 0 switches it off.
        pub journal_hours: u32 = 72,
        /// Whether raw provider requests are kept for replay through a newer adapter.
        pub raw: bool = true,
        /// Whether what people wrote is sealed on the broker, with keys of each tenant and hour that are kept in the store
        /// and end: in queues, in the journal, among raw requests, parked messages and customer events. Unset, it is in
        /// gateways that were first started by a release that can. In an older one set it to true once no process of an
        /// older release runs: such a process parks what it cannot read. With `false`, ingest needs no store.
        pub seal: Option<bool>,
    }
}

section! {
    /// Customers, timelines and deliveries.
    pub struct Store {
        /// Address of Redis (`redis://`, `rediss://`); without it the embedded store in `data_dir`.
        pub url: Option<ConnectionUrl>,
        /// Key with which providers' tokens and the keys of what people wrote are encrypted before they are stored: 64
        /// hexadecimal digits, such as `openssl rand -hex 32` prints; the same in all processes with a store. Without it
        /// both are stored as they are. Keep a copy of it apart from backups of the store: without it they are unreadable.
        pub seal_key: Option<Secret>,
        /// The key before this one; the same as one of `former_seal_keys`.
        pub former_seal_key: Option<Secret>,
        /// Keys that were `seal_key` before: what they sealed opens, and is sealed with the present one in the background;
        /// `omnigate check` says when they can go. A new key comes here first, in all processes, and becomes `seal_key` then.
        pub former_seal_keys: Secrets,
        /// Days for which backups of the store are kept; the proof of an erasure tells when the last one is gone. 0 for none.
        pub backup_days: u32 = 0,
        /// Hours from one sweep to the next that looks through all customers for what a failover of Redis lost, and puts it
        /// right; 0 for only when a failover was seen.
        pub repair_every_hours: u32 = 24,
    }
}

section! {
    /// Where this process listens; port 0 takes any free port.
    pub struct Listen {
        /// gRPC for internal services.
        pub api: Address = local(7400),
        /// gRPC for pushes of adapters.
        pub ingest: Address = local(7401),
        /// gRPC for sends through built-in adapters.
        pub edge: Address = local(7402),
        /// gRPC for session leases.
        pub sessions: Address = local(7403),
        /// HTTP for providers' webhooks.
        pub webhooks: Address = local(7480),
        /// HTTP for health and metrics.
        pub admin: Address = local(7490),
    }
}

section! {
    /// Where other roles listen when they run in other processes.
    pub struct Connect {
        /// The ingest role; needed by edge.
        pub ingest: Option<Endpoint>,
        /// The edge role; needed by dispatch.
        pub edge: Option<Endpoint>,
        /// The scheduler role's sessions; needed by edge.
        pub sessions: Option<Endpoint>,
        /// The api role.
        pub api: Option<Endpoint>,
    }
}

section! {
    /// Certificates as PEM files; without them listeners speak plain text.
    pub struct Tls {
        /// Certificate chain of our gRPC listeners.
        pub cert_file: Option<PathBuf>,
        /// Private key of that certificate.
        pub key_file: Option<PathBuf>,
        /// Authority that must have signed callers' certificates (mTLS).
        pub client_ca_file: Option<PathBuf>,
        /// Authority that signed the certificates of the processes in `connect`; without it the system's.
        pub ca_file: Option<PathBuf>,
    }
}

section! {
    /// What one process takes at most; beyond it callers get a clear error.
    pub struct Limits {
        /// Largest webhook body, in bytes.
        pub webhook_body_bytes: u64 = 4 * 1024 * 1024,
        /// Largest gRPC message, in bytes, also after decompression.
        pub grpc_message_bytes: u64 = 16 * 1024 * 1024,
        /// Bytes of pushed events that wait for the broker's confirm.
        pub push_bytes_in_flight: u64 = 64 * 1024 * 1024,
        /// Pushed events that wait for the broker's confirm.
        pub push_events_in_flight: u64 = 50_000,
        /// Connections of one listener.
        pub max_connections: u32 = 1_000,
        /// Calls at once on one connection.
        pub calls_per_connection: u32 = 1_000,
        /// Seconds that a call without a deadline of its own may take.
        pub call_seconds: u64 = 60,
    }
}

section! {
    /// What internal services are told: consumer groups of `EventService.Subscribe`, and outgoing webhooks.
    pub struct Events {
        /// Seconds after which an event that a member of a consumer group did not acknowledge is sent again.
        pub acknowledge_seconds: u64 = 60,
        /// Events that a member of a consumer group may have without having acknowledged them.
        pub max_unacknowledged: u32 = 1_000,
        /// Seconds that an outgoing webhook's receiver may take to answer.
        pub webhook_seconds: u64 = 15,
        /// Hours without a delivery that succeeded, after which an outgoing webhook is disabled.
        pub webhook_disable_hours: u64 = 24,
    }
}

section! {
    /// Seconds that each phase of a graceful stop may take; 5 seconds after their sum the process is ended.
    pub struct Budgets {
        /// Closing the intake: listeners, sessions, consumers.
        pub intake_seconds: u64 = 3,
        /// Settling what is in flight.
        pub in_flight_seconds: u64 = 10,
        /// Flushing publications and batches.
        pub flush_seconds: u64 = 5,
        /// Finishing the fetch of a pair of tokens that is under way, which its provider hands out once.
        pub tokens_seconds: u64 = 22,
        /// Closing broker and store.
        pub close_seconds: u64 = 3,
        /// Telemetry and health, last.
        pub health_seconds: u64 = 1,
    }
}

section! {
    /// Logs, on standard error.
    pub struct Log {
        /// Format of the lines; without it text on a terminal and JSON elsewhere.
        pub format: Option<LogFormat>,
        /// What is logged: a level, or directives such as `info,omnigate_unify=debug`.
        pub level: String = "info".to_owned(),
    }
}

section! {
    /// Traces.
    pub struct Telemetry {
        /// Where to send traces (OTLP over gRPC); without it nowhere.
        pub otlp_endpoint: Option<Endpoint>,
    }
}

section! {
    /// Trust among the gateway's processes.
    pub struct Cluster {
        /// Token with which roles call each other; the same in all processes. Without it all roles run in one.
        pub token: Option<Secret>,
        /// Where other edges reach `listen.edge` of this process, for accounts whose connection only one edge holds (SMPP).
        /// Without it the address that it listens on, unless that stands for all of the machine's.
        pub edge_address: Option<Endpoint>,
    }
}

fn local(port: u16) -> Address {
    Address(format!("127.0.0.1:{port}"))
}

/// Loads the configuration from a file, if one is given, and the environment. All problems are found at once.
pub fn load(file: Option<&Path>, env: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    let mut table = match file {
        Some(file) => parse(file).map_err(|problem| ConfigError {
            problems: vec![problem],
        })?,
        None => toml::Table::new(),
    };
    let (variables, senseless) = overlay::apply(&mut table, env);
    let source = Source {
        file,
        env,
        variables,
        problems: RefCell::new(Vec::new()),
        nothing: toml::Value::Table(toml::Table::new()),
    };
    for variable in senseless {
        source.wrong(
            "",
            format!("{variable} is no key; variables are OMNIGATE__SECTION__KEY"),
        );
    }
    let root = toml::Value::Table(table);
    let read = Config::read(Node {
        source: &source,
        key: "",
        value: &root,
    });
    if let Some(config) = &read {
        validate::validate(config, &source);
    }
    let problems = source.problems.into_inner();
    read.filter(|_| problems.is_empty()).ok_or(ConfigError { problems })
}

/// The file as TOML. Of a syntax error only place and rule are told: the line itself may hold a secret.
fn parse(file: &Path) -> Result<toml::Table, Problem> {
    let problem = |what: String| Problem {
        origin: Origin::File(file.to_owned()),
        key: String::new(),
        what,
    };
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        problem(format!("line {line}: {}", error.message().replace('\n', ", ")))
    })
}

impl Config {
    /// The effective configuration, defaults included, as TOML without secrets: no text of an adapter's settings is
    /// shown, references to secrets are.
    #[must_use]
    pub fn redacted_toml(&self) -> String {
        self.redacted_toml_with(&|_, _| true)
    }

    /// As [`Config::redacted_toml`], but shows adapters' settings that are no secrets. `is_secret` is given channel and
    /// name of a setting.
    #[must_use]
    pub fn redacted_toml_with(&self, is_secret: &dyn Fn(&str, &str) -> bool) -> String {
        let mut shown = self.show().unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
        for section in ["apps", "accounts"] {
            let named = shown.get_mut(section).and_then(toml::Value::as_table_mut);
            for (_, entry) in named.into_iter().flat_map(toml::Table::iter_mut) {
                let channel = entry.get("channel").and_then(toml::Value::as_str);
                let channel = channel.unwrap_or_default().to_owned();
                if let Some(settings) = entry.get_mut("settings").and_then(toml::Value::as_table_mut) {
                    settings::redact(settings, &|name| is_secret(&channel, name));
                }
            }
        }
        toml::to_string(&shown).unwrap_or_default()
    }
}
