//! Other ways in which networks write one mobile number. They are looked up, and never put in the number's place: rewriting
//! turned landlines into somebody's mobile (Chatwoot 14657).

use omnigate_proto::v1::Identifier;

/// The other forms of a canonical phone number; empty for landlines and for countries with one form.
#[must_use]
pub fn variants(identifier: &Identifier) -> Vec<Identifier> {
    let forms = match identifier.r#type.as_str() {
        "phone" => forms(&identifier.value),
        _ => None,
    };
    let other = |value| Identifier {
        value,
        ..identifier.clone()
    };
    forms.into_iter().map(other).collect()
}

fn forms(number: &str) -> Option<String> {
    let national = |code| number.strip_prefix(code);
    if let Some(national) = national("+55") {
        // Brazil put a 9 before mobile numbers, which begin with 6 to 9; those of landlines begin with 2 to 5.
        let (area, subscriber) = national.split_at_checked(2)?;
        return match (subscriber.len(), subscriber.as_bytes().first()?) {
            (8, b'6'..=b'9') => Some(format!("+55{area}9{subscriber}")),
            (9, b'9') if matches!(subscriber.as_bytes().get(1)?, b'6'..=b'9') => {
                Some(format!("+55{area}{}", &subscriber[1..]))
            }
            _ => None,
        };
    }
    if let Some(national) = national("+52") {
        // Mexico had a 1 before mobile numbers when dialled from abroad.
        return match (national.len(), national.strip_prefix('1')) {
            (11, Some(subscriber)) => Some(format!("+52{subscriber}")),
            (10, _) => Some(format!("+521{national}")),
            _ => None,
        };
    }
    if let Some(national) = national("+54") {
        // Argentina has a 9 before mobile numbers when dialled from abroad.
        return match (national.len(), national.strip_prefix('9')) {
            (11, Some(subscriber)) => Some(format!("+54{subscriber}")),
            (10, _) => Some(format!("+549{national}")),
            _ => None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Vec<String> {
        let phone = Identifier {
            r#type: "phone".into(),
            scope: String::new(),
            value: value.into(),
        };
        variants(&phone).into_iter().map(|other| other.value).collect()
    }

    #[test]
    fn mobile_numbers_have_their_other_form_and_it_leads_back() {
        for (one, other) in [
            ("+5511987654321", "+551187654321"),
            ("+5215512345678", "+525512345678"),
            ("+5491123456789", "+541123456789"),
        ] {
            assert_eq!(of(one), [other]);
            assert_eq!(of(other), [one]);
        }
    }

    #[test]
    fn landlines_and_other_countries_have_one_form() {
        for number in ["+551133334444", "+84912345678", "+14155550123", "+5511", "+52"] {
            assert!(of(number).is_empty(), "{number}");
        }
    }

    #[test]
    fn other_types_have_one_form() {
        let mail = Identifier {
            r#type: "email".into(),
            scope: String::new(),
            value: "+5511987654321".into(),
        };
        assert!(variants(&mail).is_empty());
    }
}
