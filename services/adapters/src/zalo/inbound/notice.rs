//! News about the account and its templates.

use super::super::wire::{Change, Notice, Text, object, said};
use super::message::nfc;
use super::{Malformed, Translator};
use omnigate_proto::v1::{AccountNotice, Event, event::Kind};
use serde_json::value::RawValue;

/// Characters kept of each value; an operator reads them in one line.
const MAX_VALUE: usize = 200;

impl Translator<'_> {
    /// An event about the account.
    pub(super) fn notice(&self, code: &str, text: String) -> Event {
        Event {
            stable_key: self.key(self.oa_id),
            kind: Some(Kind::AccountNotice(AccountNotice {
                code: code.to_owned(),
                text,
            })),
            ..self.event()
        }
    }

    /// `change_template_…` and `change_oa_…`; what is called so and is unknown is kept whole.
    pub(super) fn change(&self, name: &str) -> Result<Event, Malformed> {
        let notice: Notice<'_> = object(self.raw).map_err(|_| Malformed)?;
        let (code, subject, value) = match name {
            "change_template_status" => ("template_status", "status", notice.status),
            "change_template_quality" => ("template_quality", "quality", notice.quality),
            "change_template_quota" => ("template_quota", "quota", notice.quota),
            "change_oa_daily_quota" => ("daily_quota", "daily quota", notice.quota),
            "change_oa_template_tags" => ("template_tags", "template tags", notice.tags),
            _ => return Ok(self.without_shape()),
        };
        let template = short(said(notice.template_id.as_ref()));
        let of = if template.is_empty() {
            String::new()
        } else {
            format!(" of template {template}")
        };
        let mut text = format!("{subject}{of}{}", value.map(described).unwrap_or_default());
        let reason = short(said(notice.reason.as_ref()));
        if !reason.is_empty() {
            text = format!("{text}: {reason}");
        }
        let mut event = self.notice(code, text);
        event.stable_key = self.key(&format!("{}:{template}", self.oa_id));
        Ok(event)
    }
}

/// ` is now X, was Y`, or the bare value.
fn described(value: &RawValue) -> String {
    if let Ok(plain) = serde_json::from_str::<Text<'_>>(value.get()) {
        return format!(" is now {}", short(&plain));
    }
    match object::<Change<'_>>(value.get().as_bytes()) {
        Ok(change) if change.new_value.is_some() => {
            let new = short(said(change.new_value.as_ref()));
            match short(said(change.prev_value.as_ref())) {
                old if old.is_empty() => format!(" is now {new}"),
                old => format!(" is now {new}, was {old}"),
            }
        }
        _ => format!(" is now {}", short(value.get())),
    }
}

fn short(text: &str) -> String {
    let plain = |c: &char| !c.is_control();
    nfc(text.trim()).chars().filter(plain).take(MAX_VALUE).collect()
}
