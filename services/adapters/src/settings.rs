//! Reads an adapter's settings, so that every adapter names a wrong key in the same words.

use omnigate_core::{account::Settings, port::adapter::Invalid};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Highest edit distance, as a share of similarity, at which a known key is offered for an unknown one.
const SIMILAR: f64 = 0.6;

/// Reads settings into a struct whose fields are all optional; `known` are its fields' names, `secret` those whose values
/// must not be repeated in a message.
pub(crate) fn read<T: DeserializeOwned>(settings: &Settings, known: &[&str], secret: &[&str]) -> Result<T, Invalid> {
    for key in settings.0.keys() {
        if !known.contains(&key.as_str()) {
            return Err(unknown(key, known));
        }
    }
    serde_json::from_value(Value::Object(settings.0.clone())).map_err(|error| {
        // serde does not say which field it was: the one that fails alone.
        let culprit = settings.0.iter().find_map(|(key, value)| {
            let alone = Map::from_iter([(key.clone(), value.clone())]);
            let error = serde_json::from_value::<T>(Value::Object(alone)).err()?;
            let problem = if secret.contains(&key.as_str()) {
                "has the wrong type".to_owned()
            } else {
                error.to_string()
            };
            Some(invalid(key, problem))
        });
        culprit.unwrap_or_else(|| invalid("settings", error.to_string()))
    })
}

/// A refused setting.
pub(crate) fn invalid(key: &str, problem: impl Into<String>) -> Invalid {
    Invalid {
        key: key.to_owned(),
        problem: problem.into(),
    }
}

fn unknown(key: &str, known: &[&str]) -> Invalid {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(key, candidate), candidate))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(similarity, _)| *similarity >= SIMILAR);
    match nearest {
        Some((_, candidate)) => invalid(key, format!("is not known; did you mean `{candidate}`?")),
        None => invalid(key, format!("is not known; known are {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct Example {
        token: Option<String>,
        wait_s: Option<u32>,
    }

    fn example(value: Value) -> Result<Example, Invalid> {
        let Value::Object(map) = value else {
            panic!("not an object")
        };
        read(&Settings(map), &["token", "wait_s"], &["token"])
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        let error = example(json!({ "tokn": "x" })).unwrap_err();
        assert_eq!(error.to_string(), "tokn: is not known; did you mean `token`?");
        let error = example(json!({ "colour": "x" })).unwrap_err();
        assert_eq!(error.to_string(), "colour: is not known; known are token, wait_s");
    }

    #[test]
    fn a_wrong_type_is_named_without_showing_a_secret() {
        let error = example(json!({ "token": 12_345, "wait_s": 1 })).unwrap_err();
        assert_eq!(error, invalid("token", "has the wrong type"));
        let error = example(json!({ "token": "x", "wait_s": "soon" })).unwrap_err();
        assert_eq!(error.key, "wait_s");
    }
}
