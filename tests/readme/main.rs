//! Every command of the README, run as it stands there against a gateway with a customer; placeholders are filled in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

use anyhow::{Context as _, ensure};
use omnigate_sandbox::zalo::{self, Zalo, ZaloHandle};
use omnigate_tests::bot;
use omnigate_tests::gateway::{Gateway, Keys, Shape};
use omnigate_tests::process::binary;
use omnigate_tests::reading::customer;
use omnigate_tests::wait;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a command that goes on by itself is watched.
const WATCHED: Duration = Duration::from_secs(3);

struct Reader {
    gateway: Gateway,
    folder: PathBuf,
    customer: String,
    message: String,
    conversation: String,
    template: String,
    /// What an administrator's consent at Zalo comes back with.
    code: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_works() {
    let sandbox = bot::sandbox(1).await.unwrap();
    let mut keys = Keys::new();
    bot::account(&mut keys, &sandbox, "shop", 1, false);
    let zalo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let zalo = Zalo::start(zalo, zalo::Options::default()).unwrap();
    official_account(&mut keys, &zalo);
    let recipients = "tenants.default.test_recipients".to_owned();
    keys.insert(recipients, "tg_chat/shop/42".to_owned());
    keys.insert(
        "event_webhooks.crm.url".to_owned(),
        "http://127.0.0.1:9/omnigate".to_owned(),
    );
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    keys.insert("event_webhooks.crm.secret".to_owned(), secret.to_owned());
    let gateway = Gateway::start(Shape::One, &keys).await.unwrap().unwrap();
    bot::point(&sandbox, &gateway, "shop", 1).await.unwrap();
    let person = sandbox.user("An");
    person.writes("chào").unwrap();
    let connection = gateway.connect().await.unwrap();
    let known = wait::until("a customer", async || {
        Ok(customer(&connection, "shop", person.id()).await?.ok_or("nobody"))
    });
    let customer = known.await.unwrap().customer_id;
    let folder = gateway.path().join("reader");
    std::fs::create_dir(&folder).unwrap();
    let mut reader = Reader {
        gateway,
        folder,
        customer,
        message: String::new(),
        conversation: String::new(),
        template: String::new(),
        code: zalo.authorize(None),
    };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    reader.prepare(&readme).unwrap();
    for command in commands(&readme) {
        reader
            .run(&command)
            .with_context(|| format!("README: {command}"))
            .unwrap();
    }
}

/// Configures an account of the sandbox's Official Account that nobody has authorised yet.
fn official_account(keys: &mut Keys, zalo: &ZaloHandle) {
    for (key, value) in [
        ("channel", "zalo"),
        ("settings.oa_id", &format!("{:?}", zalo.oa_id())),
        ("settings.app_id", &format!("{:?}", zalo.app_id())),
        ("settings.app_secret", &zalo.app_secret()),
        ("settings.oa_secret_key", &zalo.oa_secret_key()),
        ("settings.redirect_url", "https://shop.example/zalo"),
        ("settings.api_url", &zalo.base_url()),
        ("settings.zns_url", &zalo.base_url()),
        ("settings.oauth_url", &zalo.base_url()),
    ] {
        keys.insert(format!("accounts.oa.{key}"), value.to_owned());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// The lines of all `sh` blocks, without their comments.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in readme.lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block => commands.push(line.split(" #").next().unwrap_or(line).trim().to_owned()),
            _ => {}
        }
    }
    commands
}

impl Reader {
    /// The files that the README speaks of.
    fn prepare(&self, readme: &str) -> anyhow::Result<()> {
        let template = readme
            .split("```toml\n")
            .find(|block| block.starts_with("display_name"));
        let template = template.and_then(|block| block.split("```").next());
        std::fs::write(self.folder.join("order.toml"), template.context("no template")?)?;
        let configuration = "[accounts.shop]\nchannel = \"telegram\"\nsettings.bot_token = \"1:AAAAAAAAAAAAAAAAAAAAAAAA\"\n\
             settings.api_url = \"http://127.0.0.1:1\"\n";
        std::fs::write(self.folder.join("omnigate.toml"), configuration)?;
        let update = r#"{"update_id":900,"message":{"message_id":900,"date":1700000000,"text":"by hand",
            "chat":{"id":77,"type":"private","first_name":"Curl"},"from":{"id":77,"is_bot":false,"first_name":"Curl"}}}"#;
        std::fs::write(self.folder.join("update.json"), update)?;
        let event = r#"{"app_id":"1000000000000000001","sender":{"id":"7000000000000000001"},
            "recipient":{"id":"3000000000000000001"},"event_name":"user_send_text",
            "message":{"msg_id":"aa11","text":"chào"},"timestamp":"1767323000123"}"#;
        std::fs::write(self.folder.join("event.json"), event)?;
        std::fs::write(self.folder.join("khach.csv"), "phone,Tên\n+84912345670,An\n")?;
        // A deliver_sm from 84912345678 to 8041: "hello".
        let pdu = "00000035000000050000000000000007000101383439313233343536373800060038303431000000000000000001000568656c6c6f";
        Ok(std::fs::write(self.folder.join("pdu.hex"), pdu)?)
    }

    fn run(&mut self, command: &str) -> anyhow::Result<()> {
        // What these two run is what runs this test, and what `just` recipes measure.
        if command == "tests/run" || command == "cargo run --release -- demo" {
            return self.first_word_exists(command);
        }
        let filled = command
            .replace("cus_…", &self.customer)
            .replace("msg_…", &self.message)
            .replace("cnv_…", &self.conversation)
            .replace("tpl_…", &self.template)
            .replace("--code CODE", &format!("--code '{}'", self.code))
            .replace("127.0.0.1:7480", &self.gateway.addresses["listen.webhooks"])
            .replace("127.0.0.1:7400", &self.gateway.addresses["listen.api"])
            .replace("Secret-Token: …", &format!("Secret-Token: {}", bot::SECRET))
            .replace("omnigate-data/token", "\"$OMNIGATE__DATA_DIR/token\"");
        let goes_on = command.starts_with("omnigate serve") || command.ends_with("--follow");
        if command.starts_with("grpcurl") && !has("grpcurl") {
            ensure!(std::env::var_os("CI").is_none(), "grpcurl is missing, and CI is set");
            return Ok(());
        }
        if command.contains("--role") {
            // Some roles alone need real servers; the end-to-end tests start those.
            let output = self.shell(&filled, false)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return ensure_said(&said, "broker.url");
        }
        let output = self.shell(&filled, goes_on)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success() || goes_on,
            "{}{said}",
            String::from_utf8_lossy(&output.stderr)
        );
        if command.starts_with("omnigate send") {
            ensure_said(&said, "SENT")?;
            self.message = said.split_whitespace().next().unwrap_or_default().to_owned();
        }
        if command.starts_with("omnigate templates create") {
            let first = said.split_whitespace().find(|word| word.starts_with("tpl_"));
            self.template = first.context("no template is made")?.to_owned();
        }
        if command.starts_with("omnigate conversations list") {
            let first = said.split_whitespace().find(|word| word.starts_with("cnv_"));
            self.conversation = first.context("no conversation is listed")?.to_owned();
        }
        Ok(())
    }

    fn first_word_exists(&self, command: &str) -> anyhow::Result<()> {
        let word = command.split(' ').next().unwrap_or_default();
        ensure!(has(word) || root().join(word).exists(), "{word} does not exist");
        Ok(())
    }

    /// Runs a line in the reader's folder; one that goes on is interrupted after a while.
    fn shell(&self, line: &str, goes_on: bool) -> anyhow::Result<Output> {
        let binary = binary()?;
        let path = format!(
            "{}:{}",
            binary.parent().unwrap_or(Path::new(".")).display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let wrapped = match goes_on {
            true => format!("timeout -s INT {} {line}", WATCHED.as_secs()),
            false => line.to_owned(),
        };
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &wrapped])
            .current_dir(&self.folder)
            .env("PATH", path)
            .stdin(Stdio::null());
        shell.env("OMNIGATE_ENDPOINT", &self.gateway.addresses["listen.api"]);
        if line.starts_with("omnigate serve") {
            for key in ["API", "INGEST", "EDGE", "SESSIONS", "WEBHOOKS", "ADMIN"] {
                shell.env(format!("OMNIGATE__LISTEN__{key}"), "127.0.0.1:0");
            }
        } else if !line.starts_with("omnigate check") {
            shell.env("OMNIGATE__DATA_DIR", self.gateway.path().join("data"));
        }
        Ok(shell.output()?)
    }
}

fn has(command: &str) -> bool {
    let found = Command::new("bash")
        .args(["-c", &format!("command -v {command}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

fn ensure_said(said: &str, word: &str) -> anyhow::Result<()> {
    ensure!(said.contains(word), "{word:?} is not in: {said}");
    Ok(())
}
