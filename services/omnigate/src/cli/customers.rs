//! Arguments of `customers …`.

use super::Remote;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `customers …`
#[derive(Debug, Subcommand)]
pub enum Customers {
    /// Lists customers.
    #[command(after_help = "Example: omnigate customers list --limit 20 --output json\n         \
        omnigate customers list --filter '\"vip\" in customer.tags && customer.last_inbound_at > now - duration(\"72h\")'")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
        /// Only those for which this expression (CEL) is true.
        #[arg(long, value_name = "EXPRESSION")]
        filter: Option<String>,
    },
    /// Shows everything about a customer: threads, attributes, tags, when each side last wrote, the newest entries.
    #[command(after_help = "Example: omnigate customers overview phone/+84912345678 --entries 20")]
    Overview(OverviewOfCustomer),
    /// Sets and removes attributes and tags.
    #[command(
        after_help = "Example: omnigate customers update cus_… --set city=Huế --set age:number=40 --tag vip\n         \
        omnigate customers update phone/+84912345678 --remove city --untag vip"
    )]
    Update(UpdateCustomer),
    /// Writes a note about a customer, for the company's own eyes; changes or withdraws one.
    #[command(
        after_help = "Example: omnigate customers note cus_… 'wants to be called after six' --author Minh\n         \
        omnigate customers note cus_… --edit ent_… 'wants to be called after seven'\n         \
        omnigate customers note cus_… --delete ent_…"
    )]
    Note(NoteOfCustomer),
    /// Shows one customer.
    #[command(after_help = "Example: omnigate customers get cus_…\n         omnigate customers get phone/+84912345678")]
    Get {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Customer id, or an identifier `type/scope/value` or `type/value`.
        customer: String,
    },
    /// Shows a customer's timeline, oldest first.
    #[command(after_help = "Example: omnigate customers timeline cus_… --limit 50\n         \
        omnigate customers timeline phone/+84912345678 --follow")]
    Timeline {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Customer id, or an identifier.
        customer: String,
        /// The newest so many entries; without it all.
        #[arg(long)]
        limit: Option<usize>,
        /// Which of them.
        #[command(flatten)]
        filter: EntryFilter,
        /// Goes on with what comes.
        #[arg(long, short)]
        follow: bool,
    },
    /// Makes two customers one: the older one survives, the other's id leads to it for ever.
    #[command(after_help = "Example: omnigate customers merge cus_… cus_… --check\n         \
        omnigate customers merge phone/+84912345678 zalo_uid/oa/123456")]
    Merge(MergeCustomers),
    /// Takes a customer apart: undoes a merge, or gives identifiers a customer of their own.
    #[command(after_help = "Example: omnigate customers split cus_… --merge txn_…\n         \
        omnigate customers split cus_… --identifier phone/+84912345678\n         \
        omnigate customers split cus_… --new-holder phone/+84912345678")]
    Split(SplitCustomer),
    /// Gives a customer an identifier; who has it already is merged with the customer.
    #[command(after_help = "Example: omnigate customers link cus_… email/an@example.vn")]
    Link(OneIdentifier),
    /// Takes an identifier from a customer: it gets a customer of its own, with what came by it.
    #[command(after_help = "Example: omnigate customers unlink cus_… phone/+84912345678")]
    Unlink(OneIdentifier),
    /// Lists customers that look like one and that rules keep apart; settles one of them.
    #[command(after_help = "Example: omnigate customers conflicts\n         \
        omnigate customers conflicts --keep-apart cus_… cus_…\n         \
        omnigate customers conflicts --new-holder cus_… cus_…\n         \
        omnigate customers merge cus_… cus_…")]
    Conflicts(Conflicts),
    /// Writes everything that is kept about a customer: one JSON object a line, the customer first.
    #[command(after_help = "Example: omnigate customers export phone/+84912345678 --file lan.jsonl")]
    Export {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Customer id, or an identifier.
        customer: String,
        /// Where to write; without it standard output.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Erases a customer for good, and says until when copies exist elsewhere.
    #[command(after_help = "Example: omnigate customers erase phone/+84912345678 --yes")]
    Erase {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Customer id, or an identifier.
        customer: String,
        /// Without it nothing is erased: what would be is told.
        #[arg(long)]
        yes: bool,
        /// The same for each repetition; without it one is made up.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Shows what made a customer what it is: why is this one person?
    #[command(after_help = "Example: omnigate customers identity cus_…")]
    Identity {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Customer id, or an identifier.
        customer: String,
    },
}

/// Which entries of a timeline.
#[derive(Debug, Default, Args)]
pub struct EntryFilter {
    /// Only those of this channel; may be given more than once.
    #[arg(long = "channel", value_name = "CHANNEL", conflicts_with = "follow")]
    pub channels: Vec<String>,
    /// Only those of this account; may be given more than once.
    #[arg(long = "account", value_name = "ACCOUNT", conflicts_with = "follow")]
    pub accounts: Vec<String>,
    /// Only those of this kind, such as `message`, `note` or `identity-change`; may be given more than once.
    #[arg(long = "kind", value_name = "KIND", conflicts_with = "follow")]
    pub kinds: Vec<String>,
    /// Only those shown at this time or later, RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub from: Option<String>,
    /// Only those shown before this time, RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub to: Option<String>,
}

/// `customers overview`
#[derive(Debug, Args)]
pub struct OverviewOfCustomer {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// How many of the newest entries are shown, 100 at most.
    #[arg(long, default_value_t = 10)]
    pub entries: i32,
}

/// `customers update`
#[derive(Debug, Args)]
pub struct UpdateCustomer {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// An attribute to set: `name=text`, `name:number=3`, `name:flag=true` or `name:time=2026-01-31T00:00:00Z`; may be given
    /// more than once.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// An attribute to remove; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub remove: Vec<String>,
    /// A tag to add; may be given more than once.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// A tag to remove; may be given more than once.
    #[arg(long, value_name = "TAG")]
    pub untag: Vec<String>,
    /// Who says it: `authoritative`, `agent`, `channel-verified`, `channel-stated` or `import`.
    #[arg(long, default_value = "agent")]
    pub source: String,
    /// Which one of them, such as the name of a system.
    #[arg(long)]
    pub source_id: Option<String>,
    /// Only if the customer is still this version, from `customers get --output json`.
    #[arg(long)]
    pub etag: Option<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `customers note`
#[derive(Debug, Args)]
pub struct NoteOfCustomer {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// What the note says.
    #[arg(required_unless_present = "delete")]
    pub text: Option<String>,
    /// Who writes it; without it the name of the user of this machine.
    #[arg(long)]
    pub author: Option<String>,
    /// Entry of a note to change.
    #[arg(long, value_name = "ENTRY", conflicts_with = "delete")]
    pub edit: Option<String>,
    /// Entry of a note to withdraw.
    #[arg(long, value_name = "ENTRY")]
    pub delete: Option<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `customers merge`
#[derive(Debug, Args)]
pub struct MergeCustomers {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// The other one.
    pub other: String,
    /// Only says what each rule says to it.
    #[arg(long)]
    pub check: bool,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `customers split`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("how").required(true).multiple(true))]
pub struct SplitCustomer {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// The merge to undo, `txn_…` from `customers get`; with --identifier only for those.
    #[arg(long, group = "how")]
    pub merge: Option<String>,
    /// An identifier that leaves; may be given more than once.
    #[arg(long = "identifier", group = "how", value_name = "IDENTIFIER")]
    pub identifiers: Vec<String>,
    /// An address that got a new holder: from now on it is somebody else's.
    #[arg(long, group = "how", conflicts_with_all = ["merge", "identifiers"], value_name = "IDENTIFIER")]
    pub new_holder: Option<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `customers link` and `customers unlink`
#[derive(Debug, Args)]
pub struct OneIdentifier {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// The identifier, `type/scope/value` or `type/value`.
    pub identifier: String,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `customers conflicts`
#[derive(Debug, Args)]
pub struct Conflicts {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// At most this many; without it all.
    #[arg(long)]
    pub limit: Option<usize>,
    /// Two customers that are two, whatever a channel says from now on.
    #[arg(long, num_args = 2, value_names = ["CUSTOMER", "OTHER"])]
    pub keep_apart: Option<Vec<String>>,
    /// Two customers that are two, and the phone number that they are in conflict about is now the one's who was not known
    /// by it.
    #[arg(long, num_args = 2, value_names = ["CUSTOMER", "OTHER"], conflicts_with = "keep_apart")]
    pub new_holder: Option<Vec<String>>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}
