//! Role scheduler: everything that happens by itself.
//!
//! Schedulers share the shards of the store in groups, each group under a lease ([`shares`]). Whoever holds a group looks at
//! its timers and at what is left in its outboxes ([`rounds`]), drives its campaigns ([`campaigns`]), compares it with what
//! was announced ([`intents`]), and sweeps it for what a failover of the store lost ([`repairs`]). Every scheduler carries parked messages from the broker to
//! the store ([`parked`]) and answers for the sessions of accounts ([`Sessions`]). In the same way schedulers share the
//! endpoints of outgoing webhooks, each for each log of events ([`webhooks`]).

mod campaigns;
mod custody;
mod intents;
mod keeper;
mod metrics;
mod parked;
mod repairs;
mod reseal;
mod rounds;
mod scheduler;
mod sessions;
mod settings;
mod shared;
mod shares;
mod waiting;
mod webhooks;

pub use custody::{Credentials, Custodians};
pub use metrics::Metrics;
pub use scheduler::{Care, Parts, Scheduler};
pub use sessions::Sessions;
pub use settings::Settings;
