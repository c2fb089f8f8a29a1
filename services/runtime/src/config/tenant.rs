//! What holds for all tenants and for single ones.

use super::marketing::{self, TenantMarketing};
use super::{Config, node::Source, section::section, validate};
use omnigate_core::identifier;
use omnigate_core::identifier::blocked::{Blocked, MAX_BLOCKED, own_address, pattern};
use omnigate_core::retention::Limits;
use omnigate_core::sms::phone::is_region;
use omnigate_core::template::locale;
use omnigate_core::tenant::{Rules, TenantRules};
use omnigate_core::time::zone;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest time that something is kept or waited for, in days: a hundred years.
const MAX_DAYS: u32 = 36_525;
/// Most test recipients of a tenant.
const MAX_TEST_RECIPIENTS: usize = 100;

/// Values by type of identifier.
type Lists = BTreeMap<String, Vec<String>>;

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
        /// Region whose national phone numbers are read in imports, two letters of ISO 3166 such as `VN`; without it they must
        /// begin with + and a country code.
        pub region: Option<String>,
        /// Days of silence after which a phone number that somebody new is known by is taken to have been given to somebody
        /// else: nobody is merged by it, advertising to it waits for a person's decision. 0 for never.
        pub reassignment_days: u32 = 90,
        /// Whether mailboxes that more than one person reads, such as `info@` and `sales@`, bring nobody together.
        pub block_role_mailboxes: bool = false,
        /// Values of a type of identifier, such as `phone`, that bring nobody together: those of tests, shops and hotlines.
        /// The numbers and addresses in the settings of a tenant's accounts, and mailboxes that nobody reads (`noreply@`), are
        /// blocked anyhow. At most 1,000.
        pub blocked: BTreeMap<String, Vec<String>>,
        /// Regular expressions of the same, which fit whole values in whatever case. At most 1,000 of 256 bytes.
        pub blocked_patterns: BTreeMap<String, Vec<String>>,
    }
}

section! {
    /// What holds for one tenant; without a word here, what holds for all.
    pub struct Tenant {
        /// Language of whom nothing else is known, BCP 47.
        pub locale: Option<String>,
        /// IANA time zone of whom nothing else is known.
        pub time_zone: Option<String>,
        /// Identifiers that templates may be sent to for a test, as `type/scope/value` or `type/value`, such as
        /// `phone/+84912345678`. At most 100.
        pub test_recipients: Vec<String> = Vec::new(),
        /// What stays on its timelines.
        pub timeline: TenantTimeline,
        /// Who is who.
        pub identity: TenantIdentity,
        /// Advertising of its campaigns.
        pub marketing: TenantMarketing,
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
        /// Region whose national phone numbers are read in imports; empty for none.
        pub region: Option<String>,
        /// Days of silence after which a phone number is taken to have been given to somebody else; 0 for never.
        pub reassignment_days: Option<u32>,
        /// Whether mailboxes that more than one person reads bring nobody together.
        pub block_role_mailboxes: Option<bool>,
        /// Values of a type of identifier that bring nobody together, beside those of all tenants.
        pub blocked: BTreeMap<String, Vec<String>>,
        /// Regular expressions of the same.
        pub blocked_patterns: BTreeMap<String, Vec<String>>,
    }
}

impl Config {
    /// What holds for whom of the tenants, as the domain takes it.
    #[must_use]
    pub fn tenant_rules(&self) -> TenantRules {
        let rules = |id: &str, tenant: Option<&Tenant>| {
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
                blocked: self.blocked(id, tenant),
                locale: own(tenant, |tenant| &tenant.locale, &self.locale),
                time_zone: own(tenant, |tenant| &tenant.time_zone, &self.time_zone),
                test_recipients: tenant.into_iter().flat_map(test_recipients).collect(),
                region: tenant
                    .and_then(|tenant| tenant.identity.region.as_ref())
                    .or(self.identity.region.as_ref())
                    .filter(|region| !region.is_empty())
                    .cloned(),
                marketing: marketing::rules(&self.marketing, tenant.map(|tenant| &tenant.marketing)),
            }
        };
        let of_accounts = self.accounts.values().map(|account| self.tenant_of(account));
        let named: BTreeSet<String> = self.tenants.keys().cloned().chain(of_accounts).collect();
        let by_tenant = named.into_iter().map(|id| {
            let rules = rules(&id, self.tenants.get(&id));
            (id, rules)
        });
        TenantRules {
            by_tenant: by_tenant.collect(),
            all: rules("", None),
        }
    }

    /// What brings nobody together among a tenant's customers.
    fn blocked(&self, id: &str, tenant: Option<&Tenant>) -> Blocked {
        let mut blocked = Blocked::default();
        let own = tenant.map(|tenant| &tenant.identity);
        if own
            .and_then(|own| own.block_role_mailboxes)
            .unwrap_or(self.identity.block_role_mailboxes)
        {
            blocked.block_roles();
        }
        let of_own = own.into_iter().map(|own| (&own.blocked, &own.blocked_patterns));
        for (values, patterns) in of_own.chain([(&self.identity.blocked, &self.identity.blocked_patterns)]) {
            each(values).for_each(|(kind, value)| blocked.block(kind, value));
            for (kind, text) in each(patterns) {
                // What is wrong with one was said when the configuration was read.
                pattern(text)
                    .into_iter()
                    .for_each(|pattern| blocked.block_pattern(kind, pattern));
            }
        }
        for account in self.accounts.values().filter(|account| self.tenant_of(account) == id) {
            let settings = account.settings.resolved.0.values();
            settings.for_each(|value| block_own(&mut blocked, value));
        }
        blocked
    }
}

/// What is said for a tenant, else what holds for all.
fn own(tenant: Option<&Tenant>, said: impl Fn(&Tenant) -> &Option<String>, all: &str) -> Cow<'static, str> {
    let said = tenant.and_then(|tenant| said(tenant).clone());
    Cow::Owned(said.unwrap_or_else(|| all.to_owned()))
}

/// A tenant's test recipients, in canonical form; what is none was told when the configuration was read.
fn test_recipients(tenant: &Tenant) -> impl Iterator<Item = String> {
    let read = tenant.test_recipients.iter();
    read.filter_map(|text| identifier::canonical(&identifier::read_text(text)?).ok())
        .map(|recipient| identifier::text(&recipient))
}

/// Blocks the numbers and addresses in an account's settings: they are the company's own.
fn block_own(blocked: &mut Blocked, value: &Value) {
    match value {
        Value::String(text) => own_address(text)
            .into_iter()
            .for_each(|own| blocked.block(&own.r#type, &own.value)),
        Value::Array(values) => values.iter().for_each(|value| block_own(blocked, value)),
        Value::Object(values) => values.values().for_each(|value| block_own(blocked, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each(lists: &Lists) -> impl Iterator<Item = (&str, &str)> {
    lists
        .iter()
        .flat_map(|(kind, list)| list.iter().map(move |text| (kind.as_str(), text.as_str())))
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
        let lists = (&tenant.identity.blocked, &tenant.identity.blocked_patterns);
        blocked_lists(source, &format!("{key}.identity"), lists);
        people(
            source,
            &format!("{key}."),
            (tenant.locale.as_deref(), tenant.time_zone.as_deref()),
        );
        recipients(source, &format!("{key}.test_recipients"), &tenant.test_recipients);
        let own = (tenant.marketing.hours.as_ref(), tenant.marketing.caps.as_ref());
        marketing::validate(source, &format!("{key}.marketing"), own);
        region(
            source,
            &format!("{key}.identity.region"),
            tenant.identity.region.as_deref(),
        );
    }
    people(source, "", (Some(&config.locale), Some(&config.time_zone)));
    let of_all = (config.marketing.hours.as_ref(), Some(&config.marketing.caps));
    marketing::validate(source, "marketing", of_all);
    region(source, "identity.region", config.identity.region.as_deref());
    let lists = (&config.identity.blocked, &config.identity.blocked_patterns);
    blocked_lists(source, "identity", lists);
    within(source, "timeline.max_age_days", Some(config.timeline.max_age_days));
    within(
        source,
        "identity.reassignment_days",
        Some(config.identity.reassignment_days),
    );
}

/// Language and time zone of people of whom nothing else is known.
fn people(source: &Source<'_>, before: &str, (locale, time_zone): (Option<&str>, Option<&str>)) {
    if locale.is_some_and(|tag| !locale::is_tag(tag)) {
        source.wrong(&format!("{before}locale"), "must be a language tag such as vi or en-GB");
    }
    if time_zone.is_some_and(|name| zone(name).is_none()) {
        source.wrong(
            &format!("{before}time_zone"),
            "must be an IANA time zone such as Asia/Ho_Chi_Minh",
        );
    }
}

fn recipients(source: &Source<'_>, key: &str, written: &[String]) {
    if written.len() > MAX_TEST_RECIPIENTS {
        source.wrong(key, format!("must be at most {MAX_TEST_RECIPIENTS}"));
    }
    for (place, text) in written.iter().enumerate() {
        let problem = match identifier::read_text(text) {
            None => Some("must be type/scope/value or type/value, such as phone/+84912345678".to_owned()),
            Some(read) => identifier::canonical(&read).err().map(|problem| problem.to_string()),
        };
        problem
            .into_iter()
            .for_each(|problem| source.wrong(&format!("{key}.{place}"), problem));
    }
}

fn region(source: &Source<'_>, key: &str, region: Option<&str>) {
    if let Some(region) = region.filter(|region| !region.is_empty())
        && !is_region(region)
    {
        source.wrong(key, "must be two letters of ISO 3166, such as VN");
    }
}

fn within(source: &Source<'_>, key: &str, days: Option<u32>) {
    if days.is_some_and(|days| days > MAX_DAYS) {
        source.wrong(key, format!("must be at most {MAX_DAYS}"));
    }
}

fn blocked_lists(source: &Source<'_>, key: &str, (values, patterns): (&Lists, &Lists)) {
    for (name, lists) in [("blocked", values), ("blocked_patterns", patterns)] {
        if each(lists).count() > MAX_BLOCKED {
            source.wrong(&format!("{key}.{name}"), format!("must be at most {MAX_BLOCKED}"));
        }
        for kind in lists.keys() {
            validate::id(source, &format!("{key}.{name}.{kind}"), "a type", kind);
        }
    }
    for (kind, text) in each(patterns) {
        if let Err(problem) = pattern(text) {
            source.wrong(&format!("{key}.blocked_patterns.{kind}"), format!("{text:?} {problem}"));
        }
    }
}
