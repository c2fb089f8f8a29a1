//! What a campaign's message needs to leave: an address that its account reaches, an hour that suits, a label where the law
//! wants one.

use super::ledger::Verdict;
use crate::identity;
use crate::policy::hours::{Hours, opens};
use crate::policy::law::Law;
use crate::time::Moment;
use jiff::tz::TimeZone;
use omnigate_proto::state::v1::{Membership, ThreadRecord};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{Identifier, Message, RecipientReason};
use std::cmp::Reverse;

/// An address of a customer that an account reaches.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Address<'a> {
    /// It, as the customer has it.
    pub member: &'a Membership,
    /// The identifier.
    pub peer: &'a Identifier,
    /// The thread with it through the account, if there is one.
    pub thread: Option<&'a ThreadRecord>,
}

/// The account that is sent through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Through<'a> {
    /// Id.
    pub account_id: &'a str,
    /// Kind of its channel.
    pub channel: &'a str,
}

/// The type of identifier that a channel reaches although its owner never wrote to the account; `None` where they must have.
/// Provider templates of Zalo go to phone numbers (ZNS).
#[must_use]
pub fn reached_by(channel: &str, is_template: bool) -> Option<&'static str> {
    match channel {
        "sms" | "voice" => Some("phone"),
        "email" => Some("email"),
        "whatsapp" => Some("wa_id"),
        "zalo" if is_template => Some("phone"),
        _ => None,
    }
}

/// The address at which an account reaches a customer: of their threads with it the one that they last wrote to; else an
/// identifier that the channel reaches anyhow, the best proven and then the newest. None that was given up or blocked us.
pub fn address<'a>(
    through: Through<'_>,
    is_template: bool,
    threads: &[(&'a Membership, &'a ThreadRecord)],
    members: impl Iterator<Item = &'a Membership>,
) -> Option<Address<'a>> {
    let kind = reached_by(through.channel, is_template);
    let mine = threads.iter().filter(|(_, thread)| {
        thread.account_id == through.account_id && !thread.unreachable && thread.moved_to.is_empty()
    });
    // A template that goes to numbers does not go to the ids of threads.
    let fits = |member: &Membership| match (kind, &member.identifier) {
        (Some(kind), Some(identifier)) => identifier.r#type == kind,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let written_to = mine
        .filter(|(member, _)| fits(member))
        .max_by_key(|(_, thread)| (thread.last_inbound_ms, thread.last_outbound_ms));
    if let Some((member, thread)) = written_to {
        let peer = member.identifier.as_ref()?;
        return Some(Address {
            member,
            peer,
            thread: Some(thread),
        });
    }
    kind?;
    let held = members.filter(|member| identity::is_held(member) && !member.retired && fits(member));
    let blocked = |member: &Membership| {
        threads.iter().any(|(of, thread)| {
            of.birth == member.birth && thread.account_id == through.account_id && thread.unreachable
        })
    };
    let best = held.filter(|member| !blocked(member)).max_by_key(|member| {
        (
            member.evidence(),
            member.since_ms,
            Reverse(member.identifier.as_ref().map(|identifier| identifier.value.as_str())),
        )
    })?;
    Some(Address {
        member: best,
        peer: best.identifier.as_ref()?,
        thread: None,
    })
}

/// Whether the hour suits: what the law allows and what the company has set, in every zone where the recipient may be.
#[must_use]
pub fn hour(law: Option<&Law>, own: Option<Hours>, zones: &[TimeZone], now: Moment) -> Verdict {
    let hours: Vec<Hours> = law.and_then(|law| law.hours).into_iter().chain(own).collect();
    match opens(&hours, zones, now) {
        Some(at) if at <= now => Verdict::Send,
        Some(at) => Verdict::PutOff(at, RecipientReason::QuietHours),
        None => Verdict::Refuse(RecipientReason::QuietHours),
    }
}

/// Puts the label in front that the law wants: in the subject where the message has one, else in the first text.
pub fn label(message: &mut Message, law: &Law) {
    if !message.subject.is_empty() {
        message.subject = law.labelled(&message.subject);
        return;
    }
    let first = message.parts.iter_mut().find_map(|part| match &mut part.content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    });
    if let Some(text) = first {
        text.text = law.labelled(&text.text);
    }
}

/// Why a recipient is refused, by the name that consent gives it.
#[must_use]
pub fn refusal(code: &str) -> RecipientReason {
    match code {
        "suppressed" => RecipientReason::Suppressed,
        "no_consent" => RecipientReason::NoConsent,
        _ => RecipientReason::OptedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::law;
    use crate::time::zone;
    use omnigate_proto::v1::{Evidence, Part, Purpose, Text};

    fn member(kind: &str, value: &str, evidence: Evidence, birth: u8) -> Membership {
        Membership {
            identifier: Some(Identifier {
                r#type: kind.to_owned(),
                value: value.to_owned(),
                ..Identifier::default()
            }),
            evidence: evidence.into(),
            birth: vec![birth; 16].into(),
            since_ms: i64::from(birth),
            ..Membership::default()
        }
    }

    fn thread(account_id: &str, birth: u8, last_inbound_ms: i64) -> ThreadRecord {
        ThreadRecord {
            account_id: account_id.to_owned(),
            birth: vec![birth; 16].into(),
            last_inbound_ms,
            ..ThreadRecord::default()
        }
    }

    const SMS: Through<'static> = Through {
        account_id: "sms",
        channel: "sms",
    };

    fn reached(
        through: Through<'_>,
        is_template: bool,
        threads: &[(&Membership, &ThreadRecord)],
        members: &[Membership],
    ) -> Option<String> {
        let found = address(through, is_template, threads, members.iter());
        found.map(|address| address.peer.value.clone())
    }

    #[test]
    fn a_thread_goes_before_a_number_that_never_wrote_and_no_blocked_one_is_used() {
        let members = [
            member("phone", "+841", Evidence::Stated, 1),
            member("phone", "+842", Evidence::Verified, 2),
            member("phone", "+843", Evidence::Verified, 3),
            member("email", "a@b.vn", Evidence::Verified, 4),
        ];
        assert_eq!(
            reached(SMS, false, &[], &members).as_deref(),
            Some("+843"),
            "the newest of the best"
        );
        let mine = thread("sms", 1, 9);
        let threads = [(&members[0], &mine)];
        assert_eq!(reached(SMS, false, &threads, &members).as_deref(), Some("+841"));
        let blocked = ThreadRecord {
            unreachable: true,
            ..thread("sms", 3, 9)
        };
        let threads = [(&members[2], &blocked)];
        assert_eq!(reached(SMS, false, &threads, &members).as_deref(), Some("+842"));
        assert_eq!(reached(SMS, false, &[], &members[3..]), None);
        let vouched = member("phone", "+844", Evidence::Vouched, 1);
        let members = [vouched, members[2].clone()];
        assert_eq!(
            reached(SMS, false, &[], &members).as_deref(),
            Some("+844"),
            "what the channel vouches for is surer than what a person confirmed"
        );
    }

    #[test]
    fn who_has_to_have_written_first_is_reached_through_their_thread_alone() {
        let zalo = Through {
            account_id: "oa",
            channel: "zalo",
        };
        let members = [
            member("zalo_uid", "77", Evidence::Vouched, 1),
            member("phone", "+842", Evidence::Vouched, 2),
        ];
        let (mine, other) = (thread("oa", 1, 9), thread("other", 1, 99));
        assert_eq!(reached(zalo, false, &[(&members[0], &other)], &members), None);
        assert_eq!(
            reached(zalo, false, &[(&members[0], &mine)], &members).as_deref(),
            Some("77")
        );
        assert_eq!(
            reached(zalo, true, &[(&members[0], &mine)], &members).as_deref(),
            Some("+842"),
            "templates go to numbers"
        );
    }

    #[test]
    fn law_and_company_both_have_their_say_about_hours() {
        let law = law::of("VN", "sms", Purpose::Marketing);
        let zones = [zone("Asia/Ho_Chi_Minh").unwrap()];
        // 2026-11-30T23:30:00Z is 06:30 there.
        let now = Moment(1_796_081_400_000);
        let at = |minutes: i64| Moment(now.0 + minutes * 60_000);
        let own = || "09:00-20:00".parse().ok();
        assert_eq!(
            hour(law, None, &zones, now),
            Verdict::PutOff(at(30), RecipientReason::QuietHours)
        );
        assert_eq!(
            hour(law, own(), &zones, now),
            Verdict::PutOff(at(150), RecipientReason::QuietHours)
        );
        assert_eq!(hour(law, None, &zones, at(30)), Verdict::Send);
        assert_eq!(hour(None, None, &zones, now), Verdict::Send);
        let never = "22:30-23:30".parse().ok();
        assert_eq!(
            hour(law, never, &zones, now),
            Verdict::Refuse(RecipientReason::QuietHours)
        );
    }

    #[test]
    fn the_label_stands_in_the_subject_or_in_the_first_text() {
        let text = |text: &str| Part {
            content: Some(Content::Text(Text {
                text: text.to_owned(),
                ..Text::default()
            })),
        };
        let mut message = Message {
            parts: vec![text("Giảm giá"), text("Hết")],
            ..Message::default()
        };
        label(&mut message, law::of("VN", "sms", Purpose::Marketing).unwrap());
        assert_eq!(message.parts, [text("[QC] Giảm giá"), text("Hết")]);
        message.subject = "Giảm giá".to_owned();
        label(&mut message, law::of("VN", "email", Purpose::Marketing).unwrap());
        assert_eq!(message.subject, "QC Giảm giá");
        assert_eq!(message.parts[0], text("[QC] Giảm giá"));
    }
}
