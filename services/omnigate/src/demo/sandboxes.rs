//! The sandbox providers, and the accounts that the gateway has with them.

use crate::commands::print;
use anyhow::Context as _;
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{HttpBody, HttpRequest, Transport as _};
use omnigate_edge::HttpTransport;
use omnigate_runtime::clock::SystemClock;
use omnigate_sandbox::smsc::{self, AccountOptions, Smsc, SmscHandle};
use omnigate_sandbox::telegram::{self, BotOptions, Telegram, TelegramHandle};
use omnigate_sandbox::zalo::{self, Clock, Zalo, ZaloHandle};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Telegram bot whose updates come by webhook.
pub(super) const SHOP: &str = "shop";
/// Telegram bot whose updates are polled.
pub(super) const SUPPORT: &str = "support";
/// Zalo Official Account.
pub(super) const OA: &str = "oa";
/// SMS over SMPP.
pub(super) const BRAND: &str = "brand";
/// Number that people write SMS to.
pub(super) const SHORT_CODE: &str = "8099";
/// How far Zalo's clock is behind at the start: longer than its reply window of seven days.
pub(super) const BEHIND: Duration = Duration::from_mins(7 * 24 * 60 + 1);
/// Tokens of the two bots; nothing outside the sandbox knows them.
pub(super) const TOKENS: [&str; 2] = [
    "7000000001:AAdemo_shop_demo_shop_demo_shop_demo-1",
    "7000000002:AAdemo_support_demo_support_demo_sup-2",
];
/// What the sandbox shows with every webhook call of the shop.
const SECRET: &str = "demo-webhook-secret";
/// How long setting up may take.
const SET_UP: Duration = Duration::from_secs(10);

/// The providers.
pub(super) struct Sandboxes {
    /// Telegram, as the shop's bot.
    pub(super) telegram: TelegramHandle,
    /// Zalo, as the Official Account.
    pub(super) zalo: ZaloHandle,
    /// The message centre.
    pub(super) smsc: SmscHandle,
}

impl Sandboxes {
    /// Starts all three on free ports.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let sandboxes = Self {
            telegram: start_telegram().await?,
            zalo: start_zalo().await?,
            smsc: start_smsc().await?,
        };
        print::line(&format!(
            "sandbox Telegram listens on {}, Zalo on {}, an SMSC on {}",
            sandboxes.telegram.base_url(),
            sandboxes.zalo.base_url(),
            sandboxes.smsc.address()
        ));
        Ok(sandboxes)
    }

    /// An account with each, two with Telegram; everything else as it is by default.
    pub(super) fn configuration(&self, data_dir: &Path) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| env.insert(format!("OMNIGATE__{key}"), value.to_owned());
        set("DATA_DIR", &data_dir.to_string_lossy());
        set(
            "LOG__LEVEL",
            &std::env::var("OMNIGATE__LOG__LEVEL").unwrap_or_else(|_| "warn".to_owned()),
        );
        let telegram = self.telegram.base_url();
        let bot = |token| [("BOT_TOKEN", token), ("API_URL", telegram.as_str())];
        let by_webhook = [("MODE", "webhook"), ("SECRET_TOKEN", SECRET)];
        configure(
            &mut env,
            SHOP,
            &[("CHANNEL", "telegram")],
            &[&bot(TOKENS[0])[..], &by_webhook].concat(),
        );
        configure(
            &mut env,
            SUPPORT,
            &[("CHANNEL", "telegram")],
            &[&bot(TOKENS[1])[..], &[("MODE", "polling")]].concat(),
        );
        let zalo = self.zalo.base_url();
        let (_, refresh_token) = self.zalo.tokens().unwrap_or_default();
        configure(
            &mut env,
            OA,
            &[("CHANNEL", "zalo")],
            &[
                ("OA_ID", &self.zalo.oa_id()),
                ("APP_ID", &self.zalo.app_id()),
                ("APP_SECRET", &self.zalo.app_secret()),
                ("OA_SECRET_KEY", &self.zalo.oa_secret_key()),
                ("REFRESH_TOKEN", &refresh_token),
                ("API_URL", &zalo),
                ("ZNS_URL", &zalo),
                ("OAUTH_URL", &zalo),
                ("SUBMITTED_PHONE", "verified"),
            ],
        );
        let esme = AccountOptions::default();
        let address = self.smsc.address();
        configure(
            &mut env,
            BRAND,
            &[
                ("CHANNEL", "sms"),
                ("PROVIDER", "smpp"),
                ("SETTINGS__PORT", &address.port().to_string()),
            ],
            &[
                ("HOST", &address.ip().to_string()),
                ("SYSTEM_ID", &esme.system_id),
                ("PASSWORD", &esme.password),
                ("SENDER", SHORT_CODE),
            ],
        );
        env
    }

    /// Points Telegram's and Zalo's webhooks at the gateway, and waits until it has bound to the SMSC.
    pub(super) async fn connect(&self, webhooks: SocketAddr) -> anyhow::Result<()> {
        set_telegram_webhook(&self.telegram, webhooks).await?;
        let url = format!("http://{webhooks}/v1/webhooks/{OA}");
        self.zalo
            .set_webhook(&url)
            .await
            .context("sandbox Zalo refused the webhook")?;
        let bound = self.smsc.wait_for(|view| view.bound() > 0, SET_UP).await;
        bound.context("the gateway did not bind to the sandbox SMSC")
    }

    /// Stops all three.
    pub(super) async fn stop(self) {
        tokio::join!(self.telegram.stop(), self.zalo.stop(), self.smsc.stop());
    }
}

/// Writes down an account: the keys that say what it is, then its settings.
fn configure(env: &mut BTreeMap<String, String>, account: &str, kind: &[(&str, &str)], settings: &[(&str, &str)]) {
    let key = format!("OMNIGATE__ACCOUNTS__{}", account.to_uppercase());
    let kind = kind
        .iter()
        .map(|(name, value)| (format!("{key}__{name}"), (*value).to_owned()));
    env.extend(kind);
    // In quotes, because the digits of ids are no numbers.
    let settings = settings.iter();
    env.extend(settings.map(|(name, value)| (format!("{key}__SETTINGS__{name}"), format!("{value:?}"))));
}

async fn listener() -> anyhow::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0")
        .await
        .context("the sandbox cannot listen")
}

async fn start_telegram() -> anyhow::Result<TelegramHandle> {
    let bot = |token: &str, name: &str| BotOptions {
        token: token.to_owned(),
        username: format!("demo_{name}_bot"),
        name: name.to_owned(),
    };
    let options = telegram::Options {
        bots: vec![bot(TOKENS[0], SHOP), bot(TOKENS[1], SUPPORT)],
        speed: 20,
        ..telegram::Options::default()
    };
    Telegram::start(listener().await?, options).context("sandbox Telegram cannot start")
}

async fn start_zalo() -> anyhow::Result<ZaloHandle> {
    let behind = Clock::from_fn(|| {
        let unix_ms = u64::try_from(SystemClock.now().0).unwrap_or_default();
        Duration::from_millis(unix_ms).saturating_sub(BEHIND)
    });
    let options = zalo::Options {
        clock: behind,
        // The clock is put forward by more than the life that tokens have at Zalo; this show is not about tokens.
        access_token_life: 4 * BEHIND,
        speed: 20,
        ..zalo::Options::default()
    };
    Zalo::start(listener().await?, options).context("sandbox Zalo cannot start")
}

async fn start_smsc() -> anyhow::Result<SmscHandle> {
    let options = smsc::Options {
        speed: 20,
        ..smsc::Options::default()
    };
    Smsc::start(listener().await?, None, options).context("the sandbox SMSC cannot start")
}

async fn set_telegram_webhook(sandbox: &TelegramHandle, webhooks: SocketAddr) -> anyhow::Result<()> {
    let base = sandbox.base_url();
    let body = serde_json::json!({
        "url": format!("http://{webhooks}/v1/webhooks/{SHOP}"),
        "secret_token": SECRET,
        "allowed_updates": ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"],
    });
    let request = HttpRequest {
        method: "POST",
        url: format!("{base}/bot{}/setWebhook", TOKENS[0]),
        headers: Vec::new(),
        body: HttpBody::Json(serde_json::to_vec(&body)?.into()),
        time_limit: SET_UP,
    };
    let answer = HttpTransport::new([base.as_str()])?.call(request).await?;
    anyhow::ensure!(
        answer.status == 200,
        "sandbox Telegram refused the webhook: {}",
        answer.status
    );
    Ok(())
}
