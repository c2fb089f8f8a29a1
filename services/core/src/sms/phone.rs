//! Phone numbers, by the numbering plans of all countries.
//!
//! What a provider or a person wrote is read with the region of its channel. Nothing here changes an identifier:
//! [`crate::identifier::canonical`] takes E.164 only, and a number of Vietnam with eleven digits stays what it is until
//! somebody asks where to send to or under which forms to look for it.

use super::vietnam::{self, Operator};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

/// Country code of Vietnam.
const VIETNAM: u16 = 84;
/// Longest text looked at: E.164 has 15 digits, people put separators between them.
const MAX_LENGTH: usize = 40;
/// Digits that E.164 allows with the country code; the fewest are those that identifiers accept.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Most digits of a short code.
pub(super) const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=6;

/// What a number is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Gets SMS.
    Mobile,
    /// Seldom gets SMS.
    FixedLine,
    /// The plan does not tell the two apart, as in North America.
    FixedLineOrMobile,
    /// Costs the caller nothing.
    TollFree,
    /// Costs the caller more.
    PremiumRate,
    /// Costs caller and called.
    SharedCost,
    /// On the Internet.
    Voip,
    /// Of a person, wherever it leads.
    Personal,
    /// A pager.
    Pager,
    /// Of a company, wherever it leads.
    Company,
    /// A voice box.
    Voicemail,
    /// The plan does not have it: not valid, or of a new kind.
    Unknown,
}

/// Why a text is no phone number. None of the texts repeats it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAPhone {
    /// Nothing but space.
    #[error("a phone number must have digits")]
    Empty,
    /// Letters, or signs that no one puts into numbers.
    #[error("a phone number must be digits, with + ( ) . / - or space between them")]
    Characters,
    /// Longer than any number.
    #[error("a phone number has at most 15 digits")]
    TooLong,
    /// Three to six digits: reachable inside one network only.
    #[error("this is a short code, not a phone number")]
    ShortCode,
    /// No region of ISO 3166.
    #[error("the region must be two letters of ISO 3166, such as VN")]
    Region,
    /// National form without a region.
    #[error("without a region, a phone number must begin with + and a country code")]
    NoRegion,
    /// No numbering plan has numbers of this length.
    #[error("no numbering plan has such a number")]
    Implausible,
}

/// A phone number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Number {
    e164: String,
    country_code: u16,
    region: Option<String>,
    kind: Kind,
    valid: bool,
}

/// Reads a number: international (`+84…`, or `00…` as dialled in the region), with the country code alone (`84…`), or
/// national (`0…`) in the region. A number whose length is possible is read although the plan does not have it:
/// [`Number::is_valid`] tells.
pub fn parse(text: &str, region: Option<&str>) -> Result<Number, NotAPhone> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NotAPhone::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(NotAPhone::TooLong);
    }
    let is_usual = |c: char| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | '.' | '/' | '-' | ' ' | '\u{a0}');
    let (before, number) = text.split_once('+').unwrap_or(("", text));
    if !text.chars().all(is_usual) || before.contains(|c: char| c.is_ascii_digit()) || number.contains('+') {
        return Err(NotAPhone::Characters);
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let is_international = number.len() < text.len();
    if digits.is_empty() {
        return Err(NotAPhone::Empty);
    }
    if SHORT_CODE_DIGITS.contains(&digits.len()) && !is_international {
        return Err(NotAPhone::ShortCode);
    }
    let region = region.map(region_of).transpose()?;
    if region.is_none() && !is_international {
        return Err(NotAPhone::NoRegion);
    }
    // The digits alone: the library would read `/` as the beginning of a second number.
    let dialled = if is_international { format!("+{digits}") } else { digits };
    let number = PHONE_NUMBER_UTIL.parse(&dialled, region);
    read(&number.map_err(|_| NotAPhone::Implausible)?)
}

/// True for a region that has a numbering plan.
#[must_use]
pub fn is_region(code: &str) -> bool {
    region_of(code).is_ok()
}

fn region_of(code: &str) -> Result<Region, NotAPhone> {
    let code = code.trim().to_ascii_uppercase();
    let region = Region::try_from(code.as_str()).map_err(|_| NotAPhone::Region)?;
    let is_known = PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some();
    is_known.then_some(region).ok_or(NotAPhone::Region)
}

fn read(number: &PhoneNumber) -> Result<Number, NotAPhone> {
    let library = &*PHONE_NUMBER_UTIL;
    let e164 = library.format(number, PhoneNumberFormat::E164).into_owned();
    let country_code = u16::try_from(number.country_code).map_err(|_| NotAPhone::Implausible)?;
    let is_plausible = E164_DIGITS.contains(&(e164.len() - 1)) && !e164.starts_with("+0");
    if !is_plausible || !library.is_possible_number(number) {
        return Err(NotAPhone::Implausible);
    }
    let region = library.get_region_for_number(number);
    let is_country = |region: &String| region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase());
    Ok(Number {
        e164,
        country_code,
        region: region.map(|region| region.to_string()).filter(is_country),
        kind: kind(library.get_number_type(number)),
        valid: library.is_valid_number(number),
    })
}

const fn kind(kind: PhoneNumberType) -> Kind {
    match kind {
        PhoneNumberType::Mobile => Kind::Mobile,
        PhoneNumberType::FixedLine => Kind::FixedLine,
        PhoneNumberType::FixedLineOrMobile => Kind::FixedLineOrMobile,
        PhoneNumberType::TollFree => Kind::TollFree,
        PhoneNumberType::PremiumRate => Kind::PremiumRate,
        PhoneNumberType::SharedCost => Kind::SharedCost,
        PhoneNumberType::VoIP => Kind::Voip,
        PhoneNumberType::PersonalNumber => Kind::Personal,
        PhoneNumberType::Pager => Kind::Pager,
        PhoneNumberType::UAN => Kind::Company,
        PhoneNumberType::VoiceMail => Kind::Voicemail,
        _ => Kind::Unknown,
    }
}

impl Number {
    /// `+84912345678`.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// `84912345678`, as most providers want it.
    #[must_use]
    pub fn international_digits(&self) -> &str {
        self.e164.trim_start_matches('+')
    }

    /// `0912345678`, as it is dialled inside the country.
    #[must_use]
    pub fn national_digits(&self) -> String {
        if self.country_code == VIETNAM {
            return format!("0{}", self.significant());
        }
        let library = &*PHONE_NUMBER_UTIL;
        let national = library
            .parse(&self.e164, None)
            .map(|number| library.format(&number, PhoneNumberFormat::National).into_owned());
        let digits = |national: String| national.chars().filter(char::is_ascii_digit).collect();
        national.map_or_else(|_| self.significant().to_owned(), digits)
    }

    /// As it is written inside the country, such as `0912 345 678`.
    #[must_use]
    pub fn national(&self) -> String {
        let library = &*PHONE_NUMBER_UTIL;
        let number = library.parse(&self.e164, None);
        let written = number.map(|number| library.format(&number, PhoneNumberFormat::National).into_owned());
        written.unwrap_or_else(|_| self.e164.clone())
    }

    /// Country calling code, such as 84.
    #[must_use]
    pub const fn country_code(&self) -> u16 {
        self.country_code
    }

    /// ISO 3166 code of the region; none for numbers of no country.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the numbering plan has it; whether anybody has it, nobody knows.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.valid
    }

    /// Whether an SMS to it makes sense.
    #[must_use]
    pub const fn may_get_sms(&self) -> bool {
        self.valid && matches!(self.kind, Kind::Mobile | Kind::FixedLineOrMobile)
    }

    /// Who issued a mobile number of Vietnam: a hint for routing only, for numbers can be ported.
    #[must_use]
    pub fn operator(&self) -> Option<Operator> {
        self.in_vietnam(Operator::of_significant)
    }

    /// The number to send to: what a number of Vietnam with eleven digits became in 2018, any other as it is.
    #[must_use]
    pub fn for_sending(&self) -> Self {
        let present = self.in_vietnam(vietnam::present);
        let present = present.and_then(|present| parse(&format!("+{VIETNAM}{present}"), None).ok());
        present.unwrap_or_else(|| self.clone())
    }

    /// E.164 forms under which the same line may have been stored: itself, then what it was before 2018 or became then.
    #[must_use]
    pub fn forms_to_look_for(&self) -> Vec<String> {
        let other = self.in_vietnam(|number| vietnam::present(number).or_else(|| vietnam::former(number)));
        let other = other.map(|other| format!("+{VIETNAM}{other}"));
        [self.e164.clone()].into_iter().chain(other).collect()
    }

    /// Digits after the country code.
    fn significant(&self) -> &str {
        let digits = self.international_digits();
        digits.strip_prefix(&self.country_code.to_string()).unwrap_or(digits)
    }

    fn in_vietnam<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        (self.country_code == VIETNAM)
            .then(|| read(self.significant()))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier;
    use omnigate_proto::v1::Identifier;
    use proptest::prelude::*;

    fn vn(text: &str) -> Number {
        parse(text, Some("VN")).unwrap()
    }

    #[test]
    fn all_forms_of_a_number_are_one() {
        for text in [
            "+84912345678",
            "84912345678",
            "0912345678",
            "0912 345 678",
            " (091) 234-5678 ",
            "091.234.5678",
            "091/2345678",
            "0084912345678",
            "+84 0912345678",
            "(+84) 912 345 678",
            "+84 (0)912 345 678",
            "912345678",
        ] {
            let number = vn(text);
            assert_eq!(number.e164(), "+84912345678", "{text}");
            assert_eq!((number.region(), number.country_code()), (Some("VN"), 84));
            assert!(number.is_valid() && number.may_get_sms());
        }
        let number = parse("+84912345678", None).unwrap();
        assert_eq!(number.international_digits(), "84912345678");
        assert_eq!(number.national_digits(), "0912345678");
        assert_eq!(
            parse("+84912345678", Some("us")).unwrap(),
            number,
            "+ goes before the region"
        );
    }

    #[test]
    fn numbers_have_kinds() {
        for (text, kind) in [
            ("0321234567", Kind::Mobile),
            ("0559123456", Kind::Mobile),
            ("0871234567", Kind::Mobile),
            ("02838221234", Kind::FixedLine),
            ("18001091", Kind::TollFree),
            ("19001234", Kind::PremiumRate),
            ("+16502530000", Kind::FixedLineOrMobile),
            ("+390612345678", Kind::FixedLine),
            ("+4915112345678", Kind::Mobile),
        ] {
            let number = vn(text);
            assert!(number.is_valid(), "{text}");
            assert_eq!(number.kind(), kind, "{text}");
        }
        assert_eq!(vn("+390612345678").region(), Some("IT"));
        assert_eq!(vn("+16502530000").national_digits(), "6502530000");
        assert_eq!(vn("+390612345678").national_digits(), "0612345678");
        assert_eq!(vn("+80012345678").region(), None, "of no country");
        assert!(!vn("02838221234").may_get_sms());
    }

    #[test]
    fn a_number_with_eleven_digits_is_kept_looked_for_and_translated() {
        for text in ["01621234567", "841621234567", "+84 162 123 4567"] {
            let former = vn(text);
            assert_eq!(former.e164(), "+841621234567", "never rewritten");
            assert!(!former.is_valid());
            assert_eq!(former.operator(), None);
            let present = former.for_sending();
            assert_eq!((present.e164(), present.is_valid()), ("+84321234567", true));
            assert_eq!(present.operator(), Some(Operator::Viettel));
            assert_eq!(former.forms_to_look_for(), ["+841621234567", "+84321234567"]);
            assert_eq!(present.forms_to_look_for(), ["+84321234567", "+841621234567"]);
            assert_eq!(former.national_digits(), "01621234567");
        }
        let other = vn("0912345678");
        assert_eq!(other.for_sending(), other);
        assert_eq!(other.forms_to_look_for(), ["+84912345678"]);
        let german = vn("+491621234567");
        assert_eq!(
            (german.for_sending(), german.is_valid()),
            (german.clone(), true),
            "of Vietnam only"
        );
    }

    #[test]
    fn what_is_no_number_says_why() {
        for (text, region, problem) in [
            ("", Some("VN"), NotAPhone::Empty),
            (" ()- ", Some("VN"), NotAPhone::Empty),
            ("+", None, NotAPhone::Empty),
            ("1800FLOWERS", Some("US"), NotAPhone::Characters),
            ("0912345678 ext 5", Some("VN"), NotAPhone::Characters),
            ("0912345678+1", Some("VN"), NotAPhone::Characters),
            ("++84912345678", None, NotAPhone::Characters),
            ("tel:+84912345678", None, NotAPhone::Characters),
            ("٠٩١٢٣٤٥٦٧٨", Some("VN"), NotAPhone::Characters),
            ("8041", Some("VN"), NotAPhone::ShortCode),
            ("199", None, NotAPhone::ShortCode),
            ("0912345678", None, NotAPhone::NoRegion),
            ("84912345678", None, NotAPhone::NoRegion),
            ("0912345678", Some("ZZ"), NotAPhone::Region),
            ("0912345678", Some("VNM"), NotAPhone::Region),
            ("0912345678", Some(""), NotAPhone::Region),
            ("+999123456789", None, NotAPhone::Implausible),
            ("+8491", None, NotAPhone::Implausible),
            ("+84912345678901", None, NotAPhone::Implausible),
            ("12", Some("VN"), NotAPhone::Implausible),
        ] {
            assert_eq!(parse(text, region), Err(problem), "{text:?} {region:?}");
        }
        assert_eq!(parse(&"1".repeat(41), Some("VN")), Err(NotAPhone::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,45}", region in "[A-Z]{2}") {
            let _read = parse(&text, Some(&region));
            let _read = parse(&text, None);
        }

        #[test]
        fn what_is_read_is_an_identifier_and_read_again(text in "[+]?[0-9() ./-]{3,18}", region in prop::sample::select(vec!["VN", "US", "IT", "AR", "DE", "RU"])) {
            if let Ok(number) = parse(&text, Some(region)) {
                let identifier = Identifier { r#type: "phone".into(), value: number.e164().into(), ..Identifier::default() };
                prop_assert_eq!(identifier::canonical(&identifier).unwrap().value, number.e164());
                prop_assert_eq!(parse(number.e164(), None).unwrap(), number.clone());
                prop_assert!(number.for_sending().e164().len() <= 16);
                prop_assert!(number.forms_to_look_for().contains(&number.for_sending().e164().to_owned()));
                let _digits = number.national_digits();
            }
        }
    }
}
