//! `omnigate accounts …` against an api that says what the test wants.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

use omnigate_proto::v1::authorize_account_request::Grant;
use omnigate_proto::v1::{
    Account, AccountState, AuthorizeAccountRequest, AuthorizeAccountResponse, ListAccountsRequest,
    ListAccountsResponse, ListProviderTemplatesRequest, ListProviderTemplatesResponse, ProviderTemplate,
    ProviderTemplateParameter, ProviderTemplateState,
};
use omnigate_rpc::auth::{Caller, Scopes, Tokens};
use omnigate_rpc::error::Problem;
use omnigate_rpc::server::{self, Options, Services};
use omnigate_rpc::v1::account_service_server::AccountService;
use pbjson_types::Timestamp;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

const TOKEN: &str = "of-the-test";
const SECRET: &str = "r3fresh-Secret";

/// An api with two accounts.
#[derive(Default)]
struct FakeApi {
    handed: Mutex<Vec<AuthorizeAccountRequest>>,
    /// Looks until the provider has decided.
    undecided: Mutex<u32>,
    /// What it then says; empty for yes.
    verdict: Mutex<String>,
}

fn shop() -> Account {
    Account {
        account_id: "shop".into(),
        channel: "zalo".into(),
        adapter: "builtin".into(),
        state: AccountState::Active.into(),
        authorization_url: "https://provider.test/permission?app=1".into(),
        ..Account::default()
    }
}

#[tonic::async_trait]
impl AccountService for FakeApi {
    async fn list_accounts(&self, _: Request<ListAccountsRequest>) -> Result<Response<ListAccountsResponse>, Status> {
        let tried = !self.handed.lock().unwrap().is_empty();
        let mut undecided = self.undecided.lock().unwrap();
        let pending = tried && *undecided > 0;
        *undecided = undecided.saturating_sub(1);
        let mut shop = shop();
        if pending {
            shop.authorization_pending = true;
            shop.state = AccountState::Unauthorized.into();
            shop.problem = "what was handed in is being tried".into();
        } else if tried {
            shop.authorization_problem = self.verdict.lock().unwrap().clone();
            shop.token_expires_at = Some(Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            });
        }
        let bot = Account {
            account_id: "bot".into(),
            channel: "telegram".into(),
            provider: String::new(),
            state: AccountState::Unreachable.into(),
            problem: "its adapter does not answer".into(),
            ..Account::default()
        };
        Ok(Response::new(ListAccountsResponse {
            accounts: vec![bot, shop],
        }))
    }

    async fn authorize_account(
        &self,
        request: Request<AuthorizeAccountRequest>,
    ) -> Result<Response<AuthorizeAccountResponse>, Status> {
        let asked = request.into_inner();
        if asked.account_id != "shop" {
            return Err(Problem::failed_precondition("NO_TOKENS_NEEDED", "nobody has to authorise the account").into());
        }
        self.handed.lock().unwrap().push(asked);
        Ok(Response::new(AuthorizeAccountResponse {}))
    }

    async fn list_provider_templates(
        &self,
        request: Request<ListProviderTemplatesRequest>,
    ) -> Result<Response<ListProviderTemplatesResponse>, Status> {
        if request.into_inner().account_id != "shop" {
            return Ok(Response::new(ListProviderTemplatesResponse::default()));
        }
        let template = ProviderTemplate {
            template_id: "300001".into(),
            name: "Xác nhận đơn".into(),
            state: ProviderTemplateState::Approved.into(),
            parameters: vec![ProviderTemplateParameter {
                name: "code".into(),
                required: true,
                max_length: 30,
                ..ProviderTemplateParameter::default()
            }],
            ..ProviderTemplate::default()
        };
        Ok(Response::new(ListProviderTemplatesResponse {
            templates: vec![template],
            synced_at: Some(Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            }),
        }))
    }
}

/// A served api, and the folder in which commands run.
struct World {
    api: Arc<FakeApi>,
    endpoint: String,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    _ready: watch::Sender<bool>,
}

struct Said {
    success: bool,
    out: String,
    problems: String,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let api = Arc::new(FakeApi::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let mut tokens = Tokens::new();
        tokens.add(TOKEN, Caller::new("test", "t", Scopes::all()));
        let (ready, is_ready) = watch::channel(true);
        let options = Options {
            name: "api",
            tokens: Arc::new(tokens),
            ready: is_ready,
            max_connections: 10,
            calls_per_connection: 10,
            call_limit: Duration::from_secs(10),
            tls: None,
        };
        let services = Services::new(1024 * 1024).account(Arc::clone(&api));
        runtime.spawn(server::serve(listener, services, options, CancellationToken::new()));
        Self {
            api,
            endpoint,
            folder: tempfile::tempdir().unwrap(),
            _runtime: runtime,
            _ready: ready,
        }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_omnigate"))
            .arg("accounts")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("OMNIGATE_ENDPOINT", &self.endpoint)
            .env("OMNIGATE_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have ended.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        Said {
            success: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            problems: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn fails(&self, arguments: &[&str], input: &str) -> String {
        let said = self.run(arguments, input);
        assert!(!said.success && said.out.is_empty(), "{arguments:?}: {}", said.out);
        assert!(!said.problems.contains(SECRET), "{}", said.problems);
        said.problems
    }

    fn handed(&self) -> Vec<Grant> {
        let handed = self.api.handed.lock().unwrap();
        handed.iter().map(|asked| asked.grant.clone().unwrap()).collect()
    }
}

fn write(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

#[test]
fn the_list_says_how_accounts_stand_and_what_is_wrong() {
    let world = World::new();
    let said = world.run(&["list"], "");
    assert!(said.success, "{}", said.problems);
    for words in [
        "PROVIDER",
        "STATE",
        "unreachable",
        "active",
        "bot: its adapter does not answer",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let json = world.run(&["list", "--output", "json"], "");
    let first: serde_json::Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    assert_eq!(first["state"], "ACCOUNT_STATE_UNREACHABLE");
    assert_eq!(json.out.lines().count(), 2, "nothing but objects");
}

#[test]
fn the_status_of_an_account_is_shown_and_a_strange_one_named() {
    let world = World::new();
    let said = world.run(&["status", "shop"], "");
    assert!(said.success, "{}", said.problems);
    assert!(
        said.out.contains("https://provider.test/permission?app=1"),
        "{}",
        said.out
    );
    let problem = world.fails(&["status", "shopp"], "");
    assert!(
        problem.contains("\"shopp\"") && problem.contains("bot, shop"),
        "{problem}"
    );
    assert_eq!(problem.lines().count(), 1);
}

#[test]
fn without_a_grant_the_address_is_told() {
    let world = World::new();
    let said = world.run(&["authorize", "shop"], "");
    assert!(said.success, "{}", said.problems);
    assert!(
        said.out.contains("https://provider.test/permission?app=1")
            && said.out.contains("omnigate accounts authorize shop --code CODE"),
        "{}",
        said.out
    );
    let problem = world.fails(&["authorize", "bot"], "");
    assert!(problem.contains("no address to open for bot"), "{problem}");
    assert!(world.handed().is_empty());
}

#[test]
fn a_token_is_read_from_a_file_or_standard_input_and_the_verdict_waited_for() {
    let world = World::new();
    *world.api.undecided.lock().unwrap() = 2;
    write(world.folder.path(), "token.txt", &format!("{SECRET}\n"));
    let said = world.run(&["authorize", "shop", "--refresh-token-file", "token.txt"], "");
    assert!(said.success, "{}", said.problems);
    assert!(
        said.out.contains("shop is authorised") && said.out.contains("2027-01-15"),
        "{}",
        said.out
    );
    assert!(said.problems.contains("is being tried"), "{}", said.problems);
    let said = world.run(&["authorize", "shop", "--refresh-token-file", "-"], SECRET);
    assert!(said.success && !said.out.contains(SECRET), "{}", said.problems);
    assert_eq!(
        world.handed(),
        [Grant::RefreshToken(SECRET.into()), Grant::RefreshToken(SECRET.into())]
    );
    let handed = world.api.handed.lock().unwrap();
    assert!(!handed[0].request_id.is_empty() && handed[0].request_id != handed[1].request_id);
}

#[test]
fn a_code_goes_with_its_verifier() {
    let world = World::new();
    let arguments = ["authorize", "shop", "--code", "c0de", "--code-verifier", "v3rifier"];
    let said = world.run(&arguments, "");
    assert!(said.success, "{}", said.problems);
    let said = world.run(&["authorize", "shop", "--code", "-"], "c0de2\n");
    assert!(said.success, "{}", said.problems);
    let code = |code: &str| Grant::AuthorizationCode(code.into());
    assert_eq!(world.handed(), [code("c0de"), code("c0de2")]);
    assert_eq!(world.api.handed.lock().unwrap()[0].code_verifier, "v3rifier");
}

#[test]
fn a_refusal_and_a_provider_that_does_not_decide_fail_with_the_reason() {
    let world = World::new();
    "the refresh token is used up".clone_into(&mut world.api.verdict.lock().unwrap());
    let authorize = ["authorize", "shop", "--refresh-token-file", "-"];
    let problem = world.fails(&authorize, SECRET);
    assert!(
        problem.contains("the provider refused it for shop: the refresh token is used up"),
        "{problem}"
    );
    *world.api.undecided.lock().unwrap() = u32::MAX;
    let problem = world.fails(&[&authorize[..], &["--wait", "1"]].concat(), SECRET);
    assert!(
        problem.contains("not decided after 1 s") && problem.contains("accounts status shop"),
        "{problem}"
    );
}

#[test]
fn what_cannot_be_handed_in_gets_one_line_and_no_call() {
    let world = World::new();
    write(world.folder.path(), "empty.txt", "\n");
    for (arguments, input, words) in [
        (
            &["--refresh-token-file", "nowhere.txt"][..],
            "",
            &["cannot read nowhere.txt"][..],
        ),
        (&["--refresh-token-file", "empty.txt"], "", &["empty.txt must hold"]),
        (
            &["--refresh-token-file", "-"],
            "r3fresh-Secret twice",
            &["standard input must hold"],
        ),
        (
            &["--code", "x", "--refresh-token-file", "-"],
            SECRET,
            &["--code", "cannot be used with"],
        ),
        (&["--code-verifier", "x"], "", &["--code"]),
    ] {
        let problem = world.fails(&[&["authorize", "shop"], arguments].concat(), input);
        assert!(
            words.iter().all(|word| problem.contains(word)),
            "{arguments:?}: {problem}"
        );
    }
    assert!(world.handed().is_empty());
    let problem = world.fails(&["authorize", "bot", "--code", "x"], "");
    assert!(problem.contains("nobody has to authorise"), "{problem}");
}

#[test]
fn templates_are_listed_with_what_they_ask_for() {
    let world = World::new();
    let said = world.run(&["templates", "shop"], "");
    assert!(said.success, "{}", said.problems);
    for words in [
        "300001",
        "Xác nhận đơn",
        "approved",
        "code up to 30",
        "copied 2027-01-15",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let json = world.run(&["templates", "shop", "--output", "json"], "");
    let template: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(template["parameters"][0]["maxLength"], 30);
    let problem = world.fails(&["templates", "bot"], "");
    assert!(problem.contains("not copied yet"), "{problem}");
}
