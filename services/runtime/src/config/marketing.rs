//! When and how often campaigns advertise, beside what the law says.

use super::node::Source;
use super::section::section;
use omnigate_core::policy::caps::Cap;
use omnigate_core::policy::hours::Hours;
use omnigate_core::tenant;

/// Most limits of a tenant.
const MAX_CAPS: usize = 16;

section! {
    /// Advertising of campaigns. What the law of the recipient's country says stands above it.
    pub struct Marketing {
        /// Hours of the recipient's day in which it is sent, such as `08:00-20:00`; without them at any time that the law allows.
        pub hours: Option<String>,
        /// How often one customer gets it, over all campaigns and channels: `3/7d`, `1/24h`, or for one kind of channel
        /// `sms:1/24h`. At most 16. Times slide: nothing begins anew at midnight.
        pub caps: Vec<String> = Vec::new(),
    }
}

section! {
    /// Advertising of the tenant's campaigns; without a word here, what holds for all.
    pub struct TenantMarketing {
        /// Hours of the recipient's day in which it is sent; empty for any that the law allows.
        pub hours: Option<String>,
        /// How often one customer gets it; empty for as often as the law allows.
        pub caps: Option<Vec<String>>,
    }
}

/// As the domain takes it. What cannot be read was told when the configuration was.
pub(super) fn rules(all: &Marketing, own: Option<&TenantMarketing>) -> tenant::Marketing {
    let own_hours = own.and_then(|own| own.hours.as_ref());
    let own_caps = own.and_then(|own| own.caps.as_ref());
    tenant::Marketing {
        hours: own_hours
            .or(all.hours.as_ref())
            .and_then(|text| text.parse::<Hours>().ok()),
        caps: own_caps
            .unwrap_or(&all.caps)
            .iter()
            .filter_map(|text| text.parse::<Cap>().ok())
            .collect(),
    }
}

/// Notes what does not make sense.
pub(super) fn validate(source: &Source<'_>, key: &str, (hours, caps): (Option<&String>, Option<&Vec<String>>)) {
    if let Some(Err(problem)) = hours
        .filter(|hours| !hours.is_empty())
        .map(|hours| hours.parse::<Hours>())
    {
        source.wrong(&format!("{key}.hours"), problem.to_string());
    }
    let caps = caps.map(Vec::as_slice).unwrap_or_default();
    if caps.len() > MAX_CAPS {
        source.wrong(&format!("{key}.caps"), format!("must be at most {MAX_CAPS}"));
    }
    for (place, text) in caps.iter().enumerate() {
        if let Err(problem) = text.parse::<Cap>() {
            source.wrong(&format!("{key}.caps.{place}"), problem.to_string());
        }
    }
}
