//! What holds for all tenants and for single ones.

use super::{Config, node::Source, section::section, validate};
use omnigate_core::retention::Limits;
use omnigate_core::tenant::{Rules, TenantRules};
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest time that something is kept or waited for, in days: a hundred years.
const MAX_DAYS: u32 = 36_525;

section! {
    /// What stays on timelines. A limit counts for each home, which is what began with one identifier of a customer; the
    /// oldest entries go first, within seconds where they are too many and within an hour where they are too old. For seven
    /// days after its receipt an event is known to have been there, whatever became of its entry.
    pub struct Timeline {
        /// Most entries of a home; 0 for all.
        pub max_entries: u64 = 0,
        /// Days for which an entry stays, from the time by which it is shown; 0 for ever.
        pub max_age_days: u32 = 0,
    }
}

section! {
    /// Who is who.
    pub struct Identity {
        /// Days of silence after which a phone number that somebody new is known by is taken to have been given to somebody
        /// else: nobody is merged by it, advertising to it waits for a person's decision. 0 for never.
        pub reassignment_days: u32 = 90,
    }
}

section! {
    /// What holds for one tenant; without a word here, what holds for all.
    pub struct Tenant {
        /// What stays on its timelines.
        pub timeline: TenantTimeline,
        /// Who is who.
        pub identity: TenantIdentity,
    }
}

section! {
    /// What stays on the tenant's timelines.
    pub struct TenantTimeline {
        /// Most entries of a home; 0 for all.
        pub max_entries: Option<u64>,
        /// Days for which an entry stays, from the time by which it is shown; 0 for ever.
        pub max_age_days: Option<u32>,
    }
}

section! {
    /// Who is who among the tenant's customers.
    pub struct TenantIdentity {
        /// Days of silence after which a phone number is taken to have been given to somebody else; 0 for never.
        pub reassignment_days: Option<u32>,
    }
}

impl Config {
    /// What holds for whom of the tenants, as the domain takes it.
    #[must_use]
    pub fn tenant_rules(&self) -> TenantRules {
        let rules = |tenant: Option<&Tenant>| {
            let timeline = tenant.map(|tenant| &tenant.timeline);
            let own_most = timeline.and_then(|timeline| timeline.max_entries);
            let own_age = timeline.and_then(|timeline| timeline.max_age_days);
            let most = own_most.unwrap_or(self.timeline.max_entries);
            let identity = tenant.and_then(|tenant| tenant.identity.reassignment_days);
            Rules {
                timeline: Limits {
                    max_entries: (most > 0).then_some(most),
                    max_age: days(own_age.unwrap_or(self.timeline.max_age_days)),
                },
                reassigned_after: days(identity.unwrap_or(self.identity.reassignment_days)),
            }
        };
        let tenants = self.tenants.iter();
        TenantRules {
            all: rules(None),
            by_tenant: tenants.map(|(id, tenant)| (id.clone(), rules(Some(tenant)))).collect(),
        }
    }
}

/// So many days; none for nought.
fn days(days: u32) -> Option<Duration> {
    (days > 0).then(|| Duration::from_hours(u64::from(days) * 24))
}

/// Notes what does not make sense. A tenant that nobody has is a misspelt one, and what was meant would not hold.
pub(super) fn validate(config: &Config, source: &Source<'_>) {
    let of_accounts = config.accounts.values().map(|account| config.tenant_of(account));
    let of_tokens = config.tokens.0.iter().filter_map(|token| token.tenant.clone());
    let mut known: BTreeSet<String> = of_accounts.chain(of_tokens).collect();
    known.insert(config.tenant.clone());
    for (name, tenant) in &config.tenants {
        let key = format!("tenants.{name}");
        validate::id(source, &key, "a tenant", name);
        if !known.contains(name) {
            source.wrong(&key, "no account or token is of this tenant");
        }
        let (age, silence) = (tenant.timeline.max_age_days, tenant.identity.reassignment_days);
        within(source, &format!("{key}.timeline.max_age_days"), age);
        within(source, &format!("{key}.identity.reassignment_days"), silence);
    }
    within(source, "timeline.max_age_days", Some(config.timeline.max_age_days));
    within(
        source,
        "identity.reassignment_days",
        Some(config.identity.reassignment_days),
    );
}

fn within(source: &Source<'_>, key: &str, days: Option<u32>) {
    if days.is_some_and(|days| days > MAX_DAYS) {
        source.wrong(key, format!("must be at most {MAX_DAYS}"));
    }
}
