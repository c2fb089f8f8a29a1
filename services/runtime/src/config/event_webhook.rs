//! Outgoing webhooks as configured.

use super::{Config, ConnectionUrl, Secret, node::Source, section::section};
use omnigate_core::customer_event::kind_names;
use omnigate_core::event_webhook::{Endpoint, SigningKey};

/// Most endpoints: each reads every log of events.
const MAX_ENDPOINTS: usize = 100;

section! {
    /// An address that is told what takes effect, by POSTs that are signed as Standard Webhooks describe it.
    pub struct EventWebhook {
        /// Where to: `https://…` or `http://…`.
        pub url: ConnectionUrl,
        /// Secret that signs: `whsec_` and 24 to 64 random bytes in base64, such as `echo "whsec_$(openssl rand -base64 32)"`
        /// prints.
        pub secret: Secret,
        /// The secret before this one, while receivers change over: it signs too.
        pub former_secret: Option<Secret>,
        /// Kinds of events that are told, by their names in the contract's `CustomerEvent`, such as `entry_added` and
        /// `delivery_changed`; all when empty.
        pub events: Vec<String> = Vec::new(),
        /// Tenant whose events are told; without it `tenant` of the top level.
        pub tenant: Option<String>,
        /// Whether the address may lie in a private network.
        pub allow_private: bool = false,
        /// What it is for.
        pub description: Option<String>,
    }
}

impl Config {
    /// The endpoints of outgoing webhooks, by id.
    #[must_use]
    pub fn event_webhooks(&self) -> Vec<Endpoint> {
        let endpoint = |(id, webhook): (&String, &EventWebhook)| Endpoint {
            id: id.clone(),
            tenant_id: webhook.tenant.as_ref().unwrap_or(&self.tenant).clone(),
            url: webhook.url.expose().to_owned(),
            shown_url: host(&webhook.url),
            keys: secrets(webhook)
                .filter_map(|(_, secret)| SigningKey::read(secret.expose()))
                .collect(),
            kinds: webhook.events.iter().cloned().collect(),
            description: webhook.description.clone().unwrap_or_default(),
        };
        self.event_webhooks.iter().map(endpoint).collect()
    }
}

/// Scheme and host of an address: any other part of it may be a secret.
fn host(url: &ConnectionUrl) -> String {
    let shown = url.redacted().replace("***@", "");
    let (scheme, rest) = shown.split_once("://").unwrap_or(("", &shown));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn secrets(webhook: &EventWebhook) -> impl Iterator<Item = (&'static str, &Secret)> {
    let former = webhook.former_secret.iter().map(|secret| ("former_secret", secret));
    std::iter::once(("secret", &webhook.secret)).chain(former)
}

/// Notes what does not fit.
pub(super) fn validate(config: &Config, source: &Source<'_>) {
    if config.event_webhooks.len() > MAX_ENDPOINTS {
        source.wrong("event_webhooks", format!("must be at most {MAX_ENDPOINTS}"));
    }
    for (id, webhook) in &config.event_webhooks {
        let at = |field: &str| format!("event_webhooks.{id}.{field}");
        super::validate::id(source, &format!("event_webhooks.{id}"), "an outgoing webhook", id);
        if let Some(tenant) = &webhook.tenant {
            super::validate::id(source, &at("tenant"), "a tenant", tenant);
        }
        super::validate::scheme(source, &at("url"), Some(&webhook.url), &["https", "http"]);
        for (field, secret) in secrets(webhook) {
            if SigningKey::read(secret.expose()).is_none() {
                let what = "must be whsec_ and 24 to 64 bytes in base64";
                source.wrong(&at(field), what);
            }
        }
        let known: Vec<&str> = kind_names().collect();
        for kind in webhook.events.iter().filter(|kind| !known.contains(&kind.as_str())) {
            let what = format!("{kind:?} is no kind of event; kinds are {}", known.join(", "));
            source.wrong(&at("events"), what);
        }
    }
}
