use super::*;
use omnigate_proto::v1::{
    GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse, LookupTemplateRequest, LookupTemplateResponse,
    SendRequest, SendResponse,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tonic::{Response, Status};

/// An adapter that can hang.
#[derive(Default)]
struct Adapter {
    hangs: AtomicBool,
    asked: AtomicUsize,
}

#[tonic::async_trait]
impl AdapterService for Adapter {
    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(GetCapabilitiesResponse::default()))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lookup_template(
        &self,
        _: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_hangs_is_waited_for_once_and_asked_again_soon() {
    let adapter = Arc::new(Adapter::default());
    adapter.hangs.store(true, Ordering::SeqCst);
    let abilities = Abilities::new(Some(Arc::<Adapter>::clone(&adapter)));
    let begun = Instant::now();
    for _ in 0..1000 {
        assert_eq!(abilities.of("shop").await, None);
    }
    assert_eq!(
        begun.elapsed(),
        ASK_WITHIN,
        "a page of customers is not a thousand waits"
    );
    adapter.hangs.store(false, Ordering::SeqCst);
    tokio::time::advance(LEFT_ALONE).await;
    assert!(abilities.of("shop").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_believed_for_a_while() {
    let adapter = Arc::new(Adapter::default());
    let abilities = Abilities::new(Some(Arc::<Adapter>::clone(&adapter)));
    for _ in 0..3 {
        assert!(abilities.of("shop").await.is_some());
    }
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 1);
    tokio::time::advance(KEPT).await;
    assert!(abilities.of("shop").await.is_some());
    assert_eq!(adapter.asked.load(Ordering::SeqCst), 2);
    assert_eq!(Abilities::new(None).of("shop").await, None, "no adapters at all");
}
