//! Starts what happens by itself.

use super::super::{Inside, StartError};
use super::restart;
use omnigate_core::account::{AdapterRef, Directory};
use omnigate_core::port::adapter::Transport;
use omnigate_edge::HttpTransport;
use omnigate_rpc::{CredentialPort, SessionPort, local, remote};
use omnigate_runtime::role::{Role, RoleSet};
use omnigate_runtime::stop::Phase;
use omnigate_runtime::task::supervise;
use omnigate_runtime::telemetry::metrics::MetricsError;
use omnigate_scheduler::{Custodians, Scheduler, Sessions};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

pub(super) fn scheduler(
    inside: &Arc<Inside>,
    roles: &RoleSet,
    listener: Option<TcpListener>,
    transport: &Arc<HttpTransport>,
) -> Result<Custodied, StartError> {
    if !roles.contains(&Role::Scheduler) {
        let Some(address) = &inside.config.connect.sessions else {
            return Ok(Custodied::default());
        };
        return Ok(Custodied {
            sessions: Some(Arc::new(remote::Session::connect(&address.url(), &inside.client())?)),
            credentials: Some(Arc::new(remote::Credential::connect(&address.url(), &inside.client())?)),
        });
    }
    let parts = omnigate_scheduler::Parts {
        ports: inside.ports()?,
        broker: inside.broker()?,
        metrics: omnigate_scheduler::Metrics::new(inside.metrics.registry()).map_err(MetricsError::from)?,
    };
    let settings = omnigate_scheduler::Settings {
        partitions: inside.config.broker.partitions,
        drain_within: inside.drain(Phase::Flush),
        kept: crate::node::sealing::kept(&crate::node::plan(&inside.config)),
        webhook_time: Duration::from_secs(inside.config.events.webhook_seconds),
        webhook_disable_after: Duration::from_secs(inside.config.events.webhook_disable_hours * 3600),
        repair_every: Duration::from_secs(u64::from(inside.config.store.repair_every_hours) * 3600),
        tenants: vec![inside.config.tenant.clone()],
        environment: inside.config.environment.clone(),
        schema: Arc::new(inside.config.attributes()),
        ..omnigate_scheduler::Settings::default()
    };
    let sessions = Arc::new(Sessions::new(inside.ports()?, Arc::clone(&inside.directory), &settings));
    let care = omnigate_scheduler::Care {
        custodians: custodians(&inside.directory),
        transport: Arc::clone(transport) as Arc<dyn Transport>,
    };
    let receivers = Arc::clone(transport) as Arc<dyn Transport>;
    let scheduler = Scheduler::new(parts, care, Arc::clone(&inside.directory), settings)
        .with_event_webhooks(inside.config.event_webhooks(), receivers);
    let scheduler = Arc::new(scheduler);
    let credentials = scheduler.credentials();
    custody(inside, &scheduler);
    supervise(&inside.stop, Phase::Flush, "scheduler", restart(), move |token| {
        let scheduler = Arc::clone(&scheduler);
        async move {
            scheduler.run(token).await;
            Ok(())
        }
    });
    let services = inside
        .services()
        .session(Arc::clone(&sessions))
        .credential(Arc::clone(&credentials));
    inside.serve("sessions", listener, services, Phase::Flush);
    Ok(Custodied {
        sessions: Some(local::session(sessions)),
        credentials: Some(local::credential(credentials)),
    })
}

/// Looks after accounts. From the beginning of a stop no pair of tokens is fetched any more, so that the phase has to wait
/// for the rest of one fetch at most.
fn custody(inside: &Inside, scheduler: &Arc<Scheduler>) {
    let (scheduler, stop) = (Arc::clone(scheduler), inside.stop.clone());
    supervise(&inside.stop, Phase::Tokens, "custody", restart(), move |token| {
        let (scheduler, stopping) = (Arc::clone(&scheduler), stop.token(Phase::Intake));
        async move {
            scheduler.look_after(stopping).await;
            token.cancelled().await;
            Ok(())
        }
    });
}

/// What edge asks of the scheduler.
#[derive(Default)]
pub(super) struct Custodied {
    pub(super) sessions: Option<SessionPort>,
    pub(super) credentials: Option<CredentialPort>,
}

/// Who looks after which account.
pub(super) fn custodians(directory: &Directory) -> Custodians {
    let mut custodians = Custodians::new();
    for account in directory.accounts.values() {
        if account.adapter != AdapterRef::Builtin {
            continue;
        }
        // What is wrong with an account has been said by `check`, which names every one.
        let Ok(kind) = omnigate_adapters::kind(&account.channel, &account.provider) else {
            continue;
        };
        if let Ok(Some(custodian)) = kind.open_custodian(&directory.app_of(account), account) {
            custodians.insert(account.id.clone(), custodian);
        }
    }
    custodians
}
