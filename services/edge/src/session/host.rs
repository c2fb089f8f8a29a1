//! What a session is given.

use super::lease::Lease;
use crate::pushes::{Parcel, Pushes};
use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        adapter::{Dialer, Place, PushFailed, SessionHost, Stream, Transport, TransportError},
    },
    time::Moment,
};
use omnigate_proto::v1::Event;
use omnigate_rpc::trace;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The host of one turn.
pub(super) struct Host<'a> {
    pub(super) account: &'a str,
    pub(super) lease: &'a Lease<'a>,
    pub(super) pushes: &'a Pushes,
    pub(super) transport: &'a dyn Transport,
    pub(super) dialer: &'a dyn Dialer,
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a CancellationToken,
}

#[async_trait::async_trait]
impl SessionHost for Host<'_> {
    fn cursor(&self) -> Bytes {
        self.lease.cursor()
    }

    async fn push(&self, mut events: Vec<Event>) -> Result<(), PushFailed> {
        if !self.lease.is_held() {
            return Err(PushFailed("the lease is lost".to_owned()));
        }
        if events.is_empty() {
            return Ok(());
        }
        let trace = trace::next(None);
        for event in &mut events {
            event.received_at.get_or_insert_with(|| self.clock.now().to_timestamp());
            if event.trace_id.is_empty() {
                event.trace_id = trace.trace_id();
            }
        }
        let parcel = Parcel { events, raw: vec![] };
        let pushed = self.pushes.push(self.account, parcel, trace).await;
        pushed.map_err(|problem| PushFailed(problem.to_string()))
    }

    async fn checkpoint(&self, cursor: Bytes) -> Result<(), PushFailed> {
        if !self.lease.is_held() {
            return Err(PushFailed("the lease is lost".to_owned()));
        }
        let stored = self.lease.checkpoint(cursor).await;
        stored.map_err(|problem| PushFailed(problem.to_string()))
    }

    fn transport(&self) -> &dyn Transport {
        self.transport
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        self.dialer.dial(place).await
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn stopped(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.lease.lost() => {}
        }
    }
}
