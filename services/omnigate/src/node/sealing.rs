//! Seals what lies on the broker: whether, for how long, and with whose keys.

use super::Inside;
use omnigate_broker::sealed::SealedBroker;
use omnigate_core::account::Directory;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::{Ports, lease, reseal};
use omnigate_core::topology::Plan;
use omnigate_proto::state::v1::ResealCursor;
use omnigate_runtime::stop::Phase;
use omnigate_runtime::task::{Backoff, OnExit, supervise};
use prost::Message as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How often keys are looked after. A failover of the store loses seconds; what it forgot is back within this.
const LOOK: Duration = Duration::from_secs(60);

/// The broker as roles see it, for a process with a store.
pub(super) fn seal(broker: Arc<dyn Broker>, ports: &Arc<Ports>, seals: bool, plan: &Plan) -> Arc<SealedBroker> {
    if !seals {
        tracing::info!("what lies on the broker is not sealed; broker.seal = true seals it once no older release runs");
    }
    Arc::new(SealedBroker::new(broker, Arc::clone(ports), seals, kept(plan)))
}

/// How long anything that is sealed is kept on the broker at the longest.
pub(super) fn kept(plan: &Plan) -> Duration {
    let kept = [Some(plan.events), plan.journal, plan.raw];
    kept.into_iter().flatten().max().unwrap_or_default()
}

/// Whether former keys of the operator are still needed, in words; `None` without a store or keys.
pub(super) async fn former_keys(ports: &Ports) -> Option<&'static str> {
    let name = reseal::lease_name(&ports.keyring)?;
    let leases = lease::look(&ports.context(), lease::COMMON, &[name]).await.ok()?;
    let at = ResealCursor::decode(leases.into_iter().next()?.cursor).unwrap_or_default();
    Some(match at.done_at_ms {
        0 => "former seal keys are still needed: a scheduler is sealing with the present one what they sealed",
        _ => "0 records are left under former seal keys: they are no longer needed",
    })
}

/// Whose keys are kept at hand: every tenant's, and the one of what is of no tenant that is known.
fn tenants(directory: &Directory) -> Vec<String> {
    let accounts = directory.accounts.values().map(|account| account.tenant_id.clone());
    let tenants: BTreeSet<String> = accounts.chain([String::new()]).collect();
    tenants.into_iter().collect()
}

/// Looks after the keys for as long as the process works.
pub(super) fn look_after(inside: &Inside) {
    let Some(sealed) = inside.sealed.clone() else {
        return;
    };
    let tenants = Arc::new(tenants(&inside.directory));
    let restart = OnExit::Restart(Backoff::default());
    supervise(&inside.stop, Phase::Flush, "hour keys", restart, move |token| {
        let (sealed, tenants) = (Arc::clone(&sealed), Arc::clone(&tenants));
        async move {
            loop {
                let looked = async {
                    sealed.look_ahead(&tenants).await;
                    tokio::time::sleep(LOOK).await;
                };
                if token.run_until_cancelled(looked).await.is_none() {
                    return Ok(());
                }
            }
        }
    });
}
