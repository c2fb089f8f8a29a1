use super::*;
use futures_util::future::join_all;
use omnigate_proto::v1::{
    GetCapabilitiesRequest, GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse, LookupTemplateResponse,
    SendRequest, SendResponse,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::{Response, Status};

/// Knows one template, takes its time, and can be away.
#[derive(Default)]
struct Adapter {
    asked: AtomicUsize,
    takes: Duration,
    fails: Mutex<Option<Code>>,
}

const KNOWN: &str = "300001";

#[tonic::async_trait]
impl AdapterService for Adapter {
    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lookup_template(
        &self,
        asked: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        if let Some(code) = *self.fails.lock().unwrap() {
            return Err(Status::new(code, "as the test asked"));
        }
        let template = ProviderTemplate {
            template_id: KNOWN.to_owned(),
            ..ProviderTemplate::default()
        };
        let found = asked.get_ref().template_id == KNOWN;
        Ok(Response::new(LookupTemplateResponse {
            templates: found.then_some(template).into_iter().collect(),
        }))
    }
}

fn lookups(adapter: &Arc<Adapter>) -> Lookups {
    Lookups::new(Some(Arc::<Adapter>::clone(adapter)))
}

fn slow() -> Arc<Adapter> {
    Arc::new(Adapter {
        takes: Duration::from_secs(1),
        ..Adapter::default()
    })
}

fn ids(lookup: &Lookup) -> Option<usize> {
    match lookup {
        Lookup::Found(found) => Some(found.len()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_gets_the_same_answer_and_the_provider_is_asked_once() {
    let adapter = slow();
    let lookups = lookups(&adapter);
    let all = join_all((0..50).map(|_| lookups.of("oa", KNOWN))).await;
    assert!(all.iter().all(|lookup| ids(lookup) == Some(1)), "{all:?}");
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn that_there_is_none_is_remembered_for_a_moment() {
    let adapter = slow();
    let lookups = lookups(&adapter);
    for _ in 0..3 {
        assert_eq!(lookups.of("oa", "9").await, Lookup::Found(Vec::new()));
    }
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 1);
    assert_eq!(ids(&lookups.of("other", "9").await), Some(0), "another account");
    tokio::time::advance(KEPT).await;
    assert_eq!(ids(&lookups.of("oa", "9").await), Some(0));
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_answer_is_asked_again_soon_and_who_cannot_be_asked_says_so() {
    let adapter = slow();
    let lookups = lookups(&adapter);
    *adapter.fails.lock().unwrap() = Some(Code::Unavailable);
    for _ in 0..2 {
        assert!(matches!(lookups.of("oa", KNOWN).await, Lookup::Unknown(_)));
    }
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 1);
    *adapter.fails.lock().unwrap() = None;
    tokio::time::advance(LEFT_ALONE).await;
    assert_eq!(ids(&lookups.of("oa", KNOWN).await), Some(1));
    *adapter.fails.lock().unwrap() = Some(Code::Unimplemented);
    assert_eq!(lookups.of("oa", "9").await, Lookup::Unsupported);
    assert_eq!(Lookups::new(None).of("oa", "9").await, Lookup::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_the_question_to_the_next_one() {
    let adapter = slow();
    let lookups = lookups(&adapter);
    let gone = tokio::time::timeout(Duration::from_millis(100), lookups.of("oa", KNOWN));
    assert!(gone.await.is_err());
    assert_eq!(ids(&lookups.of("oa", KNOWN).await), Some(1));
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn invented_ids_use_up_neither_the_provider_nor_other_accounts() {
    let adapter = Arc::new(Adapter::default());
    let lookups = lookups(&adapter);
    for number in 0..MOST_OF_ACCOUNT * 3 {
        let lookup = lookups.of("oa", &format!("invented-{number}")).await;
        let refused = matches!(lookup, Lookup::Unknown(_));
        assert_eq!(refused, number >= MOST_OF_ACCOUNT, "{number}");
    }
    assert_eq!(adapter.asked.load(Ordering::SeqCst), MOST_OF_ACCOUNT);
    assert_eq!(ids(&lookups.of("other", KNOWN).await), Some(1));
    assert!(lookups.answers.lock().unwrap().len() <= MOST_OF_ACCOUNT + 1);
    tokio::time::advance(KEPT).await;
    assert_eq!(ids(&lookups.of("oa", KNOWN).await), Some(1));
}
