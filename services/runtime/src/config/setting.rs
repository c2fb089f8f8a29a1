//! Kinds of values a key can have: how each is read, shown and described.

use super::node::{Node, join};
use std::{collections::BTreeMap, path::PathBuf};
use toml::Value;

/// A line of the configuration reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// Key path; `<id>` stands for a name of the operator's choice, `0` for a place in a list.
    pub(crate) key: String,
    /// What kind of value it takes; empty for the heading of a section.
    pub(crate) kind: &'static str,
    /// Default as TOML, `required`, or empty for none.
    pub(crate) default: String,
    /// What it means.
    pub(crate) meaning: String,
}

/// What a key can hold.
pub(crate) trait Setting: Sized {
    /// Reads the value; problems are noted at the source.
    fn read(node: Node<'_>) -> Option<Self>;

    /// What holds when the key is not there and has no default.
    fn absent(node: Node<'_>) -> Option<Self> {
        node.source.wrong(node.key, "is missing");
        None
    }

    /// The value as TOML with secrets hidden; `None` when there is nothing to show.
    fn show(&self) -> Option<Value>;

    /// Adds what the reference says about the key.
    fn describe(rows: &mut Vec<Row>, row: Row);
}

/// A value that one line describes.
macro_rules! plain {
    ($type:ty, $kind:literal, $read:expr, $show:expr) => {
        impl Setting for $type {
            fn read(node: Node<'_>) -> Option<Self> {
                let read: fn(&Node<'_>) -> Option<Self> = $read;
                read(&node).or_else(|| node.expected($kind))
            }

            fn show(&self) -> Option<Value> {
                let show: fn(&Self) -> Value = $show;
                Some(show(self))
            }

            fn describe(rows: &mut Vec<Row>, row: Row) {
                rows.push(Row { kind: $kind, ..row });
            }
        }
    };
}
pub(crate) use plain;

/// A number: as TOML, or as the text of an environment variable.
fn whole<T: TryFrom<i64>>(node: &Node<'_>) -> Option<T> {
    let number = match node.variable_text() {
        Some(text) => text.trim().parse().ok()?,
        None => node.value.as_integer()?,
    };
    T::try_from(number).ok()
}

fn number(node: &Node<'_>) -> Option<f64> {
    let number = match node.variable_text() {
        Some(text) => text.trim().parse().ok()?,
        None => node.value.as_float().or_else(|| whole::<i32>(node).map(f64::from))?,
    };
    f64::is_finite(number).then_some(number)
}

fn truth(node: &Node<'_>) -> Option<bool> {
    match node.variable_text() {
        Some(text) => text.trim().parse().ok(),
        None => node.value.as_bool(),
    }
}

fn text(node: &Node<'_>) -> Option<String> {
    node.value.as_str().map(ToOwned::to_owned)
}

fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

plain!(u16, "a whole number from 0 to 65535", whole, |v| integer(*v));
plain!(u32, "a whole number from 0 to 4294967295", whole, |v| integer(*v));
plain!(u64, "a whole number", whole, |v| integer(*v));
plain!(f64, "a number", number, |v| Value::Float(*v));
plain!(bool, "true or false", truth, |v| Value::Boolean(*v));
plain!(String, "text", text, |v| Value::String(v.clone()));
plain!(PathBuf, "a path", |node| text(node).map(PathBuf::from), |v| {
    Value::String(v.display().to_string())
});

/// A list of words: as TOML, or separated by commas in an environment variable.
fn words(node: &Node<'_>) -> Option<Vec<String>> {
    if let Some(text) = node.variable_text() {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        return Some(words.map(ToOwned::to_owned).collect());
    }
    let list = node.value.as_array()?;
    list.iter().map(|word| word.as_str().map(ToOwned::to_owned)).collect()
}

plain!(Vec<String>, "a list of texts", words, |v| {
    Value::Array(v.iter().cloned().map(Value::String).collect())
});

impl<T: Setting> Setting for Option<T> {
    fn read(node: Node<'_>) -> Option<Self> {
        T::read(node).map(Some)
    }

    fn absent(_: Node<'_>) -> Option<Self> {
        Some(None)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref()?.show()
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        let default = String::new();
        T::describe(rows, Row { default, ..row });
    }
}

/// Sections that the operator names.
impl<T: Setting> Setting for BTreeMap<String, T> {
    fn read(node: Node<'_>) -> Option<Self> {
        let Some(table) = node.value.as_table() else {
            return node.expected("a section");
        };
        let mut read = Self::new();
        let mut whole = true;
        for (name, value) in table {
            let key = join(node.key, name);
            match T::read(Node {
                key: &key,
                value,
                ..node
            }) {
                Some(value) => drop(read.insert(name.clone(), value)),
                None => whole = false,
            }
        }
        whole.then_some(read)
    }

    fn absent(_: Node<'_>) -> Option<Self> {
        Some(Self::new())
    }

    fn show(&self) -> Option<Value> {
        let shown = self
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.show()?)));
        Some(Value::Table(shown.collect()))
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        let key = join(&row.key, "<id>");
        let default = String::new();
        T::describe(rows, Row { key, default, ..row });
    }
}

/// A list of sections (`[[name]]`).
#[derive(Clone, Debug, Default)]
pub struct List<T>(pub Vec<T>);

impl<T: Setting> Setting for List<T> {
    fn read(node: Node<'_>) -> Option<Self> {
        let Some(list) = node.value.as_array() else {
            return node.expected("a list of sections");
        };
        let mut read = Vec::new();
        let mut whole = true;
        for (place, value) in list.iter().enumerate() {
            let key = join(node.key, &place.to_string());
            match T::read(Node {
                key: &key,
                value,
                ..node
            }) {
                Some(value) => read.push(value),
                None => whole = false,
            }
        }
        whole.then_some(Self(read))
    }

    fn absent(_: Node<'_>) -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.0.iter().filter_map(Setting::show).collect()))
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        let key = join(&row.key, "0");
        let default = String::new();
        T::describe(rows, Row { key, default, ..row });
    }
}
