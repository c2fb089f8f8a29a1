//! Arguments of `campaigns …`.

use super::{Purpose, Remote};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// A whole file, for help.
const EXAMPLE_FILE: &str =
    "A file is TOML or JSON; in JSON it is a Campaign, as `get --output json` prints it. Example, tet.toml:\n
  display_name = \"Tết\"
  audience_id = \"aud_…\"
  excluded_audience_ids = [\"aud_…\"]
  purpose = \"marketing\"             # or \"service\"
  start_at = 2026-12-24T09:00:00+07:00  # for `schedule`
  send_within_ms = 86400000
  messages_per_second = 50.0

  [[steps]]                         # a later one is taken only where the one before did not succeed
  account_id = \"oa-shop\"
  template_id = \"tpl_…\"
  wait_ms = 600000
  fall_back_on = [\"unreachable\", \"timeout\"]

  [[steps]]
  account_id = \"sms-brand\"
  template_id = \"tpl_…\"";

/// `campaigns …`
#[derive(Debug, Subcommand)]
pub enum Campaigns {
    /// Makes a campaign, a draft: from a file, or with flags one of a single step.
    #[command(
        after_help = format!("Example: omnigate campaigns create tet.toml\n         \
            omnigate campaigns create - < tet.json\n         \
            omnigate campaigns create --name 'Tết' --audience 'Khách Huế' --account sms-brand --template tpl_… \\\n             \
            --purpose marketing\n\n{EXAMPLE_FILE}")
    )]
    Create(CreateCampaign),
    /// Shows a campaign.
    #[command(
        after_help = "Example: omnigate campaigns get 'Tết'\n         omnigate campaigns get cmp_… --output json > tet.json"
    )]
    Get(OneCampaign),
    /// Lists campaigns, the newest first.
    #[command(
        after_help = "Example: omnigate campaigns list\n         omnigate campaigns list --state running --state paused"
    )]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Only those in this state, such as `running`; may be given more than once.
        #[arg(long = "state")]
        states: Vec<String>,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Changes a campaign: all of it before it has begun, then its name, weight, rate and how long it may send.
    #[command(
        after_help = "Example: omnigate campaigns update 'Tết' --rate 100 --send-within 48h\n         \
        omnigate campaigns update cmp_… tet.toml"
    )]
    Update(UpdateCampaign),
    /// Lets a draft start by itself; a scheduled one starts at another time.
    #[command(after_help = "Example: omnigate campaigns schedule 'Tết' --at 2026-12-24T09:00:00+07:00")]
    Schedule {
        /// The campaign.
        #[command(flatten)]
        word: Word,
        /// When, RFC 3339; without it the campaign's own time.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Makes a scheduled campaign a draft again.
    #[command(after_help = "Example: omnigate campaigns unschedule 'Tết'")]
    Unschedule(Word),
    /// Starts a campaign now.
    #[command(after_help = "Example: omnigate campaigns start 'Tết' && omnigate campaigns watch 'Tết'")]
    Start(Word),
    /// Begins nothing new; what is under way is finished.
    #[command(after_help = "Example: omnigate campaigns pause 'Tết'")]
    Pause(Word),
    /// Lets a paused campaign go on.
    #[command(after_help = "Example: omnigate campaigns resume 'Tết'")]
    Resume(Word),
    /// Ends a campaign; whoever was sent nothing gets nothing any more.
    #[command(after_help = "Example: omnigate campaigns cancel 'Tết'")]
    Cancel(Word),
    /// Shows how far a campaign is until it has ended, then what came of it by step and channel.
    #[command(after_help = "Example: omnigate campaigns watch 'Tết'\n         \
        omnigate campaigns watch cmp_… --output json\n\n\
        Fails where the campaign FAILED. As JSON each report is a line.")]
    Watch(OneCampaign),
    /// Lists recipients and what came of each.
    #[command(
        after_help = "Example: omnigate campaigns recipients 'Tết' --state failed --state unknown\n         \
        omnigate campaigns recipients cmp_… --reason opted-out --step 0 --output json"
    )]
    Recipients(Recipients),
    /// Sends once more to those whose message provably did not leave.
    #[command(after_help = "Example: omnigate campaigns retry 'Tết'\n         \
        omnigate campaigns retry cmp_… --include-unknown")]
    Retry {
        /// The campaign.
        #[command(flatten)]
        campaign: OneCampaign,
        /// Sends also to those of whose message nobody knows whether it left; they may get it twice.
        #[arg(long)]
        include_unknown: bool,
    },
}

/// A campaign by id or name.
#[derive(Debug, Args)]
pub struct OneCampaign {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Campaign id (`cmp_…`), or the name where only one campaign has it.
    pub campaign: String,
}

/// A campaign that is told something.
#[derive(Debug, Args)]
pub struct Word {
    /// The campaign.
    #[command(flatten)]
    pub campaign: OneCampaign,
    /// How the campaign must stand; however it stands when left out.
    #[arg(long)]
    pub etag: Option<String>,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// What a campaign is, in flags; a file says what they do not.
#[derive(Clone, Debug, Args)]
pub struct Definition {
    /// Name to show.
    #[arg(long)]
    pub name: Option<String>,
    /// Who gets it: an audience, by id or name.
    #[arg(long)]
    pub audience: Option<String>,
    /// An audience whose members are left out, by id or name; may be given more than once.
    #[arg(long = "exclude", value_name = "AUDIENCE")]
    pub excluded: Vec<String>,
    /// What it is for.
    #[arg(long, value_enum)]
    pub purpose: Option<Purpose>,
    /// Account to send through, where there is one step.
    #[arg(long, requires = "template")]
    pub account: Option<String>,
    /// Template to send, where there is one step.
    #[arg(long, requires = "account")]
    pub template: Option<String>,
    /// When it starts, RFC 3339, once it is scheduled.
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// The most that it may start late, such as `30m`.
    #[arg(long, value_name = "DURATION")]
    pub late_by: Option<jiff::SignedDuration>,
    /// How long after its start something may be sent, such as `24h`.
    #[arg(long, value_name = "DURATION")]
    pub send_within: Option<jiff::SignedDuration>,
    /// Messages a second that it begins at most.
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,
    /// Share of an account beside other campaigns, 1 to 100.
    #[arg(long)]
    pub weight: Option<u32>,
}

/// `campaigns create`
#[derive(Debug, Args)]
pub struct CreateCampaign {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// File with the campaign; `-` for standard input.
    pub file: Option<PathBuf>,
    /// What it is.
    #[command(flatten)]
    pub definition: Definition,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `campaigns update`
#[derive(Debug, Args)]
pub struct UpdateCampaign {
    /// The campaign.
    #[command(flatten)]
    pub word: Word,
    /// File with what is changed; `-` for standard input. Fields that it does not have stay.
    pub file: Option<PathBuf>,
    /// What is changed.
    #[command(flatten)]
    pub definition: Definition,
}

/// `campaigns recipients`
#[derive(Debug, Args)]
pub struct Recipients {
    /// The campaign.
    #[command(flatten)]
    pub campaign: OneCampaign,
    /// Only those in this state, such as `delivered`; may be given more than once.
    #[arg(long = "state")]
    pub states: Vec<String>,
    /// Only those for this reason, such as `opted-out`; may be given more than once.
    #[arg(long = "reason")]
    pub reasons: Vec<String>,
    /// Only those at this step, from 0.
    #[arg(long)]
    pub step: Option<u32>,
    /// At most this many; without it all.
    #[arg(long)]
    pub limit: Option<usize>,
}
