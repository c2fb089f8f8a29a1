//! Pairs of tokens in the store: one process fetches, everybody else reads.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::resolve::{expect_record, put};
use crate::credential::{self, Need};
use crate::id::hash;
use crate::keys;
use crate::port::adapter::{Grant, NoTokens, TokenPair};
use crate::port::store::StoreError;
use crate::shard::Shard;
use omnigate_proto::state::v1::CredentialRecord;

fn place(account_id: &str) -> (Shard, bytes::Bytes) {
    let shard = Shard::new(hash("credential", &[account_id.as_bytes()])[0]);
    (shard, keys::credential(account_id))
}

/// The account's pair as it stands.
pub async fn read(context: &Context<'_>, account_id: &str) -> Result<Option<CredentialRecord>, StoreError> {
    Ok(load(context, account_id).await?.value)
}

async fn load(context: &Context<'_>, account_id: &str) -> Result<Loaded<CredentialRecord>, StoreError> {
    let (shard, key) = place(account_id);
    context.record(shard, key, "credential").await
}

/// What may be done for an account now.
#[derive(Debug)]
pub enum Turn {
    /// Fetch a pair with this, once, then [`settle`].
    Fetch(Box<CredentialRecord>, Grant),
    /// Nothing; what would be needed is said.
    Wait(Need),
}

/// Becomes the only one to fetch, if a pair has to be fetched. `seed` is the configured first refresh token.
pub async fn begin(context: &Context<'_>, account_id: &str, seed: Option<&str>, owner: &str) -> Result<Turn, Stop> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before = load(context, account_id).await?;
        match credential::need(before.value.as_ref(), seed, owner, context.now()) {
            Need::Fetch(next, grant) => {
                let expect = vec![expect_record(key.clone(), before.stamp)];
                let write = vec![put(key.clone(), next.as_ref())];
                if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
                    return Ok(Turn::Fetch(next, grant));
                }
            }
            other => return Ok(Turn::Wait(other)),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Makes the answer to a fetch durable. Who gets an error calls again: a pair that is not written is lost for ever.
pub async fn settle(
    context: &Context<'_>,
    account_id: &str,
    begun: &CredentialRecord,
    grant: &Grant,
    answer: &Result<TokenPair, NoTokens>,
) -> Result<(), Stop> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before = load(context, account_id).await?;
        let present = before.value.unwrap_or_default();
        let Some(next) = credential::fetched(begun, &present, grant, answer, context.now()) else {
            return Ok(());
        };
        // Our own commit whose answer was lost.
        if answer
            .as_ref()
            .is_ok_and(|pair| pair.refresh_token == present.refresh_token)
        {
            return Ok(());
        }
        let expect = vec![expect_record(key.clone(), before.stamp)];
        if let Ended::Committed(_) = context.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Notes that the provider refuses a token, so that another one is fetched.
pub async fn refuse(context: &Context<'_>, account_id: &str, token_sha256: &[u8]) -> Result<(), Stop> {
    change(context, account_id, |record| credential::refuse(record?, token_sha256)).await
}

/// Takes what a person handed in.
pub async fn hand_in(context: &Context<'_>, account_id: &str, grant: &Grant) -> Result<(), Stop> {
    change(context, account_id, |record| Some(credential::hand_in(record, grant))).await
}

async fn change(
    context: &Context<'_>,
    account_id: &str,
    decide: impl Fn(Option<&CredentialRecord>) -> Option<CredentialRecord> + Send,
) -> Result<(), Stop> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before = load(context, account_id).await?;
        let Some(next) = decide(before.value.as_ref()) else {
            return Ok(());
        };
        let expect = vec![expect_record(key.clone(), before.stamp)];
        if let Ended::Committed(_) = context.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
