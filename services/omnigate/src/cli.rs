//! The command line.

mod accounts;
mod audience;
mod bench;
mod campaigns;
mod consent;
mod conversations;
mod customers;
mod replay;
mod templates;
mod webhooks;

pub use accounts::{Accounts, Authorize};
pub use audience::{Audience, CreateAudience, FileFormat, ImportAudience, OneAudience};
pub use bench::{Bench, BenchAudience, BenchCampaign, BenchInbound, BenchOutbound, BenchTimeline};
pub use campaigns::{Campaigns, CreateCampaign, Definition, OneCampaign, Recipients, UpdateCampaign, Word};
pub use consent::{Basis, Consent, GetConsent, Purpose, Reason, Refuse, SetConsent, Status, Suppress, Unsuppress};
pub use conversations::{
    AssignConversation, Conversations, ListConversations, OneConversation, OpenConversation,
    Priority as ConversationPriority, Status as ConversationStatus,
};
pub use customers::{
    Conflicts, Customers, EntryFilter, MergeCustomers, NoteOfCustomer, OneIdentifier, OverviewOfCustomer,
    SplitCustomer, UpdateCustomer,
};
pub use replay::Replay;
pub use templates::{
    ArchiveTemplate, CreateTemplate, Filling, PreviewTemplate, Templates, TestTemplate, UpdateTemplate,
};
pub use webhooks::Webhooks;

use clap::{Args, Parser, Subcommand, ValueEnum};
use omnigate_runtime::role::Role;
use std::path::PathBuf;

/// Omnichannel message gateway.
///
/// Channels push what customers write, services send and read over gRPC, and every customer has one timeline.
#[derive(Debug, Parser)]
#[command(name = "omnigate", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Example: omnigate demo\n         omnigate serve --config omnigate.toml\n         \
    omnigate customers list"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole gateway at work on sandbox providers; nothing to install or configure.
    #[command(after_help = "Example: omnigate demo --once")]
    Demo(Demo),
    /// Runs the gateway: all roles in one process, or some.
    #[command(after_help = "Example: omnigate serve\n         \
        omnigate serve --config omnigate.toml --role unify --role dispatch\n\n\
        Every key of the configuration can be set as OMNIGATE__SECTION__KEY.")]
    Serve(Serve),
    /// Validates the configuration and the connections it names.
    #[command(after_help = "Example: omnigate check --config omnigate.toml\n         \
        omnigate check --config omnigate.toml --offline --dump")]
    Check(Check),
    /// Translates a raw provider payload into normalised events, offline.
    #[command(
        after_help = "Example: omnigate normalize --channel telegram --no-verify update.json\n         \
        curl … | omnigate normalize --channel telegram --config omnigate.toml --account shop \\\n             \
        --header 'X-Telegram-Bot-Api-Secret-Token: …'\n\n\
        What the adapter would answer goes to stderr, the events go to stdout, one JSON object a line."
    )]
    Normalize(Normalize),
    /// Shows how a text is sent as SMS: alphabet, SMS segments, cost, and what makes it expensive; offline.
    #[command(after_help = "Example: omnigate sms-segments 'Chào chị, đơn hàng đã gửi'\n         \
        omnigate sms-segments --unaccented --label '[QC]' --opt-out-line 'Từ chối soạn TC gửi 199' \\\n             \
        --cost 0.02 --currency USD 'Giảm 50% hôm nay'\n         \
        omnigate sms-segments --output json - < text.txt")]
    SmsSegments(SmsSegments),
    /// Sends a message.
    #[command(
        after_help = "Example: omnigate send --thread thr_… 'Chào chị, đơn hàng đã gửi'\n         \
        omnigate send --customer cus_… --request-id order-17-shipped 'Đã gửi'\n         \
        omnigate send --to tg_chat/shop/42 --account shop --wait 'Xin chào'"
    )]
    Send(Send),
    /// Customers and their timelines.
    #[command(subcommand)]
    Customers(Customers),
    /// Audiences: whom campaigns are for.
    #[command(subcommand)]
    Audience(Audience),
    /// Campaigns: one message to many.
    #[command(subcommand)]
    Campaigns(Campaigns),
    /// Who may be sent what, and why.
    #[command(subcommand)]
    Consent(Consent),
    /// Conversations: what has to be done for customers.
    #[command(subcommand)]
    Conversations(Conversations),
    /// Templates: what campaigns say, by language and channel.
    #[command(subcommand)]
    Templates(Templates),
    /// Channel accounts.
    #[command(subcommand)]
    Accounts(Accounts),
    /// Events that could not be applied.
    #[command(subcommand)]
    Parked(Parked),
    /// Puts what was received before on its way again, from the journal; nothing takes effect twice.
    #[command(
        after_help = "Example: omnigate replay --from 2026-11-30T08:00:00Z --to 2026-11-30T09:00:00Z --dry-run\n         \
        omnigate replay --from 2026-11-30T08:00:00Z --account shop\n\n\
        For when a failover of the store lost something. Who was erased since stays erased."
    )]
    Replay(Replay),
    /// Outgoing webhooks: who is told what takes effect.
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Tells the whole story of a message.
    #[command(after_help = "Example: omnigate explain msg_…\n         omnigate explain ent_…")]
    Explain(Explain),
    /// Measures the gateway on this machine.
    #[command(subcommand)]
    Bench(Bench),
}

/// How to reach a running gateway, and how to print.
#[derive(Clone, Debug, Args)]
pub struct Remote {
    /// gRPC address of the api.
    #[arg(long, env = "OMNIGATE_ENDPOINT", default_value = "127.0.0.1:7400", global = true)]
    pub endpoint: String,
    /// Token; without it the one in the data folder, if this is the gateway's machine.
    #[arg(long, env = "OMNIGATE_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
    /// Folder in which the gateway keeps its token.
    #[arg(long, env = "OMNIGATE__DATA_DIR", default_value = "./omnigate-data", global = true)]
    pub data_dir: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table, global = true)]
    pub output: Output,
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// proto3 JSON, one object a line.
    Json,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Ends after the show.
    #[arg(long)]
    pub once: bool,
    /// Forgets what an earlier demo left in the folder.
    #[arg(long)]
    pub fresh: bool,
    /// Folder for the demo's data; shows the same timelines when started again.
    #[arg(long, default_value = "./omnigate-data/demo")]
    pub data_dir: PathBuf,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Configuration file; without it the defaults.
    #[arg(long, short)]
    pub config: Option<PathBuf>,
    /// Role to run; may be repeated; without it all.
    #[arg(long = "role")]
    pub roles: Vec<Role>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file; without it the defaults.
    #[arg(long, short)]
    pub config: Option<PathBuf>,
    /// Role to check for; may be repeated; without it all.
    #[arg(long = "role")]
    pub roles: Vec<Role>,
    /// Checks the configuration only, no connections.
    #[arg(long)]
    pub offline: bool,
    /// Prints the effective configuration without secrets.
    #[arg(long)]
    pub dump: bool,
}

/// Arguments of `normalize`.
#[derive(Debug, Args)]
pub struct Normalize {
    /// Kind of channel.
    #[arg(long)]
    pub channel: String,
    /// Provider, where a channel has several.
    #[arg(long)]
    pub provider: Option<String>,
    /// Configuration with the account's secrets.
    #[arg(long, short, requires = "account")]
    pub config: Option<PathBuf>,
    /// Account of that configuration.
    #[arg(long, requires = "config")]
    pub account: Option<String>,
    /// Header of the request, `Name: value`; may be repeated.
    #[arg(long = "header", short = 'H')]
    pub headers: Vec<String>,
    /// Method of the request.
    #[arg(long, default_value = "POST")]
    pub method: String,
    /// Query string of the request.
    #[arg(long, default_value = "")]
    pub query: String,
    /// Does not verify the signature.
    #[arg(long)]
    pub no_verify: bool,
    /// File with the body; without it, or with `-`, standard input.
    pub file: Option<PathBuf>,
}

/// Arguments of `sms-segments`.
#[derive(Debug, Args)]
pub struct SmsSegments {
    /// Removes accents and replaces what is outside GSM-7.
    #[arg(long)]
    pub unaccented: bool,
    /// Puts a label first, such as `[QC]` before advertising; not twice.
    #[arg(long)]
    pub label: Option<String>,
    /// Puts a line last that says how to opt out; not twice.
    #[arg(long)]
    pub opt_out_line: Option<String>,
    /// Units that the provider adds by itself.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=140))]
    pub reserved: u16,
    /// Price of one SMS segment, such as 0.02.
    #[arg(long, requires = "currency")]
    pub cost: Option<String>,
    /// Its currency, ISO 4217.
    #[arg(long, requires = "cost")]
    pub currency: Option<String>,
    /// Bits of the reference that ties the SMS segments of a long text together.
    #[arg(long, default_value = "8", value_parser = ["8", "16"])]
    pub reference: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// The text; without it, or with `-`, standard input.
    pub text: Option<String>,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct Send {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Thread to answer in.
    #[arg(long, group = "target")]
    pub thread: Option<String>,
    /// Customer to reach, through the thread they last wrote to.
    #[arg(long, group = "target")]
    pub customer: Option<String>,
    /// Identifier to reach, `type/scope/value` or `type/value`; needs `--account`.
    #[arg(long, group = "target", requires = "account")]
    pub to: Option<String>,
    /// Account to send through.
    #[arg(long)]
    pub account: Option<String>,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
    /// Provider's id of the message to answer.
    #[arg(long)]
    pub reply_to: Option<String>,
    /// Address of a picture or file to send along.
    #[arg(long)]
    pub media_url: Option<String>,
    /// Not before this time, RFC 3339.
    #[arg(long)]
    pub at: Option<String>,
    /// Who writes; only a human's message is an answer in the sense of response times.
    #[arg(long, value_enum, default_value_t = Writer::Human)]
    pub by: Writer,
    /// Waits until the message has left or failed.
    #[arg(long)]
    pub wait: bool,
    /// What to say.
    pub text: String,
}

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Writer {
    /// A person.
    Human,
    /// A bot that answers.
    Bot,
    /// A rule, a notice.
    System,
    /// A campaign.
    Campaign,
}

/// `parked …`
#[derive(Debug, Subcommand)]
pub enum Parked {
    /// Lists parked items.
    #[command(after_help = "Example: omnigate parked list")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Shows one item with its content.
    #[command(after_help = "Example: omnigate parked show prk_…")]
    Show {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Its id.
        id: String,
    },
    /// Puts items back on their way.
    #[command(after_help = "Example: omnigate parked replay prk_…")]
    Replay {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Removes items for good.
    #[command(after_help = "Example: omnigate parked discard prk_…")]
    Discard {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Message id (`msg_…`) or entry id (`ent_…`).
    pub id: String,
}
