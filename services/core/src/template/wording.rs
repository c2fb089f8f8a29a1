//! How languages write numbers, money and time.

use super::decimal::Decimal;
use jiff::civil::{Date, Weekday};

/// Currencies without a smaller unit.
const WHOLE_ONLY: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
];
/// Currencies whose smaller unit is a thousandth.
const THOUSANDTHS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// Digits that a currency has behind the point.
pub(crate) fn decimals_of(currency: &str) -> usize {
    match currency {
        whole if WHOLE_ONLY.contains(&whole) => 0,
        thousandths if THOUSANDTHS.contains(&thousandths) => 3,
        _ => 2,
    }
}

/// How an amount names its currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MoneyStyle {
    /// `₫`, where the language has a sign for it.
    Symbol,
    /// `VND`.
    Code,
    /// Not at all.
    Bare,
}

/// The customs of a language.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wording {
    /// Vietnamese.
    Vietnamese,
    /// English.
    English,
    /// Any other: what nobody takes for something else.
    Neutral,
}

impl Wording {
    /// That of a language tag.
    pub(crate) fn of(locale: &str) -> Self {
        match super::locale::language(locale).to_ascii_lowercase().as_str() {
            "vi" => Self::Vietnamese,
            "en" => Self::English,
            _ => Self::Neutral,
        }
    }

    /// What stands between thousands, and before the digits behind the point.
    const fn marks(self) -> (char, char) {
        match self {
            Self::Vietnamese => ('.', ','),
            Self::English => (',', '.'),
            // A space is no point in any language.
            Self::Neutral => (' ', '.'),
        }
    }

    /// A number with its thousands set apart; with as many digits behind the point as it needs when none are asked for.
    pub(crate) fn number(self, number: Decimal, decimals: Option<usize>) -> String {
        let number = decimals.map_or(number, |decimals| number.rounded(decimals));
        let (whole, behind) = number.digits(decimals.unwrap_or_else(|| number.decimals()));
        let (thousands, point) = self.marks();
        let mut text = String::with_capacity(whole.len() * 2 + behind.len());
        if number.is_negative() {
            text.push('-');
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(thousands);
            }
            text.push(digit);
        }
        if !behind.is_empty() {
            text.push(point);
            text.push_str(&behind);
        }
        text
    }

    fn symbol(self, currency: &str) -> Option<&'static str> {
        Some(match (currency, self) {
            ("VND", _) => "₫",
            ("EUR", _) => "€",
            ("GBP", _) => "£",
            ("USD", Self::English) => "$",
            ("USD", Self::Vietnamese) => "US$",
            _ => return None,
        })
    }

    /// An amount of a currency.
    pub(crate) fn money(self, amount: Decimal, currency: &str, style: MoneyStyle) -> String {
        let decimals = match (decimals_of(currency), amount.as_whole(), self) {
            // Round sums are written without their nought pennies, but in English.
            (_, Some(_), Self::Vietnamese) => 0,
            (decimals, ..) => decimals,
        };
        let number = self.number(amount, Some(decimals));
        let symbol = self.symbol(currency).filter(|_| style == MoneyStyle::Symbol);
        match (style, symbol, self) {
            (MoneyStyle::Bare, ..) => number,
            (_, Some(symbol), Self::English) => match number.strip_prefix('-') {
                Some(number) => format!("-{symbol}{number}"),
                None => format!("{symbol}{number}"),
            },
            (_, Some(symbol), _) => format!("{number} {symbol}"),
            (_, None, _) => format!("{number} {currency}"),
        }
    }

    /// Pattern of a day, as `strftime` has them.
    pub(crate) const fn date_pattern(self) -> &'static str {
        match self {
            Self::Vietnamese => "%d/%m/%Y",
            // Days and months in figures mean one thing in London and another in New York.
            Self::English => "%-d %b %Y",
            Self::Neutral => "%Y-%m-%d",
        }
    }

    /// Pattern of a moment.
    pub(crate) const fn moment_pattern(self) -> &'static str {
        match self {
            Self::Vietnamese => "%H:%M %d/%m/%Y",
            Self::English => "%-d %b %Y, %H:%M",
            Self::Neutral => "%Y-%m-%d %H:%M",
        }
    }

    /// Name of the day of the week.
    pub(crate) fn weekday(self, date: Date) -> &'static str {
        let (vietnamese, english) = match date.weekday() {
            Weekday::Monday => ("Thứ Hai", "Monday"),
            Weekday::Tuesday => ("Thứ Ba", "Tuesday"),
            Weekday::Wednesday => ("Thứ Tư", "Wednesday"),
            Weekday::Thursday => ("Thứ Năm", "Thursday"),
            Weekday::Friday => ("Thứ Sáu", "Friday"),
            Weekday::Saturday => ("Thứ Bảy", "Saturday"),
            Weekday::Sunday => ("Chủ Nhật", "Sunday"),
        };
        match self {
            Self::Vietnamese => vietnamese,
            Self::English | Self::Neutral => english,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(locale: &str, amount: &str, currency: &str, style: MoneyStyle) -> String {
        Wording::of(locale).money(Decimal::parse(amount).unwrap(), currency, style)
    }

    #[test]
    fn money_is_written_as_the_language_does() {
        for (locale, amount, currency, written) in [
            ("vi", "1250000", "VND", "1.250.000 ₫"),
            ("vi-VN", "0", "VND", "0 ₫"),
            ("vi", "-50000", "VND", "-50.000 ₫"),
            ("vi", "1234.5", "USD", "1.234,50 US$"),
            ("vi", "100", "USD", "100 US$"),
            ("vi", "12.345", "KWD", "12,345 KWD"),
            ("en", "1250000", "VND", "₫1,250,000"),
            ("en-GB", "1234.5", "USD", "$1,234.50"),
            ("en", "-3", "GBP", "-£3.00"),
            ("en", "999", "THB", "999.00 THB"),
            ("th", "1250000", "THB", "1 250 000.00 THB"),
        ] {
            assert_eq!(money(locale, amount, currency, MoneyStyle::Symbol), written);
        }
        assert_eq!(money("vi", "1250000", "VND", MoneyStyle::Code), "1.250.000 VND");
        assert_eq!(money("vi", "1250000", "VND", MoneyStyle::Bare), "1.250.000");
    }

    #[test]
    fn numbers_are_grouped_from_the_point() {
        let written = |locale, number, decimals| Wording::of(locale).number(Decimal::parse(number).unwrap(), decimals);
        assert_eq!(written("vi", "999", None), "999");
        assert_eq!(written("vi", "1000", None), "1.000");
        assert_eq!(written("vi", "-1234567.875", None), "-1.234.567,875");
        assert_eq!(written("vi", "1234567.875", Some(1)), "1.234.567,9");
        assert_eq!(written("en", "1234567.875", Some(2)), "1,234,567.88");
        assert_eq!(written("vi", "-0.4", Some(0)), "0", "no minus before nought");
        assert_eq!(written("de", "1000.5", None), "1 000.5");
    }
}
