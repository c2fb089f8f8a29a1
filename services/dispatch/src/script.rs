//! What campaigns say: their templates, made ready once and kept while they are sent.

use omnigate_core::{
    campaign::place::Handle,
    id::{AudienceId, TemplateId},
    port::store::StoreError,
    protocol::{Context, audience, template_library},
    template::Ready,
};
use omnigate_proto::v1::Campaign;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Campaigns whose words are kept; more of them at once are read again and again.
const KEPT: usize = 32;

/// What a campaign says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Templates by position of their step; without those that cannot be had.
    pub(crate) templates: BTreeMap<u32, Arc<Ready>>,
    /// Its list; `None` where it is for a segment.
    pub(crate) list: Option<AudienceId>,
    /// What is wrong with it; empty when nothing is.
    pub(crate) problem: String,
}

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
        let script = Arc::new(read(context, campaign).await?);
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

async fn read(context: &Context<'_>, campaign: &Campaign) -> Result<Script, StoreError> {
    let mut script = Script::default();
    if let Ok(id) = campaign.audience_id.parse::<AudienceId>() {
        let audience = audience::get(context, &campaign.tenant_id, id).await?;
        let is_list = |audience: &audience::Audience| !omnigate_core::audience::is_segment(&audience.record);
        script.list = audience.filter(is_list).map(|audience| audience.id);
    }
    for (position, step) in (0..).zip(&campaign.steps) {
        let found = match step.template_id.parse::<TemplateId>() {
            Ok(id) => template_library::version(context, &campaign.tenant_id, id, step.template_version).await?,
            Err(_) => None,
        };
        let named = format!("template {} version {}", step.template_id, step.template_version);
        let Some(definition) = found.and_then(|found| found.version.definition) else {
            script.problem = format!("{named} of steps[{position}] is not there");
            continue;
        };
        match Ready::new(definition) {
            Ok(ready) => {
                script.templates.insert(position, Arc::new(ready));
            }
            Err(error) => script.problem = format!("{named} of steps[{position}]: {error}"),
        }
    }
    Ok(script)
}
