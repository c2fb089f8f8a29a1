//! In which time zone somebody is, as far as that can be known.

use crate::sms::phone;
use crate::time;
use jiff::tz::TimeZone;
use omnigate_proto::v1::Identifier;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Country → names of its zones.
static OF_COUNTRY: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let lines = include_str!("zones.txt").lines();
    let countries = lines.filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.collect()))
    });
    countries.collect()
});

/// What is known of where somebody is.
#[derive(Clone, Copy, Default, Debug)]
pub struct Whereabouts<'a> {
    /// Name of a zone that they, or the company, said.
    pub named: Option<&'a str>,
    /// Country, two letters of ISO 3166, that they or the company said.
    pub country: Option<&'a str>,
    /// The address that is written to: a phone number tells its country.
    pub address: Option<&'a Identifier>,
}

/// The zones in any of which somebody may be; never none. The first that is known: the zone that was named, those of the country
/// that was named, those of the phone number's country, the company's own.
#[must_use]
pub fn zones(known: &Whereabouts<'_>, own: &TimeZone) -> Vec<TimeZone> {
    if let Some(zone) = known.named.and_then(time::zone) {
        return vec![zone];
    }
    let number = known.address.filter(|address| address.r#type == "phone");
    let of_number = number.and_then(|number| phone::parse(&number.value, None).ok());
    let of_number = of_number.as_ref().and_then(phone::Number::region);
    let mut countries = [known.country, of_number].into_iter().flatten();
    countries.find_map(of_country).unwrap_or_else(|| vec![own.clone()])
}

/// All zones of a country; `None` for none of ISO 3166.
fn of_country(code: &str) -> Option<Vec<TimeZone>> {
    let names = OF_COUNTRY.get(code.to_ascii_uppercase().as_str())?;
    let zones: Vec<TimeZone> = names.iter().copied().filter_map(time::zone).collect();
    (zones.len() == names.len()).then_some(zones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &Whereabouts<'_>) -> Vec<String> {
        let own = time::zone("Asia/Ho_Chi_Minh").unwrap();
        let zones = zones(known, &own).into_iter();
        zones.filter_map(|zone| zone.iana_name().map(str::to_owned)).collect()
    }

    fn number(value: &str) -> Identifier {
        Identifier {
            r#type: "phone".to_owned(),
            value: value.to_owned(),
            ..Identifier::default()
        }
    }

    #[test]
    fn what_was_said_counts_more_than_what_a_number_tells() {
        let (japan, america) = (number("+81312345678"), number("+12025550123"));
        let of = |named, country, address| Whereabouts {
            named,
            country,
            address,
        };
        assert_eq!(
            names(&of(Some("Europe/Paris"), Some("JP"), Some(&japan))),
            ["Europe/Paris"]
        );
        assert_eq!(
            names(&of(Some("Middle/Earth"), Some("sg"), Some(&japan))),
            ["Asia/Singapore"]
        );
        assert_eq!(names(&of(None, None, Some(&japan))), ["Asia/Tokyo"]);
        assert!(
            names(&of(None, None, Some(&america))).len() > 20,
            "anywhere in the country"
        );
        assert_eq!(names(&of(None, Some("XX"), None)), ["Asia/Ho_Chi_Minh"]);
        assert_eq!(names(&Whereabouts::default()), ["Asia/Ho_Chi_Minh"]);
    }

    #[test]
    fn every_zone_of_every_country_is_known() {
        assert!(OF_COUNTRY.len() > 240);
        for country in OF_COUNTRY.keys() {
            assert!(of_country(country).is_some(), "{country}");
        }
    }
}
