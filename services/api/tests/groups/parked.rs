//! What was parked because its key was gone.

use crate::gateway::{Gateway, TENANT, of};
use omnigate_core::hourly;
use omnigate_core::protocol::park::{Unfit, park_event};
use omnigate_core::shard::Partition;
use omnigate_core::topology;
use omnigate_proto::state::v1::{EventBatch, SealedPart};
use omnigate_proto::v1::{ListParkedRequest, ReplayParkedRequest};
use omnigate_rpc::v1::parked_service_server::ParkedService as _;
use prost::Message as _;

#[tokio::test(start_paused = true)]
async fn a_sealed_event_is_put_back_as_it_was() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let queue = topology::inbound(Partition(3));
    let part = SealedPart {
        tenant_id: TENANT.to_owned(),
        hour: 500_000,
        sealed: "sealed".into(),
        ..SealedPart::default()
    };
    let closed = hourly::closed_event(&queue.0, part.clone());
    let stamped = EventBatch::decode(closed).unwrap().events.remove(0);
    let unfit = Unfit {
        stamped: &stamped,
        reason: "key_gone",
        detail: "",
        attempts: 0,
        origin: &queue.0,
    };
    park_event(&process.ports.context(), &unfit).await.unwrap();
    let list = async |tenant| {
        let asked = of(tenant, ListParkedRequest::default());
        process.api.list_parked(asked).await.unwrap().into_inner().items
    };
    assert!(list("other").await.is_empty(), "its tenant is known");
    let item = list(TENANT).await.remove(0);
    let asked = ReplayParkedRequest {
        parked_id: item.parked_id,
        request_id: "again".to_owned(),
    };
    process.api.replay_parked(of(TENANT, asked)).await.unwrap();
    let bodies = gateway.broker.waiting(&queue);
    let sealed = hourly::decode(&bodies[0]).unwrap();
    assert_eq!((sealed.place, sealed.parts), (queue.0, vec![part]));
    assert!(list(TENANT).await.is_empty());
}
