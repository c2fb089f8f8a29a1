//! Sessions under leases. Time stands still unless everything waits.

use crate::fakes::{FakeIngest, FakeKind, FakeSessions, Running, account, message, parts, start, until};
use bytes::Bytes;
use omnigate_core::port::adapter::{Session, SessionError, SessionHost};
use omnigate_edge::Settings;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What a scripted session does.
enum Script {
    /// Pushes and checkpoints once a second.
    Poll,
    /// Ignores everything, also the stop.
    Deaf,
    /// Fails at once.
    Fail(SessionError),
    Panic,
}

struct Scripted {
    script: Script,
    begun: AtomicUsize,
    running: Arc<AtomicUsize>,
}

impl Scripted {
    fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script,
            begun: AtomicUsize::new(0),
            running: Arc::new(AtomicUsize::new(0)),
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }
}

/// Counts a run, also one that is cut.
struct Run(Arc<AtomicUsize>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Session for Scripted {
    async fn run(&self, host: &dyn SessionHost) -> Result<(), SessionError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        let _run = Run(Arc::clone(&self.running));
        match &self.script {
            Script::Deaf => std::future::pending().await,
            Script::Fail(error) => Err(error.clone()),
            Script::Panic => panic!("as the test asked"),
            Script::Poll => {
                let failed = |problem: omnigate_core::port::adapter::PushFailed| SessionError::Retry {
                    problem: problem.to_string(),
                    after: Duration::ZERO,
                };
                loop {
                    let number = String::from_utf8(host.cursor().to_vec()).unwrap().parse().unwrap_or(0) + 1;
                    let id = number.to_string();
                    host.push(vec![message("shop", &id)]).await.map_err(failed)?;
                    host.checkpoint(Bytes::from(id)).await.map_err(failed)?;
                    tokio::select! {
                        () = host.sleep(Duration::from_secs(1)) => {}
                        () = host.stopped() => return Ok(()),
                    }
                }
            }
        }
    }
}

async fn hosted(session: &Arc<Scripted>, sessions: &Arc<FakeSessions>, ingest: &Arc<FakeIngest>) -> Running {
    let kind = FakeKind {
        session: Some(Arc::clone(session) as Arc<dyn Session>),
        ..FakeKind::new()
    };
    let mut parts = parts(kind, vec![account("shop")], Arc::clone(ingest), Settings::default());
    parts.sessions = Some(Arc::clone(sessions) as _);
    start(parts).await
}

#[tokio::test(start_paused = true)]
async fn a_session_pushes_checkpoints_and_is_given_back_at_a_stop() {
    let (session, sessions, ingest) = (Scripted::new(Script::Poll), Arc::default(), FakeIngest::open());
    let running = hosted(&session, &sessions, &ingest).await;
    until("ten pushes", || ingest.events().len() >= 10).await;
    running.stop.cancel();
    running.task.await.unwrap();
    let pushed = ingest.ids();
    assert_eq!(pushed[..3], ["1", "2", "3"]);
    assert_eq!(*sessions.cursor.lock().unwrap(), pushed[pushed.len() - 1]);
    assert_eq!((sessions.count("acquire"), sessions.count("release")), (1, 1));
    assert_eq!(ingest.events()[0].trace_id.len(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_from_the_durable_cursor() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Poll),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    *sessions.cursor.lock().unwrap() = Bytes::from_static(b"41");
    let _running = hosted(&session, &sessions, &ingest).await;
    until("a push", || !ingest.events().is_empty()).await;
    assert_eq!(ingest.ids()[0], "42");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_session_is_renewed_at_a_third_of_its_lease() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Deaf),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    let _running = hosted(&session, &sessions, &ingest).await;
    let begun = Instant::now();
    until("nine renewals", || sessions.count("renew") >= 9).await;
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(89)..Duration::from_secs(92)).contains(&took),
        "{took:?}"
    );
    assert_eq!(session.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_session_at_once() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Deaf),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    let _running = hosted(&session, &sessions, &ingest).await;
    until("it runs", || session.is_running()).await;
    *sessions.lost.lock().unwrap() = true;
    until("the renewal that fails", || sessions.count("renew") == 1).await;
    until("it is cut", || !session.is_running()).await;
    assert_eq!(sessions.count("renew"), 1);
    assert_eq!(sessions.count("release"), 0);
    *sessions.lost.lock().unwrap() = false;
    until("it runs again", || session.begun() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_ends_before_it_is_given_away() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Deaf),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    let _running = hosted(&session, &sessions, &ingest).await;
    until("it runs", || session.is_running()).await;
    let begun = Instant::now();
    *sessions.away.lock().unwrap() = true;
    until("it is cut", || !session.is_running()).await;
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(25)..=Duration::from_secs(30)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_pushed_after_a_checkpoint_said_that_the_lease_is_lost() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Poll),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    let _running = hosted(&session, &sessions, &ingest).await;
    until("a checkpoint", || sessions.count("checkpoint") >= 3).await;
    *sessions.lost.lock().unwrap() = true;
    let before = ingest.events().len();
    until("it is cut", || !session.is_running()).await;
    assert!(ingest.events().len() <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_held_elsewhere_is_asked_for_again() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Deaf),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    *sessions.held_elsewhere.lock().unwrap() = 3;
    let begun = Instant::now();
    let _running = hosted(&session, &sessions, &ingest).await;
    until("it runs", || session.is_running()).await;
    assert!(begun.elapsed() >= Duration::from_secs(15));
    assert_eq!(sessions.count("acquire"), 4);
}

#[tokio::test(start_paused = true)]
async fn failures_wait_longer_and_longer_and_at_least_as_asked() {
    let error = SessionError::Retry {
        problem: "too many requests".into(),
        after: Duration::from_secs(7),
    };
    let (session, sessions, ingest) = (Scripted::new(Script::Fail(error)), Arc::default(), FakeIngest::open());
    let begun = Instant::now();
    let _running = hosted(&session, &sessions, &ingest).await;
    until("five tries", || session.begun() == 5).await;
    // 7, 7, 7 and 8 seconds, and up to a quarter more.
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(29)..Duration::from_secs(37)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_misconfigured_session_is_tried_once_a_minute() {
    let error = SessionError::Misconfigured("the token is wrong".into());
    let (session, sessions, ingest) = (Scripted::new(Script::Fail(error)), Arc::default(), FakeIngest::open());
    let begun = Instant::now();
    let _running = hosted(&session, &sessions, &ingest).await;
    until("three tries", || session.begun() == 3).await;
    assert!(begun.elapsed() >= Duration::from_secs(120));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_starts_again() {
    let (session, sessions, ingest) = (Scripted::new(Script::Panic), Arc::default(), FakeIngest::open());
    let _running = hosted(&session, &sessions, &ingest).await;
    until("two tries", || session.begun() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_deaf_session_does_not_hold_a_stop_up() {
    let (session, sessions, ingest) = (
        Scripted::new(Script::Deaf),
        Arc::<FakeSessions>::default(),
        FakeIngest::open(),
    );
    let running = hosted(&session, &sessions, &ingest).await;
    until("it runs", || session.is_running()).await;
    running.stop.cancel();
    running.task.await.unwrap();
    assert_eq!(sessions.count("release"), 1);
}
