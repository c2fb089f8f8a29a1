//! Mobile numbers of Vietnam: who issued a prefix, and what became of the numbers with eleven digits.

/// Digits after the country code of today's mobile numbers.
const DIGITS: usize = 9;

/// An operator of Vietnam.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// Viettel.
    Viettel,
    /// MobiFone.
    MobiFone,
    /// Vinaphone, of VNPT.
    Vinaphone,
    /// Vietnamobile.
    Vietnamobile,
    /// Gmobile, of GTel.
    Gtel,
    /// iTel, on Vinaphone's network.
    Itel,
    /// Wintel, formerly Reddi, on Vinaphone's network.
    Wintel,
    /// Indochina Telecom.
    Indochina,
}

impl Operator {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viettel => "Viettel",
            Self::MobiFone => "MobiFone",
            Self::Vinaphone => "Vinaphone",
            Self::Vietnamobile => "Vietnamobile",
            Self::Gtel => "Gtel",
            Self::Itel => "iTel",
            Self::Wintel => "Wintel",
            Self::Indochina => "Indochina Telecom",
        }
    }

    /// Its `telcoid` at eSMS, if it has one.
    #[must_use]
    pub const fn telco_id(self) -> Option<u8> {
        match self {
            Self::Viettel => Some(1),
            Self::MobiFone => Some(2),
            Self::Vinaphone => Some(3),
            Self::Vietnamobile => Some(4),
            Self::Gtel => Some(5),
            Self::Itel => Some(6),
            Self::Wintel => Some(7),
            Self::Indochina => None,
        }
    }

    /// The operator of a `telcoid` of eSMS. That one knows where a number was ported to: it goes before any prefix.
    #[must_use]
    pub const fn of_telco_id(telco_id: u8) -> Option<Self> {
        match telco_id {
            1 => Some(Self::Viettel),
            2 => Some(Self::MobiFone),
            3 => Some(Self::Vinaphone),
            4 => Some(Self::Vietnamobile),
            5 => Some(Self::Gtel),
            6 => Some(Self::Itel),
            7 => Some(Self::Wintel),
            _ => None,
        }
    }

    /// Who issued a number, by the digits after the country code: a hint for routing, no more, because numbers can be
    /// ported since November 2018.
    #[must_use]
    pub(super) fn of_significant(number: &str) -> Option<Self> {
        if number.len() != DIGITS {
            return None;
        }
        match number.get(..3)? {
            "993" | "994" | "995" | "996" | "997" => return Some(Self::Gtel),
            "998" | "999" => return Some(Self::Indochina),
            _ => {}
        }
        match number.get(..2)? {
            "32" | "33" | "34" | "35" | "36" | "37" | "38" | "39" | "86" | "96" | "97" | "98" => Some(Self::Viettel),
            "81" | "82" | "83" | "84" | "85" | "88" | "91" | "94" => Some(Self::Vinaphone),
            "30" | "51" | "70" | "76" | "77" | "78" | "79" | "89" | "90" | "93" => Some(Self::MobiFone),
            "52" | "56" | "58" | "92" => Some(Self::Vietnamobile),
            "59" => Some(Self::Gtel),
            "87" => Some(Self::Itel),
            "55" => Some(Self::Wintel),
            _ => None,
        }
    }
}

/// Former and present prefix of the mobile numbers that lost a digit on 15 September 2018.
const MOVED: &[(&str, &str)] = &[
    ("120", "70"),
    ("121", "79"),
    ("122", "77"),
    ("123", "83"),
    ("124", "84"),
    ("125", "85"),
    ("126", "76"),
    ("127", "81"),
    ("128", "78"),
    ("129", "82"),
    ("162", "32"),
    ("163", "33"),
    ("164", "34"),
    ("165", "35"),
    ("166", "36"),
    ("167", "37"),
    ("168", "38"),
    ("169", "39"),
    ("186", "56"),
    ("188", "58"),
    ("199", "59"),
];

/// What a former number became, both as digits after the country code.
pub(super) fn present(number: &str) -> Option<String> {
    let moved = |(former, present): &(&str, &str)| Some(format!("{present}{}", number.strip_prefix(former)?));
    (number.len() == DIGITS + 1)
        .then(|| MOVED.iter().find_map(moved))
        .flatten()
}

/// What a number was before, if its prefix is one that former numbers moved to.
pub(super) fn former(number: &str) -> Option<String> {
    let moved = |(former, present): &(&str, &str)| Some(format!("{former}{}", number.strip_prefix(present)?));
    (number.len() == DIGITS).then(|| MOVED.iter().find_map(moved)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hint_at_operators() {
        for (prefix, operator) in [
            ("32", Operator::Viettel),
            ("39", Operator::Viettel),
            ("86", Operator::Viettel),
            ("98", Operator::Viettel),
            ("81", Operator::Vinaphone),
            ("91", Operator::Vinaphone),
            ("70", Operator::MobiFone),
            ("90", Operator::MobiFone),
            ("56", Operator::Vietnamobile),
            ("59", Operator::Gtel),
            ("87", Operator::Itel),
            ("55", Operator::Wintel),
            ("993", Operator::Gtel),
            ("998", Operator::Indochina),
        ] {
            let number = format!("{prefix:0<9}");
            assert_eq!(Operator::of_significant(&number), Some(operator), "{number}");
        }
        for number in [
            "",
            "9",
            "28",
            "990000000",
            "281234567",
            "91234567",
            "9123456789",
            "đđđđ",
        ] {
            assert_eq!(Operator::of_significant(number), None, "{number}");
        }
        for telco_id in 1..=7 {
            assert_eq!(Operator::of_telco_id(telco_id).unwrap().telco_id(), Some(telco_id));
        }
        assert_eq!((Operator::of_telco_id(0), Operator::of_telco_id(9)), (None, None));
    }

    #[test]
    fn former_prefixes_became_present_ones() {
        assert_eq!(present("1621234567").as_deref(), Some("321234567"));
        assert_eq!(present("1991234567").as_deref(), Some("591234567"));
        assert_eq!(former("321234567").as_deref(), Some("1621234567"));
        for number in ["", "912345678", "1611234567", "162123456", "16212345678"] {
            assert_eq!(present(number), None, "{number}");
        }
        assert_eq!(former("912345678"), None);
        for (old, _) in MOVED {
            let number = format!("{old}1234567");
            assert_eq!(
                former(&present(&number).unwrap()).as_deref(),
                Some(number.as_str()),
                "no two became one"
            );
        }
    }

    #[test]
    fn numbers_stayed_with_their_operator() {
        let operator = |old: &str| Operator::of_significant(&present(&format!("{old}1234567")).unwrap());
        assert_eq!(operator("168"), Some(Operator::Viettel));
        assert_eq!(operator("121"), Some(Operator::MobiFone));
        assert_eq!(operator("127"), Some(Operator::Vinaphone));
        assert_eq!(operator("188"), Some(Operator::Vietnamobile));
        assert_eq!(operator("199"), Some(Operator::Gtel));
    }
}
