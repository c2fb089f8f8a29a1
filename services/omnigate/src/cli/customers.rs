//! Arguments of `customers …`.

use super::Remote;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `customers …`
#[derive(Debug, Subcommand)]
pub enum Customers {
    /// Lists customers.
    #[command(after_help = "Example: omnigate customers list --limit 20 --output json")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
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
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}
