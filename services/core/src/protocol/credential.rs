//! Pairs of tokens in the store: one process fetches, everybody else reads.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::resolve::{expect_record, put};
use crate::credential::{self, FETCH_TIME, HandedIn, Need};
use crate::id::hash;
use crate::keys;
use crate::port::adapter::{Grant, NoTokens, TokenPair};
use crate::port::store::StoreError;
use crate::shard::Shard;
use crate::time::Moment;
use omnigate_proto::state::v1::CredentialRecord;

/// What the record is called where it cannot be read.
const WHAT: &str = "credential";

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
    context.record(shard, key, WHAT).await
}

/// What may be done for an account now.
#[derive(Debug)]
pub enum Turn {
    /// Fetch a pair with this, once, then [`settle`].
    Fetch(Box<CredentialRecord>, Grant),
    /// Nothing; what would be needed is said.
    Wait(Need),
}

/// Becomes the only one to fetch, if a pair has to be fetched. `seed` is the configured first refresh token; an `owner`
/// begins nothing before what it began last has ended.
pub async fn begin(context: &Context<'_>, account_id: &str, seed: Option<&str>, owner: &str) -> Result<Turn, Stop> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before = load(context, account_id).await?;
        match credential::need(before.value.as_ref(), seed, owner, context.now()) {
            Need::Fetch(next, grant) => {
                let expect = vec![expect_record(key.clone(), before.stamp)];
                let write = vec![put(key.clone(), next.as_ref())];
                let ended = context.commit(shard, expect, write).await?;
                // A commit that took long leaves too little of the time in which nobody else begins.
                let took = context.now().since(Moment(next.refreshing_since_ms));
                if matches!(ended, Ended::Committed(_)) && took < FETCH_TIME / 2 {
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
    let none = CredentialRecord::default();
    let decide = |record: Option<&CredentialRecord>, now| {
        credential::fetched(begun, record.unwrap_or(&none), grant, answer, now)
    };
    context.change(place(account_id), WHAT, decide).await.map(drop)
}

/// Notes that the provider refuses a token, so that another one is fetched.
pub async fn refuse(context: &Context<'_>, account_id: &str, token_sha256: &[u8]) -> Result<(), Stop> {
    let decide = |record: Option<&CredentialRecord>, _| credential::refuse(record?, token_sha256);
    context.change(place(account_id), WHAT, decide).await.map(drop)
}

/// Why what a person handed in was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The request id was used for something else.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotTaken {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Takes what a person handed in. The same request again changes nothing: what it handed in may have been used meanwhile.
pub async fn hand_in(context: &Context<'_>, account_id: &str, grant: &Grant, request_id: &str) -> Result<(), NotTaken> {
    let (shard, key) = place(account_id);
    for _ in 0..MAX_TRIES {
        let before = load(context, account_id).await?;
        let next = match credential::hand_in(before.value.as_ref(), grant, request_id) {
            HandedIn::Taken(next) => next,
            HandedIn::Repeated => return Ok(()),
            HandedIn::Reused => return Err(NotTaken::RequestIdReused),
        };
        let expect = vec![expect_record(key.clone(), before.stamp)];
        let write = vec![put(key.clone(), next.as_ref())];
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}
