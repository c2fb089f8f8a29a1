//! Seals everything with the operator's present key after a new one was brought in, and says when the former ones can go.
//! One scheduler does it at a time; its lease keeps how far it is.

use crate::shared::Shared;
use bytes::Bytes;
use omnigate_core::hourly;
use omnigate_core::protocol::lease::{self, COMMON, LeaseError, Wish};
use omnigate_core::protocol::reseal::{self, Realm, is_pass_over};
use omnigate_proto::state::v1::ResealCursor;
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Pause between two steps: nobody waits for this, and others want the store.
const BETWEEN_STEPS: Duration = Duration::from_millis(20);
/// Pause before the pass that looks whether anything was left: processes with the former configuration end meanwhile.
const BETWEEN_PASSES: Duration = Duration::from_mins(10);
/// Pause while somebody else does it, or after the store did not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Works until stopped, or everything is sealed with the present key.
pub(crate) async fn run(shared: &Shared, stop: &CancellationToken) {
    let Some(name) = reseal::lease_name(shared.context().keyring) else {
        return;
    };
    let owner = data_encoding::HEXLOWER.encode(&shared.ports.entropy.bytes());
    let wish = Wish {
        shard: COMMON,
        name: &name,
        owner: &owner,
        address: "",
    };
    while !stop.is_cancelled() {
        match seal_all(shared, wish, stop).await {
            Ok(true) => return,
            Ok(false) | Err(LeaseError::Held { .. }) => {}
            Err(error) => tracing::warn!(%error, "what former keys sealed is not sealed anew yet"),
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await;
    }
}

/// True when nothing is left to do; false when stopped before.
async fn seal_all(shared: &Shared, wish: Wish<'_>, stop: &CancellationToken) -> Result<bool, LeaseError> {
    let (context, ttl, realm) = (shared.context(), shared.settings.lease, realm(shared));
    let held = lease::acquire(&context, wish, ttl).await?;
    let mut at = ResealCursor::decode(held.cursor).unwrap_or_default();
    while at.done_at_ms == 0 && !stop.is_cancelled() {
        let next = reseal::step(&context, &realm, &at).await?;
        if next.resealed > at.resealed {
            shared.metrics.resealed(next.resealed - at.resealed);
        }
        let waits = is_pass_over(&at) && next.done_at_ms == 0;
        if waits {
            let (resealed, closed) = (at.resealed, at.closed);
            tracing::info!(
                resealed,
                closed,
                "sealed anew with the present key; looking once more later"
            );
        }
        at = next;
        let cursor = Bytes::from(at.encode_to_vec());
        lease::checkpoint(&context, wish, held.epoch, cursor, ttl).await?;
        match waits {
            true => wait(shared, wish, held.epoch, stop).await?,
            false => drop(stop.run_until_cancelled(tokio::time::sleep(BETWEEN_STEPS)).await),
        }
    }
    lease::release(&context, wish, held.epoch).await?;
    if at.done_at_ms != 0 {
        shared.metrics.all_sealed();
        tracing::info!("everything is sealed with store.seal_key: former ones are no longer needed");
    }
    Ok(at.done_at_ms != 0)
}

/// Waits between two passes, and keeps the lease meanwhile.
async fn wait(shared: &Shared, wish: Wish<'_>, epoch: u64, stop: &CancellationToken) -> Result<(), LeaseError> {
    let (context, ttl) = (shared.context(), shared.settings.lease);
    let each = ttl / 3;
    for _ in 0..BETWEEN_PASSES.as_millis() / each.as_millis().max(1) {
        if stop.run_until_cancelled(tokio::time::sleep(each)).await.is_none() {
            return Ok(());
        }
        lease::renew(&context, wish, epoch, ttl).await?;
    }
    Ok(())
}

fn realm(shared: &Shared) -> Realm {
    let accounts = &shared.directory.accounts;
    let tenants = accounts.values().map(|account| account.tenant_id.clone());
    let tenants: BTreeSet<String> = tenants.chain([String::new()]).collect();
    Realm {
        tenants: tenants.into_iter().collect(),
        accounts: accounts.keys().cloned().collect(),
        life: hourly::life(shared.settings.kept),
    }
}
