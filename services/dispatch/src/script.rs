//! What campaigns say, and how fast they want to: kept while they are sent.

use omnigate_core::{
    campaign::place::Handle,
    port::store::StoreError,
    protocol::{
        Context,
        campaign::{Script, script},
    },
};
use omnigate_proto::v1::Campaign;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Campaigns whose words are kept; more of them at once are read again and again.
const KEPT: usize = 32;

/// The campaigns that go through an account.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    words: Mutex<BTreeMap<String, Arc<Script>>>,
    rates: Mutex<BTreeMap<Handle, f64>>,
}

impl Scripts {
    /// The pace that a campaign has set itself, as it was last seen; 0 for none, `None` while nobody has looked.
    pub(crate) fn rate(&self, campaign: Handle) -> Option<f64> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.get(&campaign).copied()
    }

    /// Keeps the pace that a campaign has set itself.
    pub(crate) fn learn(&self, handle: Handle, campaign: &Campaign) {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= KEPT {
            rates.clear();
        }
        rates.insert(handle, campaign.messages_per_second.max(0.0));
    }

    /// What a campaign says.
    pub(crate) async fn of(&self, context: &Context<'_>, campaign: &Campaign) -> Result<Arc<Script>, StoreError> {
        let key = key(campaign);
        let known = self
            .words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(script) = known {
            return Ok(script);
        }
        let script = Arc::new(script(context, campaign).await?);
        if script.problem.is_empty() {
            let mut kept = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(key, Arc::clone(&script));
        }
        Ok(script)
    }
}

/// Versions of templates say the same for ever: what names them names the words.
fn key(campaign: &Campaign) -> String {
    let steps = campaign.steps.iter();
    let versions = steps.map(|step| format!(" {}@{}", step.template_id, step.template_version));
    std::iter::once(format!("{} {}", campaign.campaign_id, campaign.audience_id))
        .chain(versions)
        .collect()
}
