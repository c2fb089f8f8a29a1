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
/// How long an adapter that did not answer is left alone: a page of customers asks for every thread.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Longest wait for an adapter.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Capabilities by account.
pub(crate) struct Abilities {
    adapters: Option<AdapterPort>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

/// An answer, or that there was none.
struct Kept {
    until: Instant,
    capabilities: Option<Capabilities>,
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
            .filter(|kept| kept.until > Instant::now())
            .map(|kept| kept.capabilities.clone());
        match kept {
            Some(capabilities) => capabilities,
            None => self.ask(account_id).await,
        }
    }

    /// What an account can do, asked now.
    pub(crate) async fn ask(&self, account_id: &str) -> Option<Capabilities> {
        let capabilities = self.answer(account_id).await;
        let kept = Kept {
            until: Instant::now() + if capabilities.is_some() { KEPT } else { LEFT_ALONE },
            capabilities: capabilities.clone(),
        };
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account_id.to_owned(), kept);
        capabilities
    }

    async fn answer(&self, account_id: &str) -> Option<Capabilities> {
        let mut asked = Request::new(GetCapabilitiesRequest {
            account_id: account_id.to_owned(),
        });
        asked.set_timeout(ASK_WITHIN);
        let answer = self.adapters.as_ref()?.get_capabilities(asked);
        let answer = tokio::time::timeout(ASK_WITHIN, answer).await.ok()?.ok()?;
        Some(answer.into_inner().capabilities.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
