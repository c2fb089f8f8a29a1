//! Money, in millionths of a currency; never in floating point.

use std::fmt;

/// Decimals of a price.
const DECIMALS: usize = 6;
/// Millionths of one unit.
const MICROS: u64 = 1_000_000;
/// Most units of one price, so that sums stay far from overflow.
const MAX_UNITS: u64 = 1_000_000_000;

/// Why a text is no price.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAPrice {
    /// Not digits with at most one point.
    #[error("a price must be digits with at most six decimals, such as 0.02")]
    Amount,
    /// More than a billion.
    #[error("a price must be at most 1000000000")]
    TooLarge,
    /// Not three letters.
    #[error("a currency must be three letters of ISO 4217, such as VND")]
    Currency,
}

/// An amount of a currency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    micros: u128,
    currency: String,
}

impl Price {
    /// Reads an amount such as `0.02` and a currency such as `USD`.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, NotAPrice> {
        let currency = currency.trim().to_ascii_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(NotAPrice::Currency);
        }
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(NotAPrice::Amount);
        }
        let units: u64 = whole.parse().map_err(|_| NotAPrice::TooLarge)?;
        let micros: u64 = format!("{decimals:0<DECIMALS$}")
            .parse()
            .map_err(|_| NotAPrice::Amount)?;
        if units > MAX_UNITS || (units == MAX_UNITS && micros > 0) {
            return Err(NotAPrice::TooLarge);
        }
        Ok(Self {
            micros: u128::from(units * MICROS + micros),
            currency,
        })
    }

    /// Millionths of the currency's unit.
    #[must_use]
    pub const fn micros(&self) -> u128 {
        self.micros
    }

    /// ISO 4217.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The amount alone, without needless zeros.
    #[must_use]
    pub fn amount(&self) -> String {
        let micros = u128::from(MICROS);
        let text = format!("{}.{:0DECIMALS$}", self.micros / micros, self.micros % micros);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// So many times the price.
    #[must_use]
    pub fn times(&self, count: usize) -> Self {
        Self {
            micros: self.micros.saturating_mul(count as u128),
            currency: self.currency.clone(),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_exact() {
        let price = |amount| Price::parse(amount, "usd").unwrap();
        assert_eq!(price("0.02").micros(), 20_000);
        assert_eq!(price("0.02").times(3).to_string(), "0.06 USD");
        assert_eq!(price("0.1").times(3).amount(), "0.3");
        assert_eq!(price("850").times(2).amount(), "1700");
        assert_eq!(price("0").amount(), "0");
        assert_eq!(price("0.000001").amount(), "0.000001");
        assert_eq!(price("1000000000").times(usize::MAX).currency(), "USD");
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for amount in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1,5",
            "1e3",
            "0.0000001",
            "1.2.3",
            " 1",
            "٣",
        ] {
            assert_eq!(Price::parse(amount, "USD"), Err(NotAPrice::Amount), "{amount:?}");
        }
        for amount in ["1000000000.000001", "1000000001", "99999999999999999999999"] {
            assert_eq!(Price::parse(amount, "USD"), Err(NotAPrice::TooLarge), "{amount}");
        }
        for currency in ["", "US", "USDT", "U$D", "đồng"] {
            assert_eq!(Price::parse("1", currency), Err(NotAPrice::Currency), "{currency}");
        }
    }

    proptest! {
        #[test]
        fn any_amount_is_read_or_refused(amount in "[0-9.,e+-]{0,24}") {
            if let Ok(price) = Price::parse(&amount, "VND") {
                prop_assert_eq!(Price::parse(&price.amount(), "VND"), Ok(price));
            }
        }
    }
}
