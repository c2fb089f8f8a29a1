use super::*;
use crate::role::{Role, RoleSet};
use omnigate_core::account::AdapterRef;
use omnigate_core::conversation::Reopen;
use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};
use tempfile::TempDir;

mod tenant;

/// A configuration file in a folder of its own.
struct Written {
    _folder: TempDir,
    file: PathBuf,
}

fn written(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("omnigate.toml");
    fs::write(&file, text).unwrap();
    Written { _folder: folder, file }
}

fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn loaded(text: &str, variables: &[(&str, &str)]) -> Config {
    load(Some(&written(text).file), &env(variables)).unwrap()
}

fn problems(text: &str, variables: &[(&str, &str)]) -> String {
    load(Some(&written(text).file), &env(variables))
        .unwrap_err()
        .to_string()
}

#[test]
fn defaults_need_no_file() {
    let config = load(None, &BTreeMap::new()).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./omnigate-data"));
    assert_eq!(
        (config.tenant.as_str(), config.environment.as_str()),
        ("default", "default")
    );
    assert_eq!(
        (config.broker.partitions, config.broker.journal_hours, config.broker.raw),
        (16, 72, true)
    );
    assert!(config.broker.url.is_none() && config.store.url.is_none());
    let listen = &config.listen;
    let all = [
        &listen.api,
        &listen.ingest,
        &listen.edge,
        &listen.sessions,
        &listen.webhooks,
        &listen.admin,
    ];
    let ports: Vec<&str> = all
        .iter()
        .filter_map(|address| address.0.strip_prefix("127.0.0.1:"))
        .collect();
    assert_eq!(ports, ["7400", "7401", "7402", "7403", "7480", "7490"]);
    assert_eq!(config.limits.webhook_body_bytes, 4_194_304);
    assert!(config.directory().accounts.is_empty());
}

#[test]
fn an_unknown_key_names_file_path_and_the_nearest_known_one() {
    let error = problems("[broker]\npartitons = 4\n", &[]);
    assert!(
        error.contains("omnigate.toml: broker.partitons: unknown key"),
        "{error}"
    );
    assert!(error.ends_with("the nearest known one is broker.partitions"), "{error}");
    let error = problems("[accounts.shop]\nchanel = \"telegram\"\nchannel = \"telegram\"\n", &[]);
    assert!(
        error.contains("accounts.shop.chanel: unknown key; the nearest known one is accounts.shop.channel"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_names_key_and_what_is_expected_and_never_the_value() {
    let error = problems("[broker]\npartitions = \"hunter2\"\n[store]\nurl = 7\n", &[]);
    assert!(
        error.contains("broker.partitions: expected a whole number from 0 to 65535, found text"),
        "{error}"
    );
    assert!(error.contains("store.url: expected a secret"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(error.lines().count(), 2, "all problems at once: {error}");
}

#[test]
fn a_syntax_error_tells_the_line_and_not_its_text() {
    let error = problems("tenant = \"a\"\n[cluster]\ntoken = hunter2\n", &[]);
    assert!(error.contains("omnigate.toml: line 3: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(Path::new("/nowhere/omnigate.toml")), &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("/nowhere/omnigate.toml: cannot be read: "), "{error}");
}

#[test]
fn variables_override_the_file_and_are_read_by_the_keys_type() {
    let config = loaded(
        "[broker]\npartitions = 4\n[accounts.shop-bot]\nchannel = \"telegram\"\nsettings = { number = \"1\" }\n",
        &[
            ("OMNIGATE__BROKER__PARTITIONS", "32"),
            ("OMNIGATE__BROKER__RAW", "false"),
            ("OMNIGATE__DATA_DIR", "/var/lib/omnigate"),
            ("OMNIGATE__ACCOUNTS__SHOP_BOT__LIMITS__MESSAGES_PER_SECOND", "30"),
            ("OMNIGATE__ACCOUNTS__SHOP_BOT__SETTINGS__NUMBER", "84912"),
            ("OMNIGATE__ACCOUNTS__SHOP_BOT__SETTINGS__POLL", "true"),
            ("OMNIGATE__ACCOUNTS__SHOP_BOT__SETTINGS__BASE", "https://example.test/x"),
            ("OMNIGATE__TOKENS__0__NAME", "crm"),
            ("OMNIGATE__TOKENS__0__TOKEN", "0123456789abcdef"),
            ("OMNIGATE__TOKENS__0__SCOPES", "read, send"),
            ("OMNIGATE_TOKEN", "not a key"),
        ],
    );
    assert_eq!((config.broker.partitions, config.broker.raw), (32, false));
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/omnigate"));
    let account = &config.accounts["shop-bot"];
    assert_eq!(account.limits.messages_per_second, Some(30.0));
    let settings = &account.settings.resolved.0;
    assert_eq!(settings["number"], "84912", "text in the file stays text");
    assert_eq!(settings["poll"], true);
    assert_eq!(settings["base"], "https://example.test/x");
    assert_eq!(config.tokens.0[0].scopes, ["read", "send"]);
}

#[test]
fn problems_of_variables_name_the_variable() {
    let error = problems(
        "",
        &[
            ("OMNIGATE__BROKER__PARTITIONS", "many"),
            ("OMNIGATE__BROKR__URL", "amqp://x"),
            ("OMNIGATE__", "x"),
            ("OMNIGATE__TOKENS__5__NAME", "gap"),
        ],
    );
    assert!(
        error.contains("OMNIGATE__BROKER__PARTITIONS: broker.partitions: expected a whole number"),
        "{error}"
    );
    assert!(
        error.contains("OMNIGATE__BROKR__URL: brokr: unknown key; the nearest known one is broker"),
        "{error}"
    );
    assert!(error.contains("OMNIGATE__ is no key"), "{error}");
    assert!(error.contains("OMNIGATE__TOKENS__5__NAME is no key"), "{error}");
}

#[test]
fn secrets_come_from_variables_and_files_anywhere_in_settings() {
    let place = written(
        "[cluster]\ntoken = { file = \"cluster.token\" }\n[accounts.bot]\nchannel = \"telegram\"\n\
         [accounts.bot.settings]\nbot_token = { env = \"BOT\" }\nmore = { deep = [{ env = \"BOT\" }], file = \"x\", y = 1 }\n",
    );
    fs::write(place.file.with_file_name("cluster.token"), "0123456789abcdef\n").unwrap();
    let config = load(Some(&place.file), &env(&[("BOT", "12:secret")])).unwrap();
    assert_eq!(config.cluster.token.as_ref().unwrap().expose(), "0123456789abcdef");
    let settings = &config.directory().accounts["bot"].settings.0;
    assert_eq!(settings["bot_token"], "12:secret");
    assert_eq!(settings["more"]["deep"][0], "12:secret");
    assert_eq!(
        settings["more"]["file"], "x",
        "a section with other keys is no reference"
    );
    let printed = format!("{config:?}{}", config.redacted_toml());
    assert!(!printed.contains("secret\""), "{printed}");
    assert!(
        !printed.contains("12:secret") && !printed.contains("0123456789abcdef"),
        "{printed}"
    );
    assert!(printed.contains("env = \"BOT\""), "references are shown: {printed}");
}

#[test]
fn a_missing_secret_names_key_and_place() {
    let error = problems(
        "[accounts.bot]\nchannel = \"telegram\"\n[accounts.bot.settings]\na = { env = \"BOT\" }\nb = { file = \"no.key\" }\n",
        &[],
    );
    assert!(
        error.contains("accounts.bot.settings.a: environment variable BOT is not set"),
        "{error}"
    );
    assert!(
        error.contains("accounts.bot.settings.b: cannot read secret file"),
        "{error}"
    );
    assert!(error.contains("no.key"), "{error}");
}

#[test]
fn an_account_without_app_is_its_own() {
    let config = loaded(
        "[apps.meta]\nchannel = \"messenger\"\ntenant = \"shop\"\nsettings = { secret = \"s\" }\n\
         [accounts.page]\nchannel = \"messenger\"\napp = \"meta\"\n\
         [accounts.bot]\nchannel = \"telegram\"\nadapter = \"grpc://host:1234\"\nsettings = { a = 1 }\n",
        &[],
    );
    let directory = config.directory();
    assert_eq!(directory.accounts["page"].tenant_id, "shop");
    assert!(!directory.apps["meta"].implicit);
    let (app, account) = (&directory.apps["bot"], &directory.accounts["bot"]);
    assert!(app.implicit && app.settings == account.settings && app.tenant_id == "default");
    assert_eq!(account.adapter, AdapterRef::Grpc("host:1234".to_owned()));
    assert_eq!((account.app_id.as_str(), account.display_name.as_str()), ("bot", "bot"));
}

fn are_said(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let error = problems(text, &[]);
        assert!(error.contains(expected), "{text}\n{error}\n{expected}");
    }
}

#[test]
fn accounts_that_do_not_fit_are_said() {
    let account = |fields: &str| format!("[accounts.a]\nchannel = \"zalo\"\n{fields}\n");
    are_said(&[
        (
            account("app = \"oa\""),
            "accounts.a.app: there is no app \"oa\"; apps are: none",
        ),
        (
            account("app = \"m\"\n[apps.m]\nchannel = \"sms\""),
            "accounts.a.channel: is zalo, but its app m is sms",
        ),
        (
            account("app = \"m\"\ntenant = \"x\"\n[apps.m]\nchannel = \"zalo\""),
            "accounts.a.tenant: differs from its app's, default",
        ),
        (
            account("[apps.a]\nchannel = \"zalo\""),
            "accounts.a: names no app, yet there is one of its name",
        ),
        (
            account("token = \"0123456789abcdef\""),
            "accounts.a.token: is for an external adapter",
        ),
        (
            account("limits = { messages_per_second = 0.0 }"),
            "limits.messages_per_second: must be more than 0",
        ),
        (
            account("adapter = \"http://x\""),
            "accounts.a.adapter: expected \"builtin\" or \"grpc://host:port\"",
        ),
        (
            "[accounts.\"A B\"]\nchannel = \"sms\"".to_owned(),
            "an account is named by 1 to 64 of a-z",
        ),
        ("[accounts.a]\n".to_owned(), "accounts.a.channel: is missing"),
    ]);
}

#[test]
fn tokens_that_do_not_fit_are_said() {
    let token = |fields: &str| format!("[[tokens]]\nname = \"crm\"\nscopes = [\"read\"]\n{fields}\n");
    let whole = token("token = \"0123456789abcdef\"");
    are_said(&[
        (token(""), "tokens.0: must have either token or sha256"),
        (
            token("token = \"short\""),
            "tokens.0.token: must be at least 16 characters",
        ),
        (
            format!("{whole}account = \"x\""),
            "tokens.0.account: there is no account \"x\"",
        ),
        (token("sha256 = \"00\""), "tokens.0.sha256: expected 64 hex digits"),
        (
            whole.clone() + &whole,
            "tokens.1.token: is known by another name already: tokens.0",
        ),
        (
            format!("{whole}[cluster]\ntoken = \"0123456789abcdef\""),
            "cluster.token: is known by another name already: tokens.0",
        ),
        (
            whole.clone() + &whole,
            "tokens.1.name: must be there once and only once",
        ),
        (
            whole.replace("read", "root"),
            "\"root\" is no scope; scopes are adapter, read, send, campaign, admin",
        ),
    ]);
}

#[test]
fn values_that_cannot_work_are_said() {
    are_said(&[
        (
            "broker = { partitions = 0 }".to_owned(),
            "broker.partitions: must be 1 to 256",
        ),
        (
            "broker = { url = \"redis://x\" }".to_owned(),
            "broker.url: must begin with amqp or amqps",
        ),
        (
            "listen = { api = \"7400\" }".to_owned(),
            "listen.api: expected an address host:port",
        ),
        ("log = { level = \"=,=\" }".to_owned(), "log.level: is neither a level"),
        ("tls = { cert_file = \"x\" }".to_owned(), "tls.key_file: is missing"),
        (
            "limits = { call_seconds = 0 }".to_owned(),
            "limits.call_seconds: must be more than 0",
        ),
    ]);
}

/// A configuration that sets every key of the reference, with values made from the reference's own types.
fn everything() -> String {
    let mut root = toml::Table::new();
    for row in reference::rows().into_iter().filter(|row| !row.kind.is_empty()) {
        let path: Vec<String> = row.key.replace("<id>", "a").split('.').map(ToOwned::to_owned).collect();
        let (name, sections) = path.split_last().unwrap();
        let mut table = &mut root;
        for section in sections.iter().filter(|section| *section != "0") {
            let empty = toml::Value::Table(toml::Table::new());
            table = table.entry(section.clone()).or_insert(empty).as_table_mut().unwrap();
        }
        table.insert(name.clone(), sample(&row.key, row.kind));
    }
    let tokens = root.remove("tokens").unwrap();
    root.insert("tokens".to_owned(), toml::Value::Array(vec![tokens]));
    toml::to_string(&root).unwrap()
}

fn sample(key: &str, kind: &str) -> toml::Value {
    let value = match (key, kind) {
        ("broker.url", _) => "\"amqp://u:p@h\"",
        ("store.url", _) => "\"redis://u:p@h\"",
        ("store.seal_key" | "store.former_seal_key", _) => &format!("\"{}\"", "ab".repeat(32)),
        ("store.former_seal_keys", _) => &format!("[\"{}\"]", "ab".repeat(32)),
        ("event_webhooks.<id>.url", _) => "\"https://u:p@h/hooks?key=p\"",
        ("event_webhooks.<id>.secret" | "event_webhooks.<id>.former_secret", _) => {
            "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\""
        }
        ("event_webhooks.<id>.events", _) => "[\"entry_added\"]",
        ("log.level", _) => "\"debug\"",
        ("tenant", _) => "\"a\"",
        ("time_zone" | "tenants.<id>.time_zone", _) => "\"Asia/Tokyo\"",
        ("tenants.<id>.test_recipients", _) => "[\"phone/+84912345678\"]",
        ("identity.region" | "tenants.<id>.identity.region", _) => "\"VN\"",
        ("marketing.hours" | "tenants.<id>.marketing.hours", _) => "\"08:00-20:00\"",
        ("marketing.caps" | "tenants.<id>.marketing.caps", _) => "[\"sms:1/24h\"]",
        ("tokens.0.account" | "accounts.<id>.app" | "accounts.<id>.channel" | "apps.<id>.channel", _) => "\"a\"",
        ("tokens.0.scopes", _) => "[\"read\"]",
        (_, "a list of texts") => "[\"text\"]",
        (_, "true or false") => "true",
        (_, "a number") => "1.5",
        (_, "a section") => "{ x = 1 }",
        (_, "a secret") => &format!("\"0123456789abcdef of {key}\""),
        (_, "64 hex digits") => &format!("\"{}\"", "ab".repeat(32)),
        (_, "\"text\" or \"json\"") => "\"json\"",
        (_, "\"allowed\" or \"required\"") => "\"required\"",
        (_, "\"never\", \"within\" or \"always\"") => "\"always\"",
        (_, "\"builtin\" or \"grpc://host:port\"") => "\"grpc://h:1\"",
        (_, kind) if kind.starts_with("a whole number") => "3",
        (_, kind) if kind.starts_with("an address") => "\"h:1\"",
        _ => "\"text\"",
    };
    toml::from_str::<toml::Table>(&format!("v = {value}")).unwrap()["v"].clone()
}

/// Key paths of all values in a table, as the reference writes them.
fn keys(table: &toml::Table, beneath: &str, all: &mut BTreeSet<String>) {
    for (name, value) in table {
        let name = if [
            "accounts",
            "apps",
            "consent.channels",
            "customers.attributes",
            "event_webhooks",
            "identity.blocked",
            "identity.blocked_patterns",
            "tenants",
            "tenants.<id>.identity.blocked",
            "tenants.<id>.identity.blocked_patterns",
        ]
        .contains(&beneath)
        {
            "<id>"
        } else {
            name
        };
        let key = node::join(beneath, name);
        match value {
            toml::Value::Table(_) if name == "settings" => drop(all.insert(key)),
            toml::Value::Table(table) => keys(table, &key, all),
            toml::Value::Array(list) if name == "tokens" => {
                keys(list[0].as_table().unwrap(), &node::join(&key, "0"), all);
            }
            _ => drop(all.insert(key)),
        }
    }
}

#[test]
fn the_reference_and_the_structs_have_the_same_keys() {
    let text = everything();
    let written = written(&text);
    // `token` and `sha256` exclude each other; everything else must load together.
    let error = load(Some(&written.file), &BTreeMap::new()).unwrap_err().to_string();
    assert!(
        error.ends_with("tokens.0: must have either token or sha256") && error.lines().count() == 1,
        "{error}\n{text}"
    );
    let source = Source {
        file: None,
        env: &BTreeMap::new(),
        variables: BTreeMap::new(),
        problems: RefCell::default(),
        nothing: toml::Value::Table(toml::Table::new()),
    };
    let value = toml::Value::Table(toml::from_str(&text).unwrap());
    let node = Node {
        source: &source,
        key: "",
        value: &value,
    };
    let config = Config::read(node).unwrap();
    let mut in_struct = BTreeSet::new();
    keys(config.show().unwrap().as_table().unwrap(), "", &mut in_struct);
    let rows = reference::rows();
    let in_reference: BTreeSet<String> = rows
        .iter()
        .filter(|row| !row.kind.is_empty())
        .map(|row| row.key.clone())
        .collect();
    assert_eq!(in_struct, in_reference);
    let text = reference();
    for row in rows {
        assert!(!row.meaning.is_empty(), "{} says what it means", row.key);
        assert!(text.contains(&row.key), "{}", row.key);
    }
    assert!(
        text.contains("| `broker.partitions` | a whole number from 0 to 65535 | `16` | Partitions of"),
        "{text}"
    );
    assert!(text.contains("| `accounts.<id>.channel` | text | required |"), "{text}");
}

#[test]
fn limits_of_consumer_groups_are_bounded() {
    let config = loaded("[events]\nacknowledge_seconds = 5", &[]);
    assert_eq!(
        (config.events.acknowledge_seconds, config.events.max_unacknowledged),
        (5, 1000)
    );
    let problems = problems("[events]\nacknowledge_seconds = 0\nmax_unacknowledged = 1000000", &[]);
    for wanted in [
        "events.acknowledge_seconds: must be 1 to 86400",
        "events.max_unacknowledged: must be 1 to 100000",
    ] {
        assert!(problems.contains(wanted), "{problems}");
    }
}

#[test]
fn an_outgoing_webhook_has_a_key_and_a_tenant_and_shows_no_secret() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let text = format!(
        "[event_webhooks.crm]\nurl = \"https://me:pass@crm.example/hooks?key=pass\"\nsecret = \"{secret}\"\n\
         former_secret = {{ env = \"FORMER\" }}\nevents = [\"entry_added\"]"
    );
    let config = loaded(&text, &[("FORMER", "whsec_c2VjcmV0LW9mLWEtcm90YXRlZC1lbmRwb2ludA==")]);
    let endpoints = config.event_webhooks();
    let endpoint = &endpoints[0];
    assert_eq!((endpoint.tenant_id.as_str(), endpoint.keys.len()), ("default", 2));
    assert_eq!(endpoint.shown_url, "https://crm.example");
    assert!(endpoint.wants("entry_added") && !endpoint.wants("customer_created"));
    let shown = format!("{endpoint:?} {config:?} {}", config.redacted_toml());
    assert!(!shown.contains("MfKQ9r8") && !shown.contains("pass"), "{shown}");
    let wrong = "[event_webhooks.\"a/b\"]\nurl = \"ftp://x\"\nsecret = \"whsec_c2hvcnQ=\"\nevents = [\"entry\"]\n\
                 [events]\nwebhook_seconds = 0\nwebhook_disable_hours = 100";
    let problems = problems(wrong, &[]);
    for wanted in [
        "event_webhooks.a/b: ",
        "event_webhooks.a/b.url: must begin with https or http",
        "event_webhooks.a/b.secret: must be whsec_ and 24 to 64 bytes in base64",
        "event_webhooks.a/b.events: \"entry\" is no kind of event; kinds are customer_created,",
        "events.webhook_seconds: must be 1 to 60",
        "events.webhook_disable_hours: must be 1 to 72",
    ] {
        assert!(problems.contains(wanted), "{wanted}: {problems}");
    }
}

#[test]
fn a_seal_key_is_64_digits_and_a_former_one_never_stands_alone() {
    let key = "5E".repeat(32);
    let config = loaded(
        &format!("[store]\nseal_key = \"{key}\"\nformer_seal_key = \"{key}\""),
        &[],
    );
    assert_eq!(config.store.seal_key.unwrap().as_key(), Some([0x5e; 32]));
    are_said(&[
        (
            format!("[store]\nseal_key = \"{}\"", &key[2..]),
            "store.seal_key: must be 64 hexadecimal digits",
        ),
        (
            format!(
                "[store]\nseal_key = \"{key}\"\nformer_seal_key = \"{}\"",
                "x".repeat(64)
            ),
            "store.former_seal_key: must be 64 hexadecimal digits",
        ),
        (
            format!("[store]\nformer_seal_key = \"{key}\""),
            "store.seal_key: is missing: store.former_seal_key is set",
        ),
        (
            format!("[store]\nformer_seal_keys = [\"{key}\"]"),
            "store.seal_key: is missing: store.former_seal_keys is set",
        ),
        (
            format!("[store]\nseal_key = \"{key}\"\nformer_seal_keys = [\"{key}\", \"5e\"]"),
            "store.former_seal_keys.1: must be 64 hexadecimal digits",
        ),
    ]);
}

#[test]
fn several_former_keys_are_a_list_of_secrets() {
    let (one, other) = ("5e".repeat(32), "af".repeat(32));
    let text = format!("[store]\nseal_key = \"{one}\"\nformer_seal_keys = [\"{one}\", {{ env = \"OLDER\" }}]");
    let bytes = |config: &Config| -> Vec<u8> {
        let keys = config.store.former_seal_keys.0.iter();
        keys.map(|key| key.as_key().unwrap()[0]).collect()
    };
    let config = loaded(&text, &[("OLDER", &other)]);
    assert_eq!(bytes(&config), [0x5e, 0xaf]);
    assert!(!config.redacted_toml().contains("5e5e"), "{}", config.redacted_toml());
    let both = format!("{one}, {other}");
    let variables = [
        ("OMNIGATE__STORE__SEAL_KEY", one.as_str()),
        ("OMNIGATE__STORE__FORMER_SEAL_KEYS", &both),
    ];
    assert_eq!(bytes(&loaded("", &variables)), [0x5e, 0xaf]);
}

#[test]
fn the_dump_hides_secrets_and_loads_again() {
    let config = loaded(
        "[broker]\nurl = \"amqp://user:hunter2@host:5672/v?password=hunter3\"\n[cluster]\ntoken = \"hunter2hunter2hunter2\"\n\
         [accounts.a]\nchannel = \"sms\"\nsettings = { key = \"hunter2\", base = \"https://x\", deep = { key = { list = [2] } } }\n",
        &[],
    );
    let dump = config.redacted_toml();
    assert!(!dump.contains("hunter") && !dump.contains("https://x"), "{dump}");
    assert!(dump.contains("amqp://***@host:5672/v"), "{dump}");
    assert!(dump.contains("partitions = 16"), "defaults are shown: {dump}");
    let dump = config.redacted_toml_with(&|channel, name| channel == "sms" && name == "key");
    assert!(
        dump.contains("https://x") && !dump.contains("hunter") && !dump.contains("[2]"),
        "{dump}"
    );
    let again = problems(&dump, &[]);
    assert!(
        again.ends_with("cluster.token: must be at least 16 characters, best made at random"),
        "{again}"
    );
}

#[test]
fn some_roles_alone_need_broker_store_and_each_others_addresses() {
    let config = load(None, &BTreeMap::new()).unwrap();
    assert_eq!(check_roles(&config, &Role::all()), Ok(()));
    let error = check_roles(&config, &RoleSet::from([Role::Unify]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("set broker.url") && error.contains("set store.url"),
        "{error}"
    );
    let error = check_roles(&config, &RoleSet::from([Role::Edge]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("connect.ingest") && error.contains("connect.sessions"),
        "{error}"
    );
    assert!(
        error.contains("cluster.token") && !error.contains("broker.url"),
        "{error}"
    );
    let config = loaded(
        "[broker]\nurl = \"amqp://h\"\n[store]\nurl = \"redis://h\"\n[cluster]\ntoken = \"0123456789abcdef\"\n\
         [connect]\nedge = \"edge:7402\"\n",
        &[],
    );
    assert_eq!(
        check_roles(&config, &RoleSet::from([Role::Unify, Role::Dispatch, Role::Ingest])),
        Ok(())
    );
    assert!(check_roles(&config, &RoleSet::new()).is_err());
    let of_ingest = |seal: &str| {
        let text = format!("[broker]\nurl = \"amqp://h\"\n{seal}\n[cluster]\ntoken = \"0123456789abcdef\"\n");
        check_roles(&loaded(&text, &[]), &RoleSet::from([Role::Ingest]))
    };
    let error = of_ingest("").unwrap_err().to_string();
    assert!(
        error.contains("set store.url") && error.contains("broker.seal = false"),
        "{error}"
    );
    assert_eq!(of_ingest("seal = false"), Ok(()));
}

#[test]
fn consent_has_a_default_for_all_channels_and_for_one() {
    use omnigate_core::consent::MarketingDefault::{Allowed, Required};
    let defaults = loaded("", &[]).consent.marketing_defaults();
    assert_eq!(defaults.of("sms"), Allowed);
    let text = "consent.channels.telegram = \"required\"\n[accounts.shop]\nchannel = \"telegram\"";
    let defaults = loaded(text, &[]).consent.marketing_defaults();
    assert_eq!((defaults.of("telegram"), defaults.of("sms")), (Required, Allowed));
    let all = [("OMNIGATE__CONSENT__MARKETING_DEFAULT", "required")];
    assert_eq!(loaded("", &all).consent.marketing_defaults().of("sms"), Required);
    let said = problems("consent.marketing_default = \"maybe\"", &[]);
    assert!(said.contains("\"allowed\" or \"required\""), "{said}");
    let said = problems("consent.channels.sns = \"required\"", &[]);
    assert!(said.contains("no account has channel \"sns\""), "{said}");
}

#[test]
fn conversations_follow_what_their_account_says() {
    let config = loaded(
        "[accounts.a]\nchannel = \"telegram\"\n[accounts.b]\nchannel = \"telegram\"\n\
         [accounts.b.conversations]\nreopen = \"never\"\nresolve_after_hours = 24",
        &[],
    );
    let rules = config.directory().conversations;
    assert_eq!(rules.0.len(), 1, "the default needs no place");
    let ours = rules.of("b");
    assert_eq!(
        (ours.reopen, ours.resolve_after),
        (Reopen::Never, Some(Duration::from_secs(86_400)))
    );
    assert_eq!(rules.of("a").reopen, Reopen::Within(Duration::from_secs(72 * 3600)));
    let problems = problems(
        "[accounts.a]\nchannel = \"telegram\"\n[accounts.a.conversations]\nreopen_hours = 0",
        &[],
    );
    assert!(problems.contains("reopen_hours: must be 1 to 8784"), "{problems}");
}

#[test]
fn attributes_of_customers_have_names_and_kinds() {
    let config = loaded(
        "[customers.attributes]\ncity = { kind = \"text\", description = \"where they live\" }\norders = { kind = \"number\" }",
        &[],
    );
    let schema = config.attributes();
    let kinds: Vec<(&str, &str)> = schema
        .attributes
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.name()))
        .collect();
    assert_eq!(kinds, [("city", "text"), ("orders", "number")]);
    assert!(loaded("", &[]).attributes().attributes.is_empty());
    let wrong = "[customers.attributes]\nCity = { kind = \"text\" }\norders = { kind = \"list\" }";
    let problems = problems(wrong, &[]);
    for wanted in [
        "customers.attributes.City: must be a lower-case letter",
        "customers.attributes.orders.kind: must be one of text, number, flag, time",
    ] {
        assert!(problems.contains(wanted), "{problems}");
    }
}
