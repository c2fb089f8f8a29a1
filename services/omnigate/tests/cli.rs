//! The command line: help with examples, clear errors, and what works offline.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn omnigate(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omnigate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn fails(folder: &Path, arguments: &[&str], input: &str) -> String {
    let output = omnigate(folder, arguments, input);
    assert!(!output.status.success(), "{arguments:?} must fail");
    said(&output).1
}

const UPDATE: &str = r#"{"update_id":1,"message":{"message_id":5,"date":1700000000,"text":"chào",
    "chat":{"id":42,"type":"private","first_name":"An"},"from":{"id":42,"is_bot":false,"first_name":"An"}}}"#;

/// Commands whose help has an example.
const EXPLAINED: &[&str] = &[
    "demo",
    "serve",
    "check",
    "normalize",
    "sms-segments",
    "send",
    "customers list",
    "customers get",
    "customers timeline",
    "audience create",
    "audience list",
    "audience get",
    "audience import",
    "audience members",
    "audience preview",
    "audience delete",
    "campaigns create",
    "campaigns get",
    "campaigns list",
    "campaigns update",
    "campaigns schedule",
    "campaigns unschedule",
    "campaigns start",
    "campaigns pause",
    "campaigns resume",
    "campaigns cancel",
    "campaigns watch",
    "campaigns recipients",
    "campaigns retry",
    "consent get",
    "consent set",
    "consent history",
    "consent refuse",
    "consent suppress",
    "consent unsuppress",
    "consent suppressions",
    "conversations list",
    "conversations get",
    "conversations open",
    "conversations assign",
    "conversations resolve",
    "conversations reopen",
    "conversations snooze",
    "conversations pend",
    "conversations close",
    "conversations tag",
    "conversations priority",
    "conversations join",
    "conversations leave",
    "templates create",
    "templates update",
    "templates get",
    "templates list",
    "templates archive",
    "templates preview",
    "templates test",
    "accounts list",
    "accounts status",
    "accounts authorize",
    "accounts templates",
    "parked list",
    "parked show",
    "parked replay",
    "parked discard",
    "replay",
    "explain",
    "bench inbound",
    "bench audience",
];

#[test]
fn every_command_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in EXPLAINED {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let output = omnigate(folder.path(), &arguments, "");
        let (help, _) = said(&output);
        assert!(
            output.status.success() && help.contains("Example: omnigate "),
            "{command}: {help}"
        );
    }
}

#[test]
fn a_payload_is_normalised_offline() {
    let folder = tempfile::tempdir().unwrap();
    let output = omnigate(
        folder.path(),
        &["normalize", "--channel", "telegram", "--no-verify"],
        UPDATE,
    );
    let (events, reply) = said(&output);
    assert!(output.status.success() && reply.starts_with("200"), "{reply}");
    let event: serde_json::Value = serde_json::from_str(events.trim()).unwrap();
    assert_eq!(event["message"]["parts"][0]["text"]["text"], "chào");
    assert_eq!(event["peer"]["value"], "42");
}

#[test]
fn a_payload_is_verified_with_the_account_of_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "[accounts.shop]\nchannel = \"telegram\"\nsettings.bot_token = \"1:AAAAAAAAAAAAAAAAAAAAAAAA\"\n\
         settings.secret_token = \"right\"\n";
    std::fs::write(folder.path().join("omnigate.toml"), configuration).unwrap();
    let normalize = |secret: &str| {
        let header = format!("X-Telegram-Bot-Api-Secret-Token: {secret}");
        let configured = ["--config", "omnigate.toml", "--account", "shop"];
        let arguments = [
            &["normalize", "--channel", "telegram", "--header", &header],
            &configured[..],
        ]
        .concat();
        omnigate(folder.path(), &arguments, UPDATE)
    };
    assert!(normalize("right").status.success());
    let forged = normalize("wrong");
    assert!(!forged.status.success() && said(&forged).1.starts_with("401"));
    assert!(said(&forged).0.is_empty(), "nothing of a forged payload is shown");
    assert!(
        !said(&forged).1.contains("--account"),
        "who gave an account is not told to give one"
    );
}

#[test]
fn an_account_of_another_provider_and_no_provider_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "[accounts.brand]\nchannel = \"sms\"\nprovider = \"smpp\"\nsettings.host = \"smsc\"\n\
         settings.system_id = \"shop\"\nsettings.password = \"s3cret\"\n";
    std::fs::write(folder.path().join("omnigate.toml"), configuration).unwrap();
    let other = [
        "--provider",
        "twilio",
        "--config",
        "omnigate.toml",
        "--account",
        "brand",
    ];
    let problem = fails(
        folder.path(),
        &[&["normalize", "--channel", "sms"], &other[..]].concat(),
        "",
    );
    assert!(
        problem.contains("account \"brand\" is of provider smpp, not twilio"),
        "{problem}"
    );
    let problem = fails(folder.path(), &["normalize", "--channel", "sms"], "");
    assert!(problem.contains("has several providers and none is named"), "{problem}");
}

#[test]
fn a_text_is_cut_into_sms_segments_offline() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |arguments: &[&str], input: &str| {
        let output = omnigate(folder.path(), &[&["sms-segments"], arguments].concat(), input);
        let (shown, problems) = said(&output);
        assert!(
            output.status.success() && problems.is_empty(),
            "{arguments:?}: {problems}"
        );
        shown
    };
    let json = |arguments: &[&str], input: &str| -> serde_json::Value {
        serde_json::from_str(&shown(&[&["--output", "json"], arguments].concat(), input)).unwrap()
    };
    let accented = "Chào chị, đơn hàng của chị đã được gửi hôm nay, mời chị theo dõi trên ứng dụng";
    let table = shown(&[accented, "--cost", "0.02", "--currency", "usd"], "");
    for words in [
        "UCS-2: 78 characters",
        "2 SMS segments of at most 67",
        "Cost: 0.04 USD",
        "U+1ECB",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let plan = json(&[accented], "");
    assert_eq!(plan["segments"][0]["units"], 67);
    assert_eq!(plan["segments"][1]["text"], "ên ứng dụng");
    assert_eq!(plan["foreign"][0]["character"], "ị");
    assert_eq!(plan["foreign"][0]["position"], 8);
    assert_eq!(plan["cost"], serde_json::Value::Null);
    let advertising = [
        "--unaccented",
        "--label",
        "[QC]",
        "--opt-out-line",
        "Từ chối soạn TC gửi 199",
        "-",
    ];
    let plan = json(&advertising, "Giảm 50% 🎉\n");
    assert_eq!(plan["text"], "[QC] Giam 50% ?\nTu choi soan TC gui 199");
    assert_eq!(
        (plan["encoding"].as_str(), plan["lost"].as_u64()),
        (Some("gsm7"), Some(1))
    );
    let long = "a".repeat(161);
    assert_eq!(json(&[&long, "--reference", "16"], "")["capacity"], 152);
    assert_eq!(
        json(&["--reserved", "38"], &long[..122])["segments"][0]["units"],
        122,
        "standard input without -"
    );
}

#[test]
fn a_text_that_cannot_be_cut_gets_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, input, words) in [
        (&["-"][..], "", &["no text"][..]),
        (&["text", "--cost", "0.02"], "", &["--currency"]),
        (
            &["text", "--cost", "0,02", "--currency", "USD"],
            "",
            &["0,02", "six decimals"],
        ),
        (
            &["text", "--cost", "1", "--currency", "dollars"],
            "",
            &["dollars", "ISO 4217"],
        ),
        (&["text", "--reference", "12"], "", &["12", "8", "16"]),
        (&["text", "--reserved", "141"], "", &["141", "140"]),
    ] {
        let error = fails(folder.path(), &[&["sms-segments"], arguments].concat(), input);
        assert!(words.iter().all(|word| error.contains(word)), "{arguments:?}: {error}");
    }
    let error = fails(folder.path(), &["sms-segments"], &"a".repeat(153 * 255 + 1));
    assert!(
        error.contains("256 SMS segments") && error.lines().count() == 1,
        "{error}"
    );
    let error = fails(folder.path(), &["sms-segments"], &"a".repeat(256 * 1024 + 1));
    assert!(error.contains("256 KiB") && error.lines().count() == 1, "{error}");
}

#[test]
fn bad_input_gets_one_line_that_says_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    for (configuration, words) in [
        ("[brokr]\nurl = \"x\"\n", &["bad.toml", "brokr", "broker"][..]),
        ("[broker]\npartitions = \"many\"\n", &["broker.partitions"]),
        (
            "[accounts.shop]\nchannel = \"telgram\"\n",
            &["accounts.shop", "telgram", "telegram"],
        ),
        (
            "[accounts.shop]\nchannel = \"telegram\"\nsettings.bot_tokn = \"x\"\n",
            &["accounts.shop", "bot_tokn", "bot_token"],
        ),
        (
            "[accounts.shop]\nchannel = \"telegram\"\nsettings.bot_token = { env = \"NOT_SET\" }\n",
            &["accounts.shop", "bot_token", "NOT_SET"],
        ),
    ] {
        std::fs::write(&file, configuration).unwrap();
        let error = fails(folder.path(), &["check", "--offline", "--config", "bad.toml"], "");
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{configuration}: {error}"
        );
    }
    let error = fails(folder.path(), &["normalize", "--channel", "viber"], "{}");
    assert!(error.contains("viber") && error.contains("telegram"), "{error}");
    let error = fails(folder.path(), &["customers", "list", "--endpoint", "127.0.0.1:1"], "");
    assert!(error.contains("127.0.0.1:1") && error.lines().count() == 1, "{error}");
    let error = fails(folder.path(), &["serve", "--role", "unify"], "");
    assert!(error.contains("broker.url") && error.contains("store.url"), "{error}");
    let error = fails(folder.path(), &["serve", "--role", "nobody"], "");
    assert!(error.contains("nobody") && error.contains("scheduler"), "{error}");
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let configuration =
        "[accounts.shop]\nchannel = \"telegram\"\nsettings.bot_token = \"1:AAAAAAAAAAAAAAAAAAAAAAAA\"\n";
    std::fs::write(folder.path().join("omnigate.toml"), configuration).unwrap();
    let output = omnigate(
        folder.path(),
        &["check", "--offline", "--dump", "--config", "omnigate.toml"],
        "",
    );
    let (dump, _) = said(&output);
    assert!(output.status.success() && dump.contains("[accounts.shop]"), "{dump}");
    assert!(!dump.contains("AAAAAAAA"), "{dump}");
}

#[test]
fn the_whole_show_plays_and_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let play = || {
        let output = omnigate(folder.path(), &["demo", "--once"], "");
        let (shown, problems) = said(&output);
        assert!(output.status.success(), "{shown}\n{problems}");
        shown
    };
    let timelines = |shown: &str| {
        let from = shown.find("\nAn Nguyễn").unwrap();
        shown[from..].to_owned()
    };
    let first = play();
    assert!(first.contains("sent twice: 0"), "{first}");
    assert!(first.contains("answered 401"), "{first}");
    for shown in [
        "one customer, 3 channels (sms, telegram, zalo), one timeline: cus_",
        "the SMS that came in 2 pieces is one message",
        "confirmations of the opt-out: 1\n",
        "DELIVERED as its alternative",
        "SKIPPED, 0 piece(s), 0 attempt(s), the recipient opted out of marketing",
    ] {
        assert!(first.contains(shown), "{shown}: {first}");
    }
    let told = timelines(&first);
    let of_an = told.split("\n\n").next().unwrap();
    for account in [" ← shop ", " ← oa ", " ← brand "] {
        assert!(of_an.contains(account), "{account}: {of_an}");
    }
    assert_eq!(first.matches("\nAn Nguyễn  cus_").count(), 1, "{first}");
    let second = play();
    assert_eq!(timelines(&first), timelines(&second));
}
