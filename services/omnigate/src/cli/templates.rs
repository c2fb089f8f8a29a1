//! Arguments of `templates …`.

use super::Remote;
use clap::{Args, Subcommand};

/// A whole file, for help.
const EXAMPLE_FILE: &str = "A file is TOML or JSON; in JSON it is a TemplateDefinition, or what `get --output json` prints. Example, order.toml:\n
  display_name = \"Order shipped\"
  purpose = \"service\"               # or \"marketing\"

  [[variables]]                     # values come from the audience's row or the customer's attributes
  name = \"name\"
  type = \"text\"                     # text, number, money, date, date_time, boolean, url, phone
  required = true                   # or default_value = \"…\"

  [[variables]]
  name = \"total\"
  type = \"money\"
  currency = \"VND\"
  default_value = \"0\"

  [[variants]]
  locale = \"vi\"
  channel = \"sms\"
  sms.text = \"Chào {{ name }}, đơn {{ total }} đã gửi.\"
  sms.without_accents = true
  sms.max_segments = 2

  [[variants]]
  locale = \"vi\"
  channel = \"zalo\"
  rich.parts = [{ text.text = \"Chào {{ name }}, đơn {{ total }} đã gửi.\" }]
  rich.provider_template = { template_id = \"300001\", parameters = { name = \"{{ name }}\" } }

  [[variants]]
  locale = \"vi\"
  channel = \"email\"
  email.subject = \"Đơn hàng đã gửi\"
  email.html = \"<p>Chào {{ name }}</p>\"
  email.text = \"Chào {{ name }}\"";

/// `templates …`
#[derive(Debug, Subcommand)]
pub enum Templates {
    /// Makes a template from a file.
    #[command(
        after_help = format!("Example: omnigate templates create order.toml\n         \
            omnigate templates create - < order.json\n\n{EXAMPLE_FILE}")
    )]
    Create(CreateTemplate),
    /// Makes the next version of a template from a file; the versions before stay as they are.
    #[command(
        after_help = format!("Example: omnigate templates update tpl_… order.toml\n         \
            omnigate templates update tpl_… order.toml --etag v3\n\n{EXAMPLE_FILE}")
    )]
    Update(UpdateTemplate),
    /// Shows a version of a template, or the newest.
    // `--version` is the template's here.
    #[command(disable_version_flag = true)]
    #[command(after_help = "Example: omnigate templates get tpl_…\n         \
        omnigate templates get tpl_… --version 2 --output json > order.json")]
    Get {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Template id.
        template: String,
        /// Which version; without it the newest.
        #[arg(long, value_name = "NUMBER")]
        version: Option<u32>,
    },
    /// Lists templates, the oldest first.
    #[command(after_help = "Example: omnigate templates list\n         omnigate templates list --archived --limit 20")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Lists archived ones, too.
        #[arg(long)]
        archived: bool,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Takes a template out of use; it cannot be taken back.
    #[command(after_help = "Example: omnigate templates archive tpl_…")]
    Archive(ArchiveTemplate),
    /// Shows what a template says: every variant, with its SMS segments; sends nothing.
    ///
    /// The cost of an SMS is shown where an account is named whose settings have `cost_per_segment`.
    #[command(disable_version_flag = true)]
    #[command(
        after_help = "Example: omnigate templates preview tpl_… --customer phone/+84912345678\n         \
        omnigate templates preview order.toml --value name=Lan --value total=1250000 --account sms-shop\n         \
        omnigate templates preview order.toml --samples --output json"
    )]
    Preview(PreviewTemplate),
    /// Sends a template to one of the tenant's test recipients (`tenants.<id>.test_recipients` of the configuration).
    #[command(disable_version_flag = true)]
    #[command(
        after_help = "Example: omnigate templates test tpl_… --to phone/+84912345678 --account sms-shop --samples\n         \
        omnigate templates test tpl_… --to phone/+84912345678 --account sms-shop --value name=Lan"
    )]
    Test(TestTemplate),
}

/// `templates create`
#[derive(Debug, Args)]
pub struct CreateTemplate {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// File with the template; `-` for standard input.
    pub file: String,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `templates update`
#[derive(Debug, Args)]
pub struct UpdateTemplate {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Template id.
    pub template: String,
    /// File with the template; `-` for standard input.
    pub file: String,
    /// How the template stood when the file was written; as it stands now when left out.
    #[arg(long)]
    pub etag: Option<String>,
    /// Makes repeating the command harmless, with --etag; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// `templates archive`
#[derive(Debug, Args)]
pub struct ArchiveTemplate {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Template id.
    pub template: String,
    /// How the template must stand; however it stands when left out.
    #[arg(long)]
    pub etag: Option<String>,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// What a template is filled in with.
#[derive(Debug, Args)]
pub struct Filling {
    /// Value of a variable, `name=value`; may be repeated.
    #[arg(long = "value", value_name = "NAME=VALUE")]
    pub values: Vec<String>,
    /// Fills in samples where values are missing.
    #[arg(long)]
    pub samples: bool,
    /// Language of the recipient; the customer's or the tenant's when left out.
    #[arg(long)]
    pub locale: Option<String>,
    /// IANA time zone of the recipient; the tenant's when left out.
    #[arg(long)]
    pub time_zone: Option<String>,
}

/// `templates preview`
#[derive(Debug, Args)]
pub struct PreviewTemplate {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Template id, or a file with a template that is not stored; `-` for standard input.
    pub template: String,
    /// Which version of a stored one; without it the newest.
    #[arg(long, value_name = "NUMBER")]
    pub version: Option<u32>,
    /// Customer to take values and language from: an id, or an identifier.
    #[arg(long)]
    pub customer: Option<String>,
    /// What it is filled in with.
    #[command(flatten)]
    pub filling: Filling,
    /// SMS account to count SMS segments and cost for.
    #[arg(long)]
    pub account: Option<String>,
    /// Only variants of this channel.
    #[arg(long)]
    pub channel: Option<String>,
}

/// `templates test`
#[derive(Debug, Args)]
pub struct TestTemplate {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Template id.
    pub template: String,
    /// Which version; without it the newest.
    #[arg(long, value_name = "NUMBER")]
    pub version: Option<u32>,
    /// Test recipient, `type/scope/value` or `type/value`.
    #[arg(long)]
    pub to: String,
    /// Account to send through; its channel says which variants.
    #[arg(long)]
    pub account: String,
    /// What it is filled in with.
    #[command(flatten)]
    pub filling: Filling,
    /// Makes repeating the command harmless; random when left out.
    #[arg(long)]
    pub request_id: Option<String>,
}
