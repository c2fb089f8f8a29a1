//! Golden files of sending, and what every adapter has to make of a failing provider.

use crate::golden::{self, Differences, Kit, kits};
use crate::wire::{Answer, shown};
use omnigate_core::port::adapter::{
    AccessToken, Channel, ChannelHost, HttpRequest, HttpResponse, NoAccessToken, Outgoing, Transport, TransportError,
};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ErrorClass, Message, SendAccepted, SendError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// 2026-01-02T03:04:05.678Z.
const NOW: Moment = Moment(1_767_323_045_678);
/// Access tokens of accounts that need one: the first, and the one after it was refused.
const FIRST_TOKEN: &str = "access-token-1";
const SECOND_TOKEN: &str = "access-token-2";
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Calls that one submission may make at most.
const MAX_CALLS: usize = 4;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    note: String,
    docs_url: String,
    /// Settings of the account, when they are not the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    peer_type: String,
    peer: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    peer_provider_form: String,
    message: Value,
    exchanges: Vec<Exchange>,
    #[serde(default)]
    expect: Value,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    #[serde(default)]
    expect: Value,
    answer: Answer,
}

/// Plays answers in order and keeps the calls; without a script, gives one answer for ever.
struct Script {
    answers: Vec<Answer>,
    repeat: bool,
    calls: Mutex<Vec<HttpRequest>>,
}

impl Script {
    fn new(answers: Vec<Answer>, repeat: bool) -> Self {
        Self {
            answers,
            repeat,
            calls: Mutex::default(),
        }
    }

    fn calls(&self) -> Vec<HttpRequest> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let index = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(request);
            if self.repeat { 0 } else { calls.len() - 1 }
        };
        let answer = self.answers.get(index);
        answer
            .unwrap_or_else(|| panic!("call {} was not expected", index + 1))
            .play()
    }
}

#[async_trait::async_trait]
impl ChannelHost for Script {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn now(&self) -> Moment {
        NOW
    }

    async fn access_token(&self, refused: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        match refused {
            None => Ok(AccessToken(FIRST_TOKEN.to_owned())),
            Some(FIRST_TOKEN) => Ok(AccessToken(SECOND_TOKEN.to_owned())),
            Some(_) => Err(NoAccessToken::Unauthorized("no token is left".to_owned())),
        }
    }
}

struct Case {
    channel: Arc<dyn Channel>,
    message: Message,
    golden: Golden,
    secrets: Vec<String>,
}

impl Case {
    fn open(kit: &Kit, path: &Path) -> Self {
        let golden: Golden = golden::read(path);
        let account = kit.account(golden.account.as_ref());
        let opened = kit.kind().open_account(&kit.app(&account), &account);
        let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            channel: opened.channel,
            message: serde_json::from_value(golden.message.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            secrets: [kit.secrets(&account), vec![FIRST_TOKEN.into(), SECOND_TOKEN.into()]].concat(),
            golden,
        }
    }

    fn pieces(&self) -> Result<u32, SendError> {
        let count = self.channel.piece_count(&self.message);
        assert_eq!(count, self.channel.piece_count(&self.message));
        if let Err(error) = &count {
            assert_eq!(error.class(), ErrorClass::Content);
        }
        count
    }

    fn outgoing(&self, piece: u32) -> Outgoing {
        Outgoing {
            peer_type: self.golden.peer_type.clone(),
            peer: self.golden.peer.clone(),
            peer_provider_form: self.golden.peer_provider_form.clone(),
            message: self.message.clone(),
            piece,
            send_key: format!("{piece:026}"),
            time_limit: TIME_LIMIT,
        }
    }

    /// Sends one piece; whatever comes, it keeps within its time and tells no secret.
    async fn send(&self, piece: u32, script: &Script) -> Result<SendAccepted, SendError> {
        let before = script.calls().len();
        let outcome = self.channel.send(&self.outgoing(piece), script).await;
        let calls = script.calls().split_off(before);
        assert!(calls.len() <= MAX_CALLS, "{} calls for one piece", calls.len());
        let time: Duration = calls.iter().map(|call| call.time_limit).sum();
        assert!(time <= TIME_LIMIT, "calls may last {time:?}");
        if let Err(error) = &outcome {
            assert_ne!(error.class(), ErrorClass::Unspecified);
            for secret in &self.secrets {
                assert!(!format!("{error:?}").contains(secret), "a secret is in {error:?}");
            }
        }
        outcome
    }
}

fn shown_outcome(outcome: &Result<SendAccepted, SendError>) -> Value {
    match outcome {
        Ok(accepted) => json!({ "accepted": accepted }),
        Err(error) => json!({ "error": error }),
    }
}

/// Every golden message makes exactly the calls and has the outcomes it should.
#[tokio::test]
async fn golden_messages_make_their_calls() {
    let mut differences = Differences::default();
    for kit in kits() {
        for path in kit.files("outbound") {
            let mut case = Case::open(&kit, &path);
            assert!(!case.golden.note.is_empty() && case.golden.docs_url.starts_with("https://"));
            let answers = case.golden.exchanges.iter().map(|exchange| exchange.answer.clone());
            let script = Script::new(answers.collect(), false);
            let pieces = case.pieces();
            let mut outcomes = Vec::new();
            for piece in 0..*pieces.as_ref().unwrap_or(&0) {
                outcomes.push(shown_outcome(&case.send(piece, &script).await));
            }
            let calls = script.calls();
            assert_eq!(calls.len(), case.golden.exchanges.len(), "{}", path.display());
            let pieces = pieces.map_or_else(|error| json!({ "error": error }), |count| json!(count));
            let actual = json!({ "pieces": pieces, "outcomes": outcomes });
            if golden::is_writing() {
                for (exchange, call) in case.golden.exchanges.iter_mut().zip(&calls) {
                    exchange.expect = shown(call);
                }
                case.golden.expect = actual;
                golden::write(&path, &case.golden);
                continue;
            }
            for (exchange, call) in case.golden.exchanges.iter().zip(&calls) {
                differences.compare(&path, "call", &shown(call), &exchange.expect);
            }
            differences.compare(&path, "outcome", &actual, &case.golden.expect);
        }
    }
    differences.finish();
}

/// Law 4: what may have left is never called unsent, and the other way round.
#[tokio::test]
async fn failures_are_never_guessed() {
    let text = |status: u16, body: &str| Answer::Text {
        status,
        body: body.to_owned(),
    };
    let failures = [
        (Answer::NotSent("no connection".into()), ErrorClass::NotSent),
        (Answer::Ambiguous("time-out".into()), ErrorClass::Ambiguous),
        (text(500, ""), ErrorClass::Ambiguous),
        (text(502, "<html>bad gateway</html>"), ErrorClass::Ambiguous),
        (text(504, "{"), ErrorClass::Ambiguous),
        (text(200, ""), ErrorClass::Ambiguous),
        (text(200, "<html>welcome</html>"), ErrorClass::Ambiguous),
        (text(200, "null"), ErrorClass::Ambiguous),
        (text(200, "{}"), ErrorClass::Ambiguous),
    ];
    for kit in kits() {
        for path in kit.files("outbound") {
            let case = Case::open(&kit, &path);
            for piece in 0..case.pieces().unwrap_or(0) {
                for (answer, class) in &failures {
                    let script = Script::new(vec![answer.clone()], true);
                    let outcome = case.send(piece, &script).await;
                    // A message that is refused before any call is no failure of the provider.
                    if !script.calls().is_empty() {
                        let found = outcome.err().map(|error| error.class());
                        let last = script.calls().pop().unwrap().url;
                        let only_prepared = kit.shared.preparing.iter().any(|part| last.contains(part));
                        let class = if only_prepared { &ErrorClass::NotSent } else { class };
                        assert_eq!(found, Some(*class), "{}", path.display());
                    }
                }
            }
        }
    }
}

/// A piece that the message does not have is an error of content and makes no call.
#[tokio::test]
async fn there_is_no_piece_beyond_the_last() {
    for kit in kits() {
        for path in kit.files("outbound") {
            let case = Case::open(&kit, &path);
            let script = Script::new(Vec::new(), false);
            let error = case.send(u32::MAX, &script).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Content, "{}", path.display());
        }
    }
}
