//! What accounts can do, asked of their adapters and kept for a moment.

use omnigate_proto::v1::{Capabilities, GetCapabilitiesRequest};
use omnigate_rpc::AdapterPort;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tonic::Request;

/// How long an answer is believed.
const KEPT: Duration = Duration::from_secs(30);
/// Longest wait for an adapter.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Capabilities by account.
pub(crate) struct Abilities {
    adapters: Option<AdapterPort>,
    kept: Mutex<BTreeMap<String, (Instant, Capabilities)>>,
}

impl Abilities {
    pub(crate) fn new(adapters: Option<AdapterPort>) -> Self {
        Self {
            adapters,
            kept: Mutex::default(),
        }
    }

    /// What an account can do, as far as it was asked lately; `None` while its adapter does not answer.
    pub(crate) async fn of(&self, account_id: &str) -> Option<Capabilities> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(account_id)
            .filter(|(at, _)| at.elapsed() < KEPT)
            .map(|(_, capabilities)| capabilities.clone());
        match kept {
            Some(capabilities) => Some(capabilities),
            None => self.ask(account_id).await,
        }
    }

    /// What an account can do, asked now.
    pub(crate) async fn ask(&self, account_id: &str) -> Option<Capabilities> {
        let mut asked = Request::new(GetCapabilitiesRequest {
            account_id: account_id.to_owned(),
        });
        asked.set_timeout(ASK_WITHIN);
        let answer = self.adapters.as_ref()?.get_capabilities(asked);
        let answer = tokio::time::timeout(ASK_WITHIN, answer).await.ok()?.ok()?;
        let capabilities = answer.into_inner().capabilities.unwrap_or_default();
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account_id.to_owned(), (Instant::now(), capabilities.clone()));
        Some(capabilities)
    }
}
