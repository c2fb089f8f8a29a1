//! What the law says of advertising, by country and channel. Nothing that a company configures makes it milder.
//!
//! Viet Nam: Decree 91/2020/ND-CP, in force since 2020-10-01: prior consent; at most three SMS, three mails and one call to a
//! recipient within 24 hours; SMS from 07:00 to 22:00, calls from 08:00 to 17:00; a label in front; a way to refuse at the
//! end.

use super::caps::Cap;
use super::hours::Hours;
use crate::sms::segment::after_label;
use omnigate_proto::v1::Purpose;
use std::time::Duration;

/// A day, as laws count it.
const DAY: Duration = Duration::from_hours(24);

/// What holds for advertising over one channel in one country.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Law {
    /// Country of the recipient, two letters of ISO 3166.
    pub country: &'static str,
    /// Kind of channel.
    pub channel: &'static str,
    /// When it may be sent; `None` for any time.
    pub hours: Option<Hours>,
    /// At most so many to a recipient from one advertiser within 24 hours.
    pub most_a_day: u32,
    /// What it begins with, one of these; the first is put there where none stands. Empty for none.
    pub labels: &'static [&'static str],
    /// True when it has to end with a way to refuse more.
    pub opt_out_line: bool,
    /// True when the recipient has to have agreed before.
    pub consent: bool,
}

const LAWS: &[Law] = &[
    Law {
        country: "VN",
        channel: "sms",
        hours: Hours::new(7 * 60, 22 * 60),
        most_a_day: 3,
        labels: &["[QC]", "[AD]"],
        opt_out_line: true,
        consent: true,
    },
    Law {
        country: "VN",
        channel: "email",
        hours: None,
        most_a_day: 3,
        labels: &["QC", "AD", "[QC]", "[AD]"],
        opt_out_line: true,
        consent: true,
    },
    Law {
        country: "VN",
        channel: "voice",
        hours: Hours::new(8 * 60, 17 * 60),
        most_a_day: 1,
        labels: &[],
        opt_out_line: false,
        consent: true,
    },
];

/// The law about a message, if there is one that we know of. What a person asked for or needs to know is no advertising.
#[must_use]
pub fn of(country: &str, channel: &str, purpose: Purpose) -> Option<&'static Law> {
    let laws = LAWS.iter().filter(|_| purpose == Purpose::Marketing);
    laws.into_iter()
        .find(|law| law.country.eq_ignore_ascii_case(country) && law.channel == channel)
}

impl Law {
    /// Its limit on how often.
    #[must_use]
    pub fn cap(&self) -> Cap {
        Cap {
            channel: Some(self.channel.to_owned()),
            most: self.most_a_day,
            within: DAY,
        }
    }

    /// The text with its label: as it is where it begins with one.
    #[must_use]
    pub fn labelled(&self, text: &str) -> String {
        match self.labels.first() {
            Some(label) if !self.labels.iter().any(|label| after_label(text, label).is_some()) => {
                format!("{label} {text}")
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viet_nam_has_hours_limits_and_labels_for_advertising_only() {
        let law = of("vn", "sms", Purpose::Marketing).unwrap();
        assert_eq!(law.hours.unwrap().to_string(), "07:00-22:00");
        assert_eq!((law.cap().most, law.cap().within), (3, DAY));
        assert_eq!(
            of("VN", "voice", Purpose::Marketing)
                .unwrap()
                .hours
                .unwrap()
                .to_string(),
            "08:00-17:00"
        );
        assert_eq!(of("VN", "sms", Purpose::Service), None);
        assert_eq!(of("VN", "sms", Purpose::Unspecified), None);
        assert_eq!(of("FR", "sms", Purpose::Marketing), None);
    }

    #[test]
    fn a_label_stands_in_front_once() {
        let sms = of("VN", "sms", Purpose::Marketing).unwrap();
        assert_eq!(sms.labelled("Giảm giá"), "[QC] Giảm giá");
        assert_eq!(sms.labelled("[qc] Giảm giá"), "[qc] Giảm giá");
        assert_eq!(sms.labelled("[AD] Sale"), "[AD] Sale");
        let mail = of("VN", "email", Purpose::Marketing).unwrap();
        assert_eq!(mail.labelled("QC: Giảm giá"), "QC: Giảm giá");
        assert_eq!(mail.labelled("QCVN 2026"), "QC QCVN 2026");
        assert_eq!(mail.labelled(""), "QC ");
    }
}
