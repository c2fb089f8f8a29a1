//! Reads a template from a file.

use anyhow::{Context as _, bail};
use omnigate_proto::v1::TemplateDefinition;
use serde_json::{Map, Value};
use std::io::Read as _;

/// Largest file, in bytes; a definition is smaller.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Fields whose values may be written without the prefix of the contract's names, and that prefix.
const WORDS: &[(&str, &str)] = &[
    ("purpose", "PURPOSE_"),
    ("type", "TEMPLATE_VARIABLE_TYPE_"),
    ("format", "TEXT_FORMAT_"),
];
/// Fields that hold text, also where somebody writes a number or a date.
const TEXTS: &[&str] = &["default_value", "defaultValue", "sample"];

/// The definition in a file, or on standard input for `-`.
pub(super) fn definition(file: &str) -> anyhow::Result<TemplateDefinition> {
    let (name, text) = text(file)?;
    read(&text).with_context(|| format!("{name} is no template"))
}

/// What a file holds, or standard input for `-`, and what people call that.
pub(crate) fn text(file: &str) -> anyhow::Result<(&str, String)> {
    let mut bytes = Vec::new();
    let name = match file {
        "-" => {
            std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            "standard input"
        }
        path => {
            let opened = std::fs::File::open(path).with_context(|| format!("{path} cannot be read"))?;
            opened.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            path
        }
    };
    if bytes.len() as u64 > MAX_FILE {
        bail!("{name} is larger than {} MiB", MAX_FILE / 1024 / 1024);
    }
    let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
    Ok((name, text))
}

/// Reads JSON, which begins with a brace, or TOML, which cannot.
pub(crate) fn from_text(text: &str) -> anyhow::Result<Value> {
    Ok(
        match text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            true => serde_json::from_str(text.trim_start_matches('\u{feff}'))?,
            false => from_toml(toml::Value::Table(toml::from_str(text)?)),
        },
    )
}

fn read(text: &str) -> anyhow::Result<TemplateDefinition> {
    let Value::Object(mut fields) = from_text(text)? else {
        bail!("it must have fields");
    };
    // What `get` prints has it inside.
    let written = match fields.remove("definition") {
        Some(inside) => inside,
        None => Value::Object(fields),
    };
    Ok(serde_json::from_value(named(written))?)
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            let fields = table.into_iter().map(|(name, value)| (name, from_toml(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// The same with the contract's names of values.
fn named(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = match value {
                    Value::String(text) => Value::String(word(&name, text)),
                    Value::Number(_) | Value::Bool(_) if TEXTS.contains(&name.as_str()) => {
                        Value::String(value.to_string())
                    }
                    // Names of parameters are the provider's.
                    Value::Object(_) if name == "parameters" => value,
                    other => named(other),
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(values) => values.into_iter().map(named).collect(),
        other => other,
    }
}

fn word(field: &str, text: String) -> String {
    match WORDS.iter().find(|(name, _)| *name == field) {
        Some((_, prefix)) if !text.starts_with(prefix) => format!("{prefix}{}", text.to_uppercase().replace('-', "_")),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::template_variable::WhenMissing;
    use omnigate_proto::v1::template_variant::Content;
    use omnigate_proto::v1::{Purpose, TemplateVariableType};

    const FILE: &str = r#"
        display_name = "Order shipped"
        purpose = "service"

        [[variables]]
        name = "name"
        type = "text"
        required = true

        [[variables]]
        name = "total"
        type = "money"
        currency = "VND"
        default_value = 0
        sample = 1250000

        [[variables]]
        name = "due"
        type = "date-time"
        default_value = 2026-11-30T08:00:00Z

        [[variants]]
        locale = "vi"
        channel = "sms"
        sms.text = "Chào {{ name }}"
        sms.without_accents = true

        [[variants]]
        locale = "vi"
        channel = "zalo"
        rich.provider_template = { template_id = "1", parameters = { type = "money", name = "{{ name }}" } }
    "#;

    #[test]
    fn a_file_is_read_as_people_write_it() {
        let read = read(FILE).unwrap();
        assert_eq!(read.purpose(), Purpose::Service);
        let total = &read.variables[1];
        assert_eq!(
            (total.r#type(), total.sample.as_str(), &total.when_missing),
            (
                TemplateVariableType::Money,
                "1250000",
                &Some(WhenMissing::DefaultValue("0".to_owned()))
            )
        );
        assert_eq!(read.variables[2].r#type(), TemplateVariableType::DateTime);
        assert_eq!(
            read.variables[2].when_missing,
            Some(WhenMissing::DefaultValue("2026-11-30T08:00:00Z".to_owned()))
        );
        let Some(Content::Rich(rich)) = &read.variants[1].content else {
            panic!("{read:?}");
        };
        let parameters = &rich.provider_template.as_ref().unwrap().parameters;
        assert_eq!(parameters["type"], "money", "a provider's names stay as they are");
        assert!(matches!(&read.variants[0].content, Some(Content::Sms(sms)) if sms.without_accents));
    }

    #[test]
    fn what_was_printed_is_read_again() {
        let once = read(FILE).unwrap();
        let template = omnigate_proto::v1::Template {
            definition: Some(once.clone()),
            ..omnigate_proto::v1::Template::default()
        };
        let printed = serde_json::to_string(&template).unwrap();
        assert_eq!(read(&printed).unwrap(), once);
        let printed = serde_json::to_string(&once).unwrap();
        assert_eq!(read(&printed).unwrap(), once);
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for (text, named) in [
            ("title = \"x\"", "title"),
            ("purpose = \"advertising\"", "PURPOSE_ADVERTISING"),
            ("{ \"variants\": 5 }", "invalid type"),
            ("purpose = ", "line 1"),
            ("{", "EOF"),
        ] {
            let problem = format!("{:#}", read(text).unwrap_err());
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }
}
