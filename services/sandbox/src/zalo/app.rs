//! Apps and Official Accounts as the sandbox keeps them.

use super::{
    options::{AppOptions, OaOptions, Options},
    schedule::Schedule,
    template::Template,
    webhook::Webhook,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// GMT+7, which Vietnam keeps all year.
const ZONE_MS: i64 = 7 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

#[derive(Debug)]
pub(super) struct App {
    pub(super) identity: AppOptions,
    pub(super) webhook: Webhook,
    /// The minute and the calls in it.
    minute: (i64, u32),
}

impl App {
    pub(super) fn new(identity: AppOptions, options: &Options) -> Self {
        Self {
            identity,
            webhook: Webhook::new(Schedule::new(options.webhook_connections, options.pending_events)),
            minute: (0, 0),
        }
    }

    /// Counts a call; answers how many more there may be in this minute, or none where it was one too many.
    pub(super) fn admit(&mut self, limit: u32, now_ms: i64) -> Option<u32> {
        let minute = now_ms.div_euclid(60_000);
        if self.minute.0 != minute {
            self.minute = (minute, 0);
        }
        if limit > 0 && self.minute.1 >= limit {
            return None;
        }
        self.minute.1 = self.minute.1.saturating_add(1);
        Some(limit.saturating_sub(self.minute.1))
    }
}

/// A chat group of an OA (GMF).
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: BTreeSet<u64>,
    pub(super) disabled: bool,
}

#[derive(Debug)]
pub(super) struct Oa {
    pub(super) app: usize,
    pub(super) identity: OaOptions,
    pub(super) disabled: bool,
    /// Whether the OA has granted the app anything; without it no event comes.
    pub(super) granted: bool,
    pub(super) templates: Vec<Template>,
    pub(super) tags: BTreeMap<String, BTreeSet<u64>>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) used: Used,
}

impl Oa {
    pub(super) fn new(app: usize, identity: OaOptions) -> Self {
        Self {
            app,
            disabled: false,
            granted: false,
            templates: identity.templates.clone(),
            tags: BTreeMap::new(),
            groups: BTreeMap::new(),
            used: Used::default(),
            identity,
        }
    }

    pub(super) fn template(&self, id: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.id == id)
    }

    pub(super) fn template_mut(&mut self, id: &str) -> Option<&mut Template> {
        self.templates.iter_mut().find(|template| template.id == id)
    }
}

/// What was used of the quotas, of the day and of the month.
#[derive(Debug, Default)]
pub(super) struct Used {
    day: i64,
    month: i64,
    pub(super) zns: u32,
    pub(super) development: u32,
    pub(super) by_template: HashMap<String, u32>,
    pub(super) new_templates: u32,
    /// Of the OA's package, this month.
    pub(super) package: u32,
    /// Uploads, this month.
    pub(super) uploads: u32,
}

impl Used {
    /// Forgets what was used before today and before this month.
    pub(super) fn at(&mut self, now_ms: i64) -> &mut Self {
        let day = (now_ms + ZONE_MS).div_euclid(DAY_MS);
        if self.day != day {
            let (package, uploads, month) = (self.package, self.uploads, self.month);
            *self = Self {
                day,
                month,
                package,
                uploads,
                ..Self::default()
            };
        }
        let month = month(now_ms);
        if self.month != month {
            self.month = month;
            self.package = 0;
            self.uploads = 0;
        }
        self
    }
}

fn local(now_ms: i64) -> jiff::civil::DateTime {
    let timestamp = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    jiff::tz::offset(7).to_datetime(timestamp)
}

fn month(now_ms: i64) -> i64 {
    let date = local(now_ms).date();
    i64::from(date.year()) * 12 + i64::from(date.month())
}

/// `DD/MM/YYYY` in GMT+7.
pub(super) fn day_text(now_ms: i64) -> String {
    local(now_ms).strftime("%d/%m/%Y").to_string()
}

/// `DD/MM/YYYY hh:mm:ss` in GMT+7.
pub(super) fn time_text(now_ms: i64) -> String {
    local(now_ms).strftime("%d/%m/%Y %H:%M:%S").to_string()
}

/// Days since 1970 in GMT+7.
pub(super) fn day_number(now_ms: i64) -> i64 {
    (now_ms + ZONE_MS).div_euclid(DAY_MS)
}

/// From 22:00 to 06:00 in GMT+7.
pub(super) fn is_night(now_ms: i64) -> bool {
    let hour = (now_ms + ZONE_MS).rem_euclid(DAY_MS) / 3_600_000;
    !(6..22).contains(&hour)
}
