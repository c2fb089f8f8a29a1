//! Arguments of `consent …`.

use super::Remote;
use clap::{Args, Subcommand, ValueEnum};
use omnigate_proto::v1;

/// `consent …`
#[derive(Debug, Subcommand)]
pub enum Consent {
    /// Says whether a message would leave now, and why: every layer that is looked at, and which one decides.
    #[command(
        after_help = "Example: omnigate consent get phone/+84912345678 --channel sms\n         \
        omnigate consent get cus_… --channel zalo --purpose marketing"
    )]
    Get(GetConsent),
    /// Records what somebody agreed to or refused.
    #[command(
        after_help = "Example: omnigate consent set phone/+84912345678 --channel sms --status granted --basis consent \\\n             \
        --source web-form --text-version 2026-11 --proof form/4711\n         \
        omnigate consent set email/an@example.vn --channel email --status denied --source call-centre"
    )]
    Set(SetConsent),
    /// Lists everything that was recorded about an identifier, newest first.
    #[command(after_help = "Example: omnigate consent history phone/+84912345678 --limit 20")]
    History {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// The identifier, `type/scope/value` or `type/value`.
        identifier: String,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Notes that a customer wants no advertising at all, on no channel.
    #[command(
        after_help = "Example: omnigate consent refuse cus_… --source call-centre\n         \
        omnigate consent refuse cus_… --source call-centre --take-back"
    )]
    Refuse(Refuse),
    /// Puts an identifier on the list of those that nothing is sent to; it stays there when its owner is erased.
    #[command(
        after_help = "Example: omnigate consent suppress phone/+84912345678 --reason complaint\n         \
        omnigate consent suppress phone/+84912345678 --reason legal-register --channel sms --marketing-only"
    )]
    Suppress(Suppress),
    /// Takes one reason off that list.
    #[command(
        after_help = "Example: omnigate consent unsuppress phone/+84912345678 --reason complaint\n         \
        omnigate consent unsuppress sup_… --reason manual --channel sms"
    )]
    Unsuppress(Unsuppress),
    /// Shows that list, or what it says about one identifier.
    #[command(after_help = "Example: omnigate consent suppressions --limit 100\n         \
        omnigate consent suppressions phone/+84912345678")]
    Suppressions {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// An identifier, or its hash `sup_…`; without it all.
        identifier: Option<String>,
        /// Of at most so many identifiers; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
}

/// `consent get`
#[derive(Debug, Args)]
pub struct GetConsent {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, for all their identifiers, or an identifier.
    pub who: String,
    /// Kind of channel, such as `sms`.
    #[arg(long)]
    pub channel: String,
    /// What the message would be for.
    #[arg(long, value_enum, default_value_t = Purpose::Marketing)]
    pub purpose: Purpose,
    /// Account through which it would go; without it what was refused to any of the channel's accounts counts.
    #[arg(long)]
    pub account: Option<String>,
}

/// `consent set`
#[derive(Debug, Args)]
pub struct SetConsent {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// The identifier, `type/scope/value` or `type/value`.
    pub identifier: String,
    /// Kind of channel, such as `sms`.
    #[arg(long)]
    pub channel: String,
    /// What was said; `unknown` takes back what stood before.
    #[arg(long, value_enum)]
    pub status: Status,
    /// Legal basis; a grant needs one.
    #[arg(long, value_enum)]
    pub basis: Option<Basis>,
    /// Where it was said.
    #[arg(long)]
    pub source: String,
    /// Version of the text that was agreed to.
    #[arg(long, default_value = "")]
    pub text_version: String,
    /// Reference to a proof.
    #[arg(long, default_value = "")]
    pub proof: String,
    /// When it was said, RFC 3339; without it now.
    #[arg(long)]
    pub at: Option<String>,
    /// When a grant ends by itself, RFC 3339.
    #[arg(long)]
    pub expires_at: Option<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `consent refuse`
#[derive(Debug, Args)]
pub struct Refuse {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Customer id, or an identifier.
    pub customer: String,
    /// Where it was said.
    #[arg(long)]
    pub source: String,
    /// Reference to a proof.
    #[arg(long, default_value = "")]
    pub proof: String,
    /// Takes it back, for everybody who was merged into the customer.
    #[arg(long)]
    pub take_back: bool,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `consent suppress`
#[derive(Debug, Args)]
pub struct Suppress {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// The identifier, `type/scope/value` or `type/value`.
    pub identifier: String,
    /// Why.
    #[arg(long, value_enum)]
    pub reason: Reason,
    /// Kind of channel; without it all.
    #[arg(long, default_value = "")]
    pub channel: String,
    /// About advertising only; without it about every message.
    #[arg(long)]
    pub marketing_only: bool,
    /// When it ends by itself, RFC 3339.
    #[arg(long)]
    pub until: Option<String>,
    /// Who says so; no person's name.
    #[arg(long, default_value = "")]
    pub source: String,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `consent unsuppress`
#[derive(Debug, Args)]
pub struct Unsuppress {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// The identifier, or its hash `sup_…`.
    pub identifier: String,
    /// Which reason.
    #[arg(long, value_enum)]
    pub reason: Reason,
    /// Kind of channel of the entry; without it the one about all.
    #[arg(long, default_value = "")]
    pub channel: String,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// What a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Purpose {
    /// What the person asked for or needs to know.
    Service,
    /// Advertising.
    Marketing,
}

/// What was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Status {
    /// They agreed.
    Granted,
    /// They refused.
    Denied,
    /// Nothing is known any more.
    Unknown,
}

/// Legal basis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Basis {
    /// The person agreed.
    Consent,
    /// A contract with the person.
    Contract,
    /// A law asks for it.
    LegalObligation,
    /// An interest that outweighs theirs.
    LegitimateInterest,
    /// They are a customer already and did not object.
    ExistingCustomer,
}

/// Why nothing is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Reason {
    /// It cannot be reached.
    HardBounce,
    /// The person complained.
    Complaint,
    /// It stands on a register of those who must not be sent advertising.
    LegalRegister,
    /// Its owner was erased.
    Erased,
    /// Somebody decided so.
    Manual,
    /// The phone number may have been given to somebody else.
    Reassigned,
}

impl From<Purpose> for v1::Purpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Service => Self::Service,
            Purpose::Marketing => Self::Marketing,
        }
    }
}

impl From<Status> for v1::ConsentStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Granted => Self::Granted,
            Status::Denied => Self::Denied,
            Status::Unknown => Self::Unknown,
        }
    }
}

impl From<Basis> for v1::LegalBasis {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Consent => Self::Consent,
            Basis::Contract => Self::Contract,
            Basis::LegalObligation => Self::LegalObligation,
            Basis::LegitimateInterest => Self::LegitimateInterest,
            Basis::ExistingCustomer => Self::ExistingCustomer,
        }
    }
}

impl From<Reason> for v1::SuppressionReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::HardBounce => Self::HardBounce,
            Reason::Complaint => Self::Complaint,
            Reason::LegalRegister => Self::LegalRegister,
            Reason::Erased => Self::Erased,
            Reason::Manual => Self::Manual,
            Reason::Reassigned => Self::Reassigned,
        }
    }
}
