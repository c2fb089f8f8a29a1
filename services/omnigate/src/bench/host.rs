//! What an adapter is given where there is no gateway: a connection, the time, and a push that does nothing.

use bytes::Bytes;
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{
    AccessToken, ChannelHost, Dialer as _, HttpRequest, HttpResponse, NoAccessToken, Place, PushFailed, SessionHost,
    Stream, Transport, TransportError,
};
use omnigate_core::time::Moment;
use omnigate_edge::TcpDialer;
use omnigate_proto::v1::Event;
use omnigate_runtime::clock::SystemClock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The host of the bare loops.
pub(super) struct Host {
    dialer: TcpDialer,
    stop: CancellationToken,
}

impl Host {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            dialer: TcpDialer::default(),
            stop,
        }
    }
}

#[async_trait::async_trait]
impl Transport for Host {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(TransportError::Forbidden("an SMSC speaks no HTTP".to_owned()))
    }
}

#[async_trait::async_trait]
impl ChannelHost for Host {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }

    async fn access_token(&self, _: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        Err(NoAccessToken::NotReady("an SMSC needs none".to_owned()))
    }
}

#[async_trait::async_trait]
impl SessionHost for Host {
    fn cursor(&self) -> Bytes {
        Bytes::new()
    }

    async fn push(&self, _: Vec<Event>) -> Result<(), PushFailed> {
        Ok(())
    }

    async fn checkpoint(&self, _: Bytes) -> Result<(), PushFailed> {
        Ok(())
    }

    fn transport(&self) -> &dyn Transport {
        self
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        self.dialer.dial(place).await
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
