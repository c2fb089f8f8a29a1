//! What must hold between keys.

use super::{Account, Config, ConnectionUrl, SCOPES, Secret, Token, node::Source};
use omnigate_core::account::AdapterRef;
use std::collections::{BTreeMap, BTreeSet};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Shortest token: anything a person would choose can be guessed from its hash.
const MIN_TOKEN: usize = 16;
/// Longest id of an app, an account or a tenant.
const MAX_ID: usize = 64;
/// Most partitions: their numbers are written with two digits or three.
const MAX_PARTITIONS: u16 = 256;
/// Longest time to acknowledge an event, in seconds.
const MAX_ACKNOWLEDGE: u64 = 24 * 3600;
/// Most events of a member that are not acknowledged: they stand in memory.
const MAX_UNACKNOWLEDGED: u32 = 100_000;
/// Longest time that a receiver of an outgoing webhook may take, in seconds.
const MAX_WEBHOOK: u64 = 60;
/// Longest time that an outgoing webhook may fail, in hours: events are not kept longer.
const MAX_DISABLE: u64 = 72;
/// Longest phase of a stop, in seconds.
const MAX_BUDGET: u64 = 3600;

/// Levels and directives such as `info,omnigate_unify=debug`. A bare word that is no level would be taken for the name of a
/// part, and silence all others.
fn is_filter(text: &str) -> bool {
    let is_level = |word: &str| word.trim().parse::<LevelFilter>().is_ok();
    let sensible = text.split(',').all(|word| word.contains('=') || is_level(word));
    sensible && EnvFilter::try_new(text).is_ok()
}

/// Notes everything that does not fit together.
pub(crate) fn validate(config: &Config, source: &Source<'_>) {
    broker_and_store(config, source);
    limits(config, source);
    tls(config, source);
    if !is_filter(&config.log.level) {
        source.wrong(
            "log.level",
            "is neither a level (error, warn, info, debug, trace) nor directives",
        );
    }
    id(source, "tenant", "a tenant", &config.tenant);
    id(source, "environment", "an environment", &config.environment);
    for (name, app) in &config.apps {
        let key = format!("apps.{name}");
        id(source, &key, "an app", name);
        id(source, &format!("{key}.channel"), "a channel", &app.channel);
        if let Some(tenant) = &app.tenant {
            id(source, &format!("{key}.tenant"), "a tenant", tenant);
        }
    }
    for (name, account) in &config.accounts {
        self::account(config, source, name, account);
    }
    tokens(config, source);
    super::consent::validate(config, source);
    super::customers::validate(config, source);
    super::tenant::validate(config, source);
    super::event_webhook::validate(config, source);
    if let Some(token) = &config.cluster.token {
        long_enough(source, "cluster.token", token);
    }
}

fn broker_and_store(config: &Config, source: &Source<'_>) {
    let broker = &config.broker;
    if !(1..=MAX_PARTITIONS).contains(&broker.partitions) {
        source.wrong("broker.partitions", format!("must be 1 to {MAX_PARTITIONS}"));
    }
    scheme(source, "broker.url", broker.url.as_ref(), &["amqp", "amqps"]);
    scheme(source, "store.url", config.store.url.as_ref(), &["redis", "rediss"]);
    let store = &config.store;
    for (key, secret) in [
        ("store.seal_key", &store.seal_key),
        ("store.former_seal_key", &store.former_seal_key),
    ] {
        if secret.as_ref().is_some_and(|secret| secret.as_key().is_none()) {
            source.wrong(key, "must be 64 hexadecimal digits");
        }
    }
    for (place, _) in store
        .former_seal_keys
        .0
        .iter()
        .enumerate()
        .filter(|(_, key)| key.as_key().is_none())
    {
        let key = format!("store.former_seal_keys.{place}");
        source.wrong(&key, "must be 64 hexadecimal digits");
    }
    let former = [
        ("store.former_seal_key", store.former_seal_key.is_some()),
        ("store.former_seal_keys", !store.former_seal_keys.0.is_empty()),
    ];
    for (name, _) in former
        .into_iter()
        .filter(|(_, is_set)| *is_set && store.seal_key.is_none())
    {
        source.wrong("store.seal_key", format!("is missing: {name} is set"));
    }
}

/// The scheme up to a `+`, after which the store names its kind of deployment.
pub(super) fn scheme(source: &Source<'_>, key: &str, url: Option<&ConnectionUrl>, known: &[&str]) {
    let scheme = url.and_then(|url| url.expose().split("://").next()?.split('+').next());
    if scheme.is_some_and(|scheme| !known.contains(&scheme)) {
        source.wrong(key, format!("must begin with {}, then ://", known.join(" or ")));
    }
}

fn limits(config: &Config, source: &Source<'_>) {
    let limits = &config.limits;
    let positive = [
        ("webhook_body_bytes", limits.webhook_body_bytes),
        ("grpc_message_bytes", limits.grpc_message_bytes),
        ("push_bytes_in_flight", limits.push_bytes_in_flight),
        ("push_events_in_flight", limits.push_events_in_flight),
        ("max_connections", limits.max_connections.into()),
        ("calls_per_connection", limits.calls_per_connection.into()),
        ("call_seconds", limits.call_seconds),
    ];
    for (name, _) in positive.into_iter().filter(|(_, limit)| *limit == 0) {
        source.wrong(&format!("limits.{name}"), "must be more than 0");
    }
    let events = &config.events;
    if !(1..=MAX_ACKNOWLEDGE).contains(&events.acknowledge_seconds) {
        let what = format!("must be 1 to {MAX_ACKNOWLEDGE}");
        source.wrong("events.acknowledge_seconds", what);
    }
    if !(1..=MAX_UNACKNOWLEDGED).contains(&events.max_unacknowledged) {
        let what = format!("must be 1 to {MAX_UNACKNOWLEDGED}");
        source.wrong("events.max_unacknowledged", what);
    }
    if !(1..=MAX_WEBHOOK).contains(&events.webhook_seconds) {
        source.wrong("events.webhook_seconds", format!("must be 1 to {MAX_WEBHOOK}"));
    }
    if !(1..=MAX_DISABLE).contains(&events.webhook_disable_hours) {
        source.wrong("events.webhook_disable_hours", format!("must be 1 to {MAX_DISABLE}"));
    }
    let budgets = &config.budgets;
    let phases = [
        ("intake_seconds", budgets.intake_seconds),
        ("in_flight_seconds", budgets.in_flight_seconds),
        ("flush_seconds", budgets.flush_seconds),
        ("tokens_seconds", budgets.tokens_seconds),
        ("close_seconds", budgets.close_seconds),
        ("health_seconds", budgets.health_seconds),
    ];
    for (name, _) in phases.into_iter().filter(|(_, seconds)| *seconds > MAX_BUDGET) {
        source.wrong(&format!("budgets.{name}"), format!("must be at most {MAX_BUDGET}"));
    }
}

fn tls(config: &Config, source: &Source<'_>) {
    let tls = &config.tls;
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => source.wrong("tls.key_file", "is missing: tls.cert_file is set"),
        (None, Some(_)) => source.wrong("tls.cert_file", "is missing: tls.key_file is set"),
        (None, None) if tls.client_ca_file.is_some() => {
            source.wrong(
                "tls.cert_file",
                "is missing: tls.client_ca_file asks callers for certificates",
            );
        }
        _ => {}
    }
}

/// Ids become parts of queue names, keys and paths.
pub(super) fn id(source: &Source<'_>, key: &str, what: &str, id: &str) {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(named) {
        source.wrong(key, format!("{what} is named by 1 to {MAX_ID} of a-z, 0-9, - and _"));
    }
}

fn account(config: &Config, source: &Source<'_>, name: &str, account: &Account) {
    let key = format!("accounts.{name}");
    let at = |field: &str| format!("{key}.{field}");
    id(source, &key, "an account", name);
    id(source, &at("channel"), "a channel", &account.channel);
    if let Some(tenant) = &account.tenant {
        id(source, &at("tenant"), "a tenant", tenant);
    }
    match &account.app {
        Some(app) => with_app(config, source, &key, account, app),
        None if config.apps.contains_key(name) => {
            let what = format!("names no app, yet there is one of its name: say app = \"{name}\" or rename one");
            source.wrong(&key, what);
        }
        None => {}
    }
    match (&account.token, &account.adapter) {
        (Some(token), AdapterRef::Grpc(_)) => long_enough(source, &at("token"), token),
        (Some(_), AdapterRef::Builtin) => {
            source.wrong(
                &at("token"),
                "is for an external adapter: set adapter = \"grpc://host:port\" or remove it",
            );
        }
        (None, _) => {}
    }
    let limits = [
        ("limits.messages_per_second", account.limits.messages_per_second),
        (
            "limits.messages_per_second_per_thread",
            account.limits.messages_per_second_per_thread,
        ),
    ];
    for (field, limit) in limits {
        if limit.is_some_and(|limit| limit <= 0.0) {
            source.wrong(&at(field), "must be more than 0");
        }
    }
    super::conversation::validate(source, &at("conversations"), &account.conversations);
}

fn with_app(config: &Config, source: &Source<'_>, key: &str, account: &Account, app_id: &str) {
    let Some(app) = config.apps.get(app_id) else {
        let known: Vec<&str> = config.apps.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let what = format!("there is no app {app_id:?}; apps are: {known}");
        return source.wrong(&format!("{key}.app"), what);
    };
    if app.channel != account.channel {
        let what = format!("is {}, but its app {app_id} is {}", account.channel, app.channel);
        source.wrong(&format!("{key}.channel"), what);
    }
    let of_app = app.tenant.as_ref().unwrap_or(&config.tenant);
    if account.tenant.as_ref().is_some_and(|tenant| tenant != of_app) {
        source.wrong(&format!("{key}.tenant"), format!("differs from its app's, {of_app}"));
    }
}

fn tokens(config: &Config, source: &Source<'_>) {
    let mut names = BTreeSet::new();
    for (place, token) in config.tokens.0.iter().enumerate() {
        let key = format!("tokens.{place}");
        if token.name.is_empty() || !names.insert(&token.name) {
            source.wrong(&format!("{key}.name"), "must be there once and only once");
        }
        self::token(config, source, &key, token);
    }
    each_token_once(config, source);
}

/// A token says who calls, so no two callers may share one.
fn each_token_once(config: &Config, source: &Source<'_>) {
    let named = config.tokens.0.iter().enumerate();
    let named = named.filter_map(|(place, token)| Some((format!("tokens.{place}"), token.token.as_ref()?)));
    let of_accounts = config.accounts.iter();
    let of_accounts = of_accounts.filter_map(|(id, account)| Some((format!("accounts.{id}"), account.token.as_ref()?)));
    let of_cluster = config.cluster.token.iter().map(|token| ("cluster".to_owned(), token));
    let mut known = BTreeMap::new();
    for (key, secret) in named.chain(of_accounts).chain(of_cluster) {
        if let Some(other) = known.insert(secret.expose(), key.clone()) {
            let what = format!("is known by another name already: {other}");
            source.wrong(&format!("{key}.token"), what);
        }
    }
}

fn token(config: &Config, source: &Source<'_>, key: &str, token: &Token) {
    match (&token.token, &token.sha256) {
        (Some(secret), None) => long_enough(source, &format!("{key}.token"), secret),
        (None, Some(_)) => {}
        _ => source.wrong(key, "must have either token or sha256"),
    }
    if token.scopes.is_empty() {
        source.wrong(&format!("{key}.scopes"), "must name at least one scope");
    }
    for scope in token.scopes.iter().filter(|scope| !SCOPES.contains(&scope.as_str())) {
        let what = format!("{scope:?} is no scope; scopes are {}", SCOPES.join(", "));
        source.wrong(&format!("{key}.scopes"), what);
    }
    if let Some(tenant) = &token.tenant {
        id(source, &format!("{key}.tenant"), "a tenant", tenant);
    }
    let Some(account_id) = &token.account else {
        return;
    };
    match config.accounts.get(account_id) {
        None => source.wrong(&format!("{key}.account"), format!("there is no account {account_id:?}")),
        Some(account) => {
            let of_token = token.tenant.as_ref().unwrap_or(&config.tenant);
            if *of_token != config.tenant_of(account) {
                source.wrong(
                    &format!("{key}.tenant"),
                    format!("is not the tenant of account {account_id}"),
                );
            }
        }
    }
}

fn long_enough(source: &Source<'_>, key: &str, secret: &Secret) {
    if secret.expose().len() < MIN_TOKEN {
        source.wrong(
            key,
            format!("must be at least {MIN_TOKEN} characters, best made at random"),
        );
    }
}
