//! Golden files of sessions, and the order of pushing and remembering that all keep.

use crate::golden::{self, Differences, Kit, kits};
use crate::wire::{Answer, shown};
use bytes::Bytes;
use omnigate_core::port::adapter::{
    HttpRequest, HttpResponse, Place, PushFailed, Session, SessionError, SessionHost, Stream, Transport, TransportError,
};
use omnigate_core::time::Moment;
use omnigate_proto::v1::Event;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    future::pending,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// 2026-01-02T03:04:05.678Z.
const NOW: Moment = Moment(1_767_323_045_678);
/// Longest time a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    note: String,
    docs_url: String,
    /// Settings of the account, when they are not the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Map<String, Value>>,
    /// What was stored before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cursor: String,
    /// Answers in order; after the last one the session is told to stop.
    answers: Vec<Answer>,
    #[serde(default)]
    expect: Value,
}

/// What goes wrong on our side, counted from 1.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Push(usize),
    Checkpoint(usize),
}

struct Host {
    cursor: Bytes,
    answers: Vec<Answer>,
    fault: Option<Fault>,
    log: Mutex<Vec<Value>>,
    stop: watch::Sender<bool>,
}

impl Host {
    fn new(golden: &Golden, fault: Option<Fault>) -> Self {
        Self {
            cursor: Bytes::from(golden.cursor.clone()),
            answers: golden.answers.clone(),
            fault,
            log: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Notes a step; which one of its sort it is, from 1.
    fn note(&self, sort: &str, what: Value) -> usize {
        let mut log = self.log.lock().unwrap();
        log.push(json!({ sort: what }));
        log.iter().filter(|step| step.get(sort).is_some()).count()
    }

    fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    fn fails(&self, fault: Fault) -> Result<(), PushFailed> {
        if self.fault == Some(fault) {
            return Err(PushFailed("broker is away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Transport for Host {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let number = self.note("call", shown(&request));
        match self.answers.get(number - 1) {
            Some(answer) => answer.play(),
            None => {
                self.stop.send_replace(true);
                pending().await
            }
        }
    }
}

#[async_trait::async_trait]
impl SessionHost for Host {
    fn cursor(&self) -> Bytes {
        self.cursor.clone()
    }

    async fn push(&self, events: Vec<Event>) -> Result<(), PushFailed> {
        for event in &events {
            crate::contract::check_event(event).unwrap();
        }
        let number = self.note("push", json!(events));
        self.fails(Fault::Push(number))
    }

    async fn checkpoint(&self, cursor: Bytes) -> Result<(), PushFailed> {
        let number = self.note("checkpoint", json!(String::from_utf8_lossy(&cursor)));
        self.fails(Fault::Checkpoint(number))
    }

    fn transport(&self) -> &dyn Transport {
        self
    }

    async fn dial(&self, _: &Place) -> Result<Box<dyn Stream>, TransportError> {
        Err(TransportError::Forbidden("golden sessions speak HTTP".to_owned()))
    }

    fn now(&self) -> Moment {
        NOW
    }

    async fn sleep(&self, time: Duration) {
        self.note("sleep", json!(u64::try_from(time.as_millis()).unwrap()));
    }

    async fn stopped(&self) {
        self.stop.subscribe().wait_for(|stop| *stop).await.unwrap();
    }
}

fn open(kit: &Kit, path: &Path) -> (Arc<dyn Session>, Golden) {
    let golden: Golden = golden::read(path);
    let account = kit.account(golden.account.as_ref());
    let opened = kit.kind().open_account(&kit.app(&account), &account);
    let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (_, session) = opened.sessions.into_iter().next().expect("the account has a session");
    (session, golden)
}

async fn run(session: &dyn Session, host: &Host, path: &Path) -> Value {
    let end = timeout(PATIENCE, session.run(host)).await;
    match end.unwrap_or_else(|_| panic!("{}: the session does not end", path.display())) {
        Ok(()) => json!("stopped"),
        Err(SessionError::Retry { problem, after }) => {
            json!({ "retry": problem, "after_ms": u64::try_from(after.as_millis()).unwrap() })
        }
        Err(SessionError::Misconfigured(problem)) => json!({ "misconfigured": problem }),
    }
}

/// Every golden session takes exactly the steps it should.
#[tokio::test]
async fn golden_sessions_take_their_steps() {
    let mut differences = Differences::default();
    for kit in kits() {
        for path in kit.files("session") {
            let (session, mut golden) = open(&kit, &path);
            assert!(!golden.note.is_empty() && golden.docs_url.starts_with("https://"));
            let host = Host::new(&golden, None);
            let end = run(&*session, &host, &path).await;
            let actual = json!({ "steps": host.log(), "end": end });
            if golden::is_writing() {
                golden.expect = actual;
                golden::write(&path, &golden);
            } else {
                differences.compare(&path, "run", &actual, &golden.expect);
            }
        }
    }
    differences.finish();
}

/// Whatever is not durable ends the session at once: nothing is asked for, acknowledged or remembered after it.
#[tokio::test]
async fn nothing_follows_what_is_not_durable() {
    for kit in kits() {
        for path in kit.files("session") {
            let (session, golden) = open(&kit, &path);
            let host = Host::new(&golden, None);
            run(&*session, &host, &path).await;
            let good = host.log();
            let count = |sort: &str| good.iter().filter(|step| step.get(sort).is_some()).count();
            let pushes = (1..=count("push")).map(Fault::Push);
            let checkpoints = (1..=count("checkpoint")).map(Fault::Checkpoint);
            for fault in pushes.chain(checkpoints) {
                let host = Host::new(&golden, Some(fault));
                let end = run(&*session, &host, &path).await;
                assert!(end.get("retry").is_some(), "{}: ends with {end}", path.display());
                let log = host.log();
                let (sort, number) = match fault {
                    Fault::Push(number) => ("push", number),
                    Fault::Checkpoint(number) => ("checkpoint", number),
                };
                assert_eq!(log[..], good[..log.len()], "{}", path.display());
                let reached = log.iter().filter(|step| step.get(sort).is_some()).count();
                assert!(
                    log.last().unwrap().get(sort).is_some() && reached == number,
                    "{}",
                    path.display()
                );
            }
        }
    }
}
