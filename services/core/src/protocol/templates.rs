//! Copies of the providers' templates in the store.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::resolve::{expect_record, put};
use crate::id::hash;
use crate::keys;
use crate::shard::Shard;
use omnigate_proto::v1::{ProviderTemplate, ProviderTemplates};

/// Most templates kept of one account.
pub const MAX_TEMPLATES: usize = 2_000;

fn place(account_id: &str) -> (Shard, bytes::Bytes) {
    let shard = Shard::new(hash("templates", &[account_id.as_bytes()])[0]);
    (shard, keys::templates(account_id))
}

/// An account's templates as they were last copied; `None` when they never were.
pub async fn read(context: &Context<'_>, account_id: &str) -> Result<Option<ProviderTemplates>, Stop> {
    let (shard, key) = place(account_id);
    let record: Loaded<ProviderTemplates> = context.record(shard, key, "templates").await?;
    Ok(record.value)
}

/// Puts what was looked up of one template beside what was copied, for the time until all are copied again. When they were
/// last copied stays as it was.
pub async fn add(
    context: &Context<'_>,
    account_id: &str,
    template_id: &str,
    found: &[ProviderTemplate],
) -> Result<(), Stop> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before: Loaded<ProviderTemplates> = context.record(shard, key.clone(), "templates").await?;
        let mut next = before.value.clone().unwrap_or_default();
        next.templates.retain(|known| known.template_id != template_id);
        next.templates.extend_from_slice(found);
        next.templates
            .sort_by(|one, other| one.template_id.cmp(&other.template_id));
        if next.templates.len() > MAX_TEMPLATES || next == before.value.unwrap_or_default() {
            return Ok(());
        }
        let expect = vec![expect_record(key.clone(), before.stamp)];
        if let Ended::Committed(_) = context.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Replaces the copy; of more than [`MAX_TEMPLATES`] those with the smallest ids are kept.
pub async fn replace(
    context: &Context<'_>,
    account_id: &str,
    mut templates: Vec<ProviderTemplate>,
) -> Result<(), Stop> {
    templates.sort_by(|one, other| one.template_id.cmp(&other.template_id));
    templates.truncate(MAX_TEMPLATES);
    let next = ProviderTemplates {
        templates,
        synced_at: Some(context.now().to_timestamp()),
    };
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before: Loaded<ProviderTemplates> = context.record(shard, key.clone(), "templates").await?;
        let expect = vec![expect_record(key.clone(), before.stamp)];
        if let Ended::Committed(_) = context.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
