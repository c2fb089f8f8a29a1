//! A message as the API shows it.

use crate::texting::segments;
use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};
use serde_json::{Value, json};

/// A message that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) sid: String,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) service: Option<String>,
    pub(super) body: String,
    pub(super) media: usize,
    pub(super) status: &'static str,
    pub(super) error: Option<i64>,
    pub(super) created: i64,
}

impl Resource {
    pub(super) fn json(&self, account: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{}", self.sid);
        json!({
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": date(self.created),
            "date_sent": null,
            "date_updated": date(self.created),
            "direction": "outbound-api",
            "error_code": self.error,
            "error_message": null,
            "from": (!self.from.is_empty()).then_some(&self.from),
            "messaging_service_sid": self.service,
            "num_media": self.media.to_string(),
            "num_segments": segments(&self.body).to_string(),
            "price": null,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": format!("{uri}/Media.json")},
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// Dates are in the form of mail headers.
fn date(unix: i64) -> Option<String> {
    let at = Timestamp::from_second(unix).ok()?.to_zoned(TimeZone::UTC);
    rfc2822::to_string(&at).ok()
}
