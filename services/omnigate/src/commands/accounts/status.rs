//! Everything about one account, as people read it.

use super::{problems, state};
use crate::commands::print;
use omnigate_proto::v1::{Account, Capabilities, ReplyWindowRule};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The account, a fact a line.
pub(super) fn lines(account: &Account) -> Vec<String> {
    let mut facts = Facts::default();
    facts.say("account", &account.account_id);
    facts.say("name", &account.display_name);
    facts.say("channel", &account.channel);
    facts.say("provider", &account.provider);
    facts.say("adapter", &account.adapter);
    facts.say("app", &account.app_id);
    facts.say("state", &state(account));
    for problem in problems(account) {
        let of = format!("{}: ", account.account_id);
        facts.say("problem", problem.strip_prefix(&of).unwrap_or(&problem));
    }
    if account.authorization_pending {
        facts.say("authorization", "what was configured or handed in is being tried");
    }
    if account.token_expires_at.is_some() {
        let until = print::time(account.token_expires_at.as_ref());
        facts.say("token holds until", &format!("{until} UTC"));
    }
    facts.say("authorize at", &account.authorization_url);
    match &account.capabilities {
        Some(capabilities) => facts.abilities(capabilities),
        None => facts.say("capabilities", "not known: its adapter does not answer"),
    }
    facts.0
}

#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    /// Nothing is said of what is empty.
    fn say(&mut self, what: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(format!("{what:<18} {}", print::printable(value)));
        }
    }

    fn abilities(&mut self, can: &Capabilities) {
        if can.max_text > 0 {
            self.say("longest text", &format!("{} {} a piece", can.max_text, can.text_unit));
        }
        if can.max_upload_bytes > 0 {
            self.say("largest upload", &format!("{} bytes", can.max_upload_bytes));
        }
        let receipts: Vec<String> = can
            .receipts()
            .map(|state| state.as_str_name().trim_start_matches("RECEIPT_STATE_").to_lowercase())
            .collect();
        self.say("receipts", if receipts.is_empty() { "none" } else { "" });
        self.say("receipts", &receipts.join(", "));
        let rate = |rate: f64| (rate > 0.0).then(|| format!("{rate} messages a second"));
        self.say("rate", &rate(can.messages_per_second).unwrap_or_default());
        self.say(
            "rate of a thread",
            &rate(can.messages_per_second_per_thread).unwrap_or_default(),
        );
        let repeats = if can.idempotent_send {
            "the provider drops repeated sends"
        } else if can.lookup_send {
            "the provider can be asked what became of a send"
        } else {
            ""
        };
        self.say("lost answers", repeats);
        self.say(
            "reply window",
            &can.reply_window.as_ref().map(window).unwrap_or_default(),
        );
        if can.provider_templates {
            self.say(
                "templates",
                "checked before acceptance; see omnigate accounts templates",
            );
        }
    }
}

/// When people may be written to.
fn window(rule: &ReplyWindowRule) -> String {
    let whom = match rule.peer_type.as_str() {
        "" => String::new(),
        peers => format!(" (peers of type {peers})"),
    };
    let text = if rule.open_ms > rule.free_ms {
        format!(
            "free for {}, paid until {}, then templates only",
            span(rule.free_ms),
            span(rule.open_ms)
        )
    } else {
        format!("open for {}, then templates only", span(rule.free_ms))
    };
    format!("{text}, counted from when the person last acted{whom}")
}

/// A span of time in the largest unit that says it exactly.
fn span(ms: u64) -> String {
    let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")];
    // Two days are said as 48 hours, as providers do.
    let fits = |unit: u64| ms.is_multiple_of(unit) && (unit != DAY || ms > 2 * DAY);
    match units.into_iter().find(|(unit, _)| fits(*unit)) {
        Some((unit, name)) if ms == unit => format!("1 {name}"),
        Some((unit, name)) => format!("{} {name}s", ms / unit),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{AccountState, ReceiptState};

    #[test]
    fn a_window_is_told_in_the_words_of_its_rule() {
        let rule = |free_ms, open_ms, peer_type: &str| {
            window(&ReplyWindowRule {
                free_ms,
                open_ms,
                peer_type: peer_type.to_owned(),
            })
        };
        assert_eq!(
            rule(48 * HOUR, 7 * DAY, "zalo_uid"),
            "free for 48 hours, paid until 7 days, then templates only, counted from when the person last acted (peers \
             of type zalo_uid)"
        );
        assert!(rule(24 * HOUR, 24 * HOUR, "").starts_with("open for 24 hours, then"));
        assert_eq!(
            [span(HOUR), span(90 * MINUTE), span(1500)],
            ["1 hour", "90 minutes", "1500 ms"]
        );
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let account = Account {
            account_id: "shop".to_owned(),
            channel: "zalo".to_owned(),
            state: AccountState::Unauthorized.into(),
            problem: "used up\u{1b}[2J".to_owned(),
            ..Account::default()
        };
        let said = lines(&account).join("\n");
        assert!(said.contains("problem            used up\u{fffd}"), "{said}");
        assert!(
            said.contains("its adapter does not answer") && !said.contains("token"),
            "{said}"
        );
        let able = Account {
            capabilities: Some(Capabilities {
                max_text: 2000,
                text_unit: "chars".to_owned(),
                receipts: vec![ReceiptState::Delivered.into(), ReceiptState::Read.into()],
                ..Capabilities::default()
            }),
            ..account
        };
        let said = lines(&able).join("\n");
        assert!(
            said.contains("2000 chars a piece") && said.contains("delivered, read"),
            "{said}"
        );
    }
}
