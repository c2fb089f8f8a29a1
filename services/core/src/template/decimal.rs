//! Numbers as people write them: exact, never in floating point.

use std::fmt;

/// Most digits before the point.
const WHOLE: usize = 15;
/// Most digits behind it.
pub(super) const DECIMALS: usize = 6;
/// Millionths of one.
const MICROS: i128 = 1_000_000;

/// A number with at most 15 digits before the point and 6 behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Decimal {
    micros: i128,
}

impl Decimal {
    /// Reads digits with at most one point and a minus before them; nothing else, so that `1.250` of one country is never
    /// taken for that of another one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, behind) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |digits: &str, most: usize| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole, WHOLE) || !is_number(behind, DECIMALS) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let behind: i128 = format!("{behind:0<DECIMALS$}").parse().ok()?;
        let micros = whole * MICROS + behind;
        Some(Self {
            micros: if is_negative { -micros } else { micros },
        })
    }

    /// The nearest one to what a calculation came to; none beyond the most digits.
    pub(crate) fn from_f64(number: f64) -> Option<Self> {
        Self::parse(&format!("{number:.DECIMALS$}"))
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.micros == 0
    }

    pub(crate) const fn is_negative(self) -> bool {
        self.micros < 0
    }

    /// The number when it is a whole one.
    pub(crate) fn as_whole(self) -> Option<i64> {
        (self.micros % MICROS == 0)
            .then(|| i64::try_from(self.micros / MICROS).ok())
            .flatten()
    }

    /// How many digits behind the point it needs.
    pub(crate) fn decimals(self) -> usize {
        let mut behind = self.micros.unsigned_abs() % MICROS.unsigned_abs();
        let mut needed = DECIMALS;
        while needed > 0 && behind.is_multiple_of(10) {
            behind /= 10;
            needed -= 1;
        }
        needed
    }

    /// With so many digits behind the point, halves away from zero.
    pub(crate) fn rounded(self, decimals: usize) -> Self {
        let beyond = DECIMALS.saturating_sub(decimals);
        let unit = (0..beyond).fold(1_i128, |unit, _| unit * 10);
        let half = unit / 2;
        let away = if self.is_negative() { -half } else { half };
        Self {
            micros: (self.micros + away) / unit * unit,
        }
    }

    /// The digits before the point, without a sign, and exactly so many behind it.
    pub(crate) fn digits(self, decimals: usize) -> (String, String) {
        let micros = self.rounded(decimals).micros.unsigned_abs();
        let one = MICROS.unsigned_abs();
        let mut behind = format!("{:0DECIMALS$}", micros % one);
        behind.truncate(decimals);
        ((micros / one).to_string(), behind)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, behind) = self.digits(self.decimals());
        let sign = if self.is_negative() { "-" } else { "" };
        match behind.as_str() {
            "" => write!(formatter, "{sign}{whole}"),
            behind => write!(formatter, "{sign}{whole}.{behind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_exact() {
        for text in ["0", "7", "-12.5", "999999999999999.999999", "0.000001"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1.50").to_string(), "1.5");
        assert_eq!((number("-0"), number("007")), (number("0"), number("7")));
        assert_eq!(number("2.5").rounded(0), number("3"));
        assert_eq!(number("-2.5").rounded(0), number("-3"));
        assert_eq!(number("1.005").digits(2), ("1".to_owned(), "01".to_owned()));
        assert_eq!(Decimal::from_f64(0.1 + 0.2), Some(number("0.3")));
        assert_eq!(Decimal::from_f64(f64::NAN), None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_number() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1,5",
            "1.250.000",
            "+1",
            "1e3",
            " 1",
            "١",
            "1234567890123456",
            "0.1234567",
            "--1",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in -999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999) {
            let number = Decimal { micros };
            prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
        }

        #[test]
        fn any_text_is_a_number_or_none(text in "[-+0-9.,e ]{0,24}") {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
            }
        }
    }
}
