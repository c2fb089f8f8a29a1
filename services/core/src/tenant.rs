//! What the operator says of tenants, as far as decisions ask for it.

use crate::identifier::blocked::Blocked;
use crate::policy::caps::Cap;
use crate::policy::hours::Hours;
use crate::retention::Limits;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What holds for one tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// What stays on timelines.
    pub timeline: Limits,
    /// After so much silence a phone number that somebody new is known by was given to somebody else; `None` for never.
    pub reassigned_after: Option<Duration>,
    /// Identifiers that bring nobody together.
    pub blocked: Blocked,
    /// Language of whom nothing else is known, BCP 47.
    pub locale: Cow<'static, str>,
    /// Time zone of whom nothing else is known, by its IANA name.
    pub time_zone: Cow<'static, str>,
    /// Who may be sent tests: canonical identifiers, as [`crate::identifier::text`] writes them.
    pub test_recipients: BTreeSet<String>,
    /// Region whose national phone numbers are read in imports, such as `VN`; `None` where they must be international.
    pub region: Option<String>,
    /// When and how often campaigns advertise.
    pub marketing: Marketing,
}

/// What a company has set about its advertising, beside what the law says.
#[derive(Clone, PartialEq, Debug)]
pub struct Marketing {
    /// Hours of the recipient's day in which it is sent; `None` for all.
    pub hours: Option<Hours>,
    /// How often one customer gets it.
    pub caps: Vec<Cap>,
}

impl Marketing {
    /// Nothing is set.
    pub const NONE: Self = Self {
        hours: None,
        caps: Vec::new(),
    };
}

impl Rules {
    /// Those of tenants of whom nothing is said.
    pub const DEFAULT: Self = Self {
        timeline: Limits::NONE,
        reassigned_after: Some(Duration::from_secs(90 * 24 * 3600)),
        blocked: Blocked::NONE,
        locale: Cow::Borrowed("vi"),
        time_zone: Cow::Borrowed("Asia/Ho_Chi_Minh"),
        test_recipients: BTreeSet::new(),
        region: None,
        marketing: Marketing::NONE,
    };
}

/// Rules by tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct TenantRules {
    /// Those of tenants that are not named.
    pub all: Rules,
    /// Those of tenants that are.
    pub by_tenant: BTreeMap<String, Rules>,
}

/// Nothing is said of any tenant.
pub static DEFAULT_RULES: TenantRules = TenantRules {
    all: Rules::DEFAULT,
    by_tenant: BTreeMap::new(),
};

impl Default for TenantRules {
    fn default() -> Self {
        DEFAULT_RULES.clone()
    }
}

impl TenantRules {
    /// The rules of a tenant.
    #[must_use]
    pub fn of(&self, tenant_id: &str) -> &Rules {
        self.by_tenant.get(tenant_id).unwrap_or(&self.all)
    }
}
