//! Arguments of `conversations …`.

use super::Remote;
use clap::{Args, Subcommand, ValueEnum};

/// `conversations …`
#[derive(Debug, Subcommand)]
pub enum Conversations {
    /// Lists conversations that are not closed; with --customer all of one customer, the youngest first.
    #[command(
        after_help = "Example: omnigate conversations list --status open --unassigned\n         \
        omnigate conversations list --customer phone/+84912345678 --output json"
    )]
    List(ListConversations),
    /// Shows one conversation with its times.
    #[command(after_help = "Example: omnigate conversations get cnv_…")]
    Get {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Conversation id.
        conversation: String,
    },
    /// Opens a conversation in a thread, without a word of the customer.
    #[command(after_help = "Example: omnigate conversations open thr_… --assignee lan --tag refund")]
    Open(OpenConversation),
    /// Gives a conversation to somebody, if nobody has it or the one who is named.
    #[command(after_help = "Example: omnigate conversations assign cnv_… --to lan\n         \
        omnigate conversations assign cnv_… --from lan --to minh\n         \
        omnigate conversations assign cnv_… --from minh --nobody")]
    Assign(AssignConversation),
    /// Marks a conversation as done.
    #[command(after_help = "Example: omnigate conversations resolve cnv_…")]
    Resolve(OneConversation),
    /// Opens a conversation again that is resolved, snoozed or with a bot.
    #[command(after_help = "Example: omnigate conversations reopen cnv_…")]
    Reopen(OneConversation),
    /// Puts a conversation aside until a moment, or until the customer writes.
    #[command(after_help = "Example: omnigate conversations snooze cnv_… --until 2026-12-01T09:00:00+07:00")]
    Snooze {
        /// Which.
        #[command(flatten)]
        which: OneConversation,
        /// Until when, RFC 3339.
        #[arg(long)]
        until: String,
    },
    /// Leaves a conversation to a bot.
    #[command(after_help = "Example: omnigate conversations pend cnv_…")]
    Pend(OneConversation),
    /// Closes a conversation for good.
    #[command(after_help = "Example: omnigate conversations close cnv_…")]
    Close(OneConversation),
    /// Adds tags to a conversation and takes tags away.
    #[command(after_help = "Example: omnigate conversations tag cnv_… --add refund --add vip --remove new")]
    Tag {
        /// Which.
        #[command(flatten)]
        which: OneConversation,
        /// Tag to add; may be given more than once.
        #[arg(long, value_name = "TAG")]
        add: Vec<String>,
        /// Tag to take away; may be given more than once.
        #[arg(long, value_name = "TAG")]
        remove: Vec<String>,
    },
    /// Says how urgent a conversation is.
    #[command(after_help = "Example: omnigate conversations priority cnv_… urgent")]
    Priority {
        /// Which.
        #[command(flatten)]
        which: OneConversation,
        /// How urgent.
        priority: Priority,
    },
    /// Lets a conversation go on in another thread.
    #[command(after_help = "Example: omnigate conversations join cnv_… thr_…")]
    Join {
        /// Which.
        #[command(flatten)]
        which: OneConversation,
        /// The thread.
        thread: String,
    },
    /// Takes a thread out of a conversation.
    #[command(after_help = "Example: omnigate conversations leave cnv_… thr_…")]
    Leave {
        /// Which.
        #[command(flatten)]
        which: OneConversation,
        /// The thread.
        thread: String,
    },
}

/// Where a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Status {
    /// With a bot.
    Pending,
    /// Somebody has to act.
    Open,
    /// Put aside.
    Snoozed,
    /// Done.
    Resolved,
    /// Done for good.
    Closed,
}

/// How urgent a conversation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Priority {
    /// Not said.
    None,
    /// May wait.
    Low,
    /// As usual.
    Normal,
    /// Before others.
    High,
    /// Now.
    Urgent,
}

/// `conversations list`
#[derive(Debug, Args)]
pub struct ListConversations {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Those of a customer: id, or an identifier.
    #[arg(long)]
    pub customer: Option<String>,
    /// Only with this status; may be given more than once.
    #[arg(long = "status")]
    pub statuses: Vec<Status>,
    /// Only those of this assignee.
    #[arg(long)]
    pub assignee: Option<String>,
    /// Only those that nobody has.
    #[arg(long, conflicts_with = "assignee")]
    pub unassigned: bool,
    /// Only those with this tag.
    #[arg(long)]
    pub tag: Option<String>,
    /// At most this many; without it all.
    #[arg(long)]
    pub limit: Option<usize>,
}

/// `conversations open`
#[derive(Debug, Args)]
pub struct OpenConversation {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Thread id, `thr_…`.
    pub thread: String,
    /// Who gets it.
    #[arg(long)]
    pub assignee: Option<String>,
    /// How urgent it is.
    #[arg(long, value_enum, default_value_t = Priority::None)]
    pub priority: Priority,
    /// A tag; may be given more than once.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `conversations assign`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true))]
pub struct AssignConversation {
    /// Which.
    #[command(flatten)]
    pub which: OneConversation,
    /// Who gets it.
    #[arg(long, group = "whom")]
    pub to: Option<String>,
    /// Takes it from whoever has it.
    #[arg(long, group = "whom")]
    pub nobody: bool,
    /// Their name.
    #[arg(long, requires = "to")]
    pub name: Option<String>,
    /// Who has it now; without it nobody may have it.
    #[arg(long)]
    pub from: Option<String>,
}

/// A conversation that is changed.
#[derive(Debug, Args)]
pub struct OneConversation {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Conversation id.
    pub conversation: String,
    /// Only if it looks as it did then: `etag` of what `get` shows.
    #[arg(long)]
    pub etag: Option<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}
