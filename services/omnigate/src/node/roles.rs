//! Starts the roles of a process: each is given its ports and supervised.

mod scheduler;

use super::switchboard::Switchboard;
use super::{Inside, Listeners, StartError};
use omnigate_api::{Api, Copies};
use omnigate_core::hourly;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::Ports;
use omnigate_dispatch::Dispatch;
use omnigate_edge::{Edge, HttpTransport, TcpDialer};
use omnigate_ingest::Ingest;
use omnigate_rpc::server::{self, Services};
use omnigate_rpc::{AdapterPort, IngestPort, local, remote};
use omnigate_runtime::role::{Role, RoleSet};
use omnigate_runtime::stop::Phase;
use omnigate_runtime::task::{Backoff, OnExit, TaskError, supervise};
use omnigate_runtime::telemetry::metrics::MetricsError;
use omnigate_unify::Unify;
use scheduler::{Custodied, custodians, scheduler};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// For roles whose work waits safely on the broker while they are away.
fn restart() -> OnExit {
    OnExit::Restart(Backoff::default())
}

/// Starts all of them, those first that others need.
pub(super) fn start(inside: &Arc<Inside>, roles: &RoleSet, mut listeners: Listeners) -> Result<(), StartError> {
    let ingest = ingest(inside, roles, listeners.ingest.take())?;
    let configured = configured_addresses(inside);
    let transport = Arc::new(HttpTransport::new(configured.iter().map(String::as_str))?);
    let custodied = scheduler(inside, roles, listeners.sessions.take(), &transport)?;
    let edge = edge(inside, roles, &ingest, custodied, transport, &mut listeners)?;
    let adapters = adapters(inside, edge)?;
    unify(inside, roles)?;
    dispatch(inside, roles, &adapters)?;
    api(inside, roles, adapters, listeners.api.take())
}

/// Where what people wrote is kept beside the store, and for how long.
fn copies(inside: &Inside) -> Vec<Copies> {
    let config = &inside.config;
    let plan = super::plan(config);
    let day = Duration::from_hours(24);
    let backups = day * config.store.backup_days;
    let seals = inside.sealed.as_ref().is_some_and(|sealed| sealed.seals());
    // Of the hour in which the erasure ended, in the last backup that has it.
    let keys = Duration::from_hours(1) + hourly::life(super::sealing::kept(&plan)) + backups;
    let kept = [
        ("journal", plan.journal),
        ("raw_requests", plan.raw),
        ("customer_events", Some(plan.events)),
        ("intents", Some(plan.intents)),
        ("broker_keys", seals.then_some(keys)),
        ("backups", (!backups.is_zero()).then_some(backups)),
    ];
    kept.into_iter()
        .filter_map(|(place, kept)| kept.map(|kept| Copies { place, kept }))
        .collect()
}

/// Everything that is missing was refused by `check_roles` before.
fn needed<T>(what: Option<T>, why: &str) -> Result<T, StartError> {
    what.ok_or_else(|| StartError::Missing(why.to_owned()))
}

impl Inside {
    fn ports(&self) -> Result<Arc<Ports>, StartError> {
        needed(self.ports.clone(), "a store")
    }

    fn broker(&self) -> Result<Arc<dyn Broker>, StartError> {
        needed(self.broker.clone(), "a broker")
    }

    /// Serves until its phase of the stop.
    fn serve(&self, name: &'static str, listener: Option<TcpListener>, services: Services, phase: Phase) {
        let Some(listener) = listener else {
            return;
        };
        let options = self.server(name);
        let mut once = Some((listener, services, options));
        supervise(&self.stop, phase, name, OnExit::StopNode, move |token| {
            let begun = once.take();
            async move {
                match begun {
                    Some((listener, services, options)) => Ok(server::serve(listener, services, options, token).await?),
                    None => Err(TaskError::from("the listener is gone")),
                }
            }
        });
    }

    fn services(&self) -> Services {
        Services::new(usize::try_from(self.config.limits.grpc_message_bytes).unwrap_or(usize::MAX))
    }
}

fn ingest(
    inside: &Arc<Inside>,
    roles: &RoleSet,
    listener: Option<TcpListener>,
) -> Result<Option<IngestPort>, StartError> {
    if !roles.contains(&Role::Ingest) {
        let Some(address) = &inside.config.connect.ingest else {
            return Ok(None);
        };
        return Ok(Some(Arc::new(remote::Ingest::connect(
            &address.url(),
            &inside.client(),
        )?)));
    }
    let limits = &inside.config.limits;
    let settings = omnigate_ingest::Settings {
        partitions: inside.config.broker.partitions,
        in_flight_events: usize::try_from(limits.push_events_in_flight).unwrap_or(usize::MAX),
        in_flight_bytes: usize::try_from(limits.push_bytes_in_flight).unwrap_or(usize::MAX),
        keep_raw: inside.config.broker.raw && inside.config.broker.journal_hours > 0,
        drain_within: inside.drain(Phase::InFlight),
        ..omnigate_ingest::Settings::default()
    };
    let (directory, clock) = (Arc::clone(&inside.directory), Arc::clone(&inside.clock));
    let ingest = Arc::new(Ingest::new(
        inside.broker()?,
        directory,
        settings,
        clock,
        inside.metrics.clone(),
    ));
    let running = Arc::clone(&ingest);
    supervise(
        &inside.stop,
        Phase::InFlight,
        "ingest",
        OnExit::StopNode,
        move |token| {
            let running = Arc::clone(&running);
            async move {
                running.run(token).await;
                Ok(())
            }
        },
    );
    inside.serve(
        "ingest",
        listener,
        inside.services().ingest(Arc::clone(&ingest)),
        Phase::Intake,
    );
    Ok(Some(local::ingest(ingest)))
}

fn unify(inside: &Arc<Inside>, roles: &RoleSet) -> Result<(), StartError> {
    if !roles.contains(&Role::Unify) {
        return Ok(());
    }
    let defaults = omnigate_unify::Settings::default();
    let settings = omnigate_unify::Settings {
        partitions: inside.config.broker.partitions,
        // Partitions are no longer ours when their leases have ended.
        drain_within: defaults.drain_within.min(inside.drain(Phase::InFlight)),
        owner: inside
            .entropy
            .bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        ..defaults
    };
    let unify = Unify::new(inside.ports()?, inside.broker()?, settings, inside.metrics.clone());
    let checked = unify.clone();
    inside.health.check("unify", move || checked.check());
    supervise(&inside.stop, Phase::InFlight, "unify", restart(), move |token| {
        let unify = unify.clone();
        async move {
            unify.run(token).await;
            Ok(())
        }
    });
    Ok(())
}

fn dispatch(inside: &Arc<Inside>, roles: &RoleSet, adapters: &AdapterPort) -> Result<(), StartError> {
    if !roles.contains(&Role::Dispatch) {
        return Ok(());
    }
    let adapters = Arc::clone(adapters);
    let parts = omnigate_dispatch::Parts {
        ports: inside.ports()?,
        broker: inside.broker()?,
        adapters: Arc::new(move |_| Some(Arc::clone(&adapters))),
        metrics: omnigate_dispatch::Metrics::new(inside.metrics.registry()).map_err(MetricsError::from)?,
    };
    let settings = omnigate_dispatch::Settings {
        partitions: inside.config.broker.partitions,
        drain_within: inside.drain(Phase::InFlight),
        marketing: inside.config.consent.marketing_defaults(),
        ..omnigate_dispatch::Settings::default()
    };
    let dispatch = Arc::new(Dispatch::new(parts, Arc::clone(&inside.directory), settings));
    supervise(&inside.stop, Phase::InFlight, "dispatch", restart(), move |token| {
        let dispatch = Arc::clone(&dispatch);
        async move {
            dispatch.run(token).await;
            Ok(())
        }
    });
    Ok(())
}

fn edge(
    inside: &Arc<Inside>,
    roles: &RoleSet,
    ingest: &Option<IngestPort>,
    custodied: Custodied,
    transport: Arc<HttpTransport>,
    listeners: &mut Listeners,
) -> Result<Option<AdapterPort>, StartError> {
    if !roles.contains(&Role::Edge) {
        let Some(address) = &inside.config.connect.edge else {
            return Ok(None);
        };
        return Ok(Some(Arc::new(remote::Adapter::connect(
            &address.url(),
            &inside.client(),
        )?)));
    }
    let options = inside.client();
    let body_bytes = usize::try_from(inside.config.limits.webhook_body_bytes).unwrap_or(usize::MAX);
    let edge = Edge::new(omnigate_edge::Parts {
        kinds: omnigate_adapters::kinds(),
        directory: Arc::clone(&inside.directory),
        ingest: needed(ingest.clone(), "the ingest role")?,
        sessions: custodied.sessions,
        edges: Arc::new(move |address| Ok(Arc::new(remote::Adapter::connect(address, &options)?))),
        address: listeners.edge_address(&inside.config),
        credentials: custodied.credentials,
        transport,
        dialer: Arc::new(TcpDialer::default()),
        clock: Arc::clone(&inside.clock),
        entropy: Arc::clone(&inside.entropy),
        settings: omnigate_edge::Settings {
            body_bytes,
            connections: usize::try_from(inside.config.limits.max_connections).unwrap_or(usize::MAX),
            drain_within: inside.drain(Phase::Intake),
            ..omnigate_edge::Settings::default()
        },
        metrics: inside.metrics.clone(),
    });
    let edge = Arc::new(edge.map_err(StartError::Settings)?);
    let sending = edge.sending();
    let mut webhooks = listeners.webhooks.take();
    supervise(&inside.stop, Phase::Intake, "edge", OnExit::StopNode, move |token| {
        let (edge, listener) = (Arc::clone(&edge), webhooks.take());
        async move {
            let listener = listener.ok_or_else(|| TaskError::from("the listener is gone"))?;
            edge.run(listener, token).await;
            Ok(())
        }
    });
    inside.serve(
        "edge",
        listeners.edge.take(),
        inside.services().adapter(Arc::clone(&sending)),
        Phase::Flush,
    );
    Ok(Some(local::adapter(sending)))
}

/// Addresses that the operator configured, which may lie in private networks; those of outgoing webhooks only where that
/// is said, because they are often named by others.
fn configured_addresses(inside: &Inside) -> Vec<String> {
    let directory = &inside.directory;
    let webhooks = inside.config.event_webhooks.values();
    let webhooks = webhooks.filter(|webhook| webhook.allow_private);
    let webhooks = webhooks.map(|webhook| webhook.url.expose().to_owned());
    let of_apps = directory.apps.values().map(|app| &app.settings);
    let of_accounts = directory.accounts.values().map(|account| &account.settings);
    let named = of_apps.chain(of_accounts).flat_map(|settings| {
        let addresses = settings.0.iter().filter(|(name, _)| name.ends_with("_url"));
        addresses.filter_map(|(_, value)| value.as_str())
    });
    named.map(str::to_owned).chain(webhooks).collect()
}

/// Every account's adapter behind one port; without an edge, only external ones.
fn adapters(inside: &Inside, edge: Option<AdapterPort>) -> Result<AdapterPort, StartError> {
    Ok(Arc::new(Switchboard::new(&inside.config, &inside.directory, edge)?))
}

fn api(
    inside: &Arc<Inside>,
    roles: &RoleSet,
    adapters: AdapterPort,
    listener: Option<TcpListener>,
) -> Result<(), StartError> {
    if !roles.contains(&Role::Api) {
        return Ok(());
    }
    let api = Arc::new(Api::new(omnigate_api::Parts {
        ports: inside.ports()?,
        broker: inside.broker()?,
        directory: Arc::clone(&inside.directory),
        adapters: Some(adapters),
        authorized: custodians(&inside.directory)
            .into_iter()
            .map(|(account, custodian)| (account, custodian.authorization_url().unwrap_or_default()))
            .collect(),
        partitions: inside.config.broker.partitions,
        tokens: inside.page_tokens.clone(),
        stop: inside.stop.clone(),
        settings: omnigate_api::Settings {
            acknowledge_within: Duration::from_secs(inside.config.events.acknowledge_seconds),
            max_unacknowledged: usize::try_from(inside.config.events.max_unacknowledged).unwrap_or(usize::MAX),
            copies: copies(inside),
            schema: Arc::new(inside.config.attributes()),
            environment: inside.config.environment.clone(),
            ..omnigate_api::Settings::default()
        },
        event_webhooks: inside.config.event_webhooks(),
        marketing: inside.config.consent.marketing_defaults(),
    }));
    let announcing = Arc::clone(&api);
    supervise(&inside.stop, Phase::Flush, "api", restart(), move |token| {
        let announcing = Arc::clone(&announcing);
        async move {
            announcing.run(token).await;
            Ok(())
        }
    });
    let services = inside
        .services()
        .message(Arc::clone(&api))
        .customer(Arc::clone(&api))
        .timeline(Arc::clone(&api))
        .conversation(Arc::clone(&api))
        .event(Arc::clone(&api))
        .event_webhook(Arc::clone(&api))
        .account(Arc::clone(&api))
        .consent(Arc::clone(&api))
        .template(Arc::clone(&api))
        .audience(Arc::clone(&api))
        .campaign(Arc::clone(&api))
        .replay(Arc::clone(&api))
        .parked(api);
    inside.serve("api", listener, services, Phase::Intake);
    Ok(())
}
