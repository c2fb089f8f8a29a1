//! Settings that an adapter reads for itself: any shape, secret references resolved anywhere inside.

use super::{
    node::{Node, join},
    secret,
    setting::{Row, Setting},
};
use omnigate_core::account::Settings;
use serde_json::Map;
use std::fmt;
use toml::{Table, Value};

/// An adapter's settings: as written, and with secrets resolved.
#[derive(Clone, Default)]
pub struct AdapterSettings {
    written: Table,
    /// What the adapter gets.
    pub resolved: Settings,
}

impl fmt::Debug for AdapterSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resolved.fmt(formatter)
    }
}

impl Setting for AdapterSettings {
    fn read(node: Node<'_>) -> Option<Self> {
        let Some(written) = node.value.as_table() else {
            return node.expected("a section");
        };
        let resolved = Settings(resolve_table(node, written)?);
        let written = written.clone();
        Some(Self { written, resolved })
    }

    fn absent(_: Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Table(self.written.clone()))
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        let (kind, default) = ("a section", String::new());
        rows.push(Row { kind, default, ..row });
    }
}

fn resolve_table(node: Node<'_>, table: &Table) -> Option<Map<String, serde_json::Value>> {
    let mut map = Map::new();
    let mut whole = true;
    for (name, value) in table {
        let key = join(node.key, name);
        match resolve(Node {
            key: &key,
            value,
            ..node
        }) {
            Some(value) => drop(map.insert(name.clone(), value)),
            None => whole = false,
        }
    }
    whole.then_some(map)
}

/// The value with references replaced by what they name. Nesting is bounded by the TOML parser.
fn resolve(node: Node<'_>) -> Option<serde_json::Value> {
    if let Some(table) = secret::reference(node.value) {
        return secret::resolve(node, table).map(Into::into);
    }
    Some(match node.value {
        Value::String(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Table(table) => resolve_table(node, table)?.into(),
        Value::Array(list) => {
            let items = list.iter().enumerate().map(|(place, value)| {
                let key = join(node.key, &place.to_string());
                resolve(Node {
                    key: &key,
                    value,
                    ..node
                })
            });
            items.collect::<Option<Vec<_>>>()?.into()
        }
    })
}

/// Hides every text that `is_secret` says is one; references stay readable, they hold no secret.
pub(crate) fn redact(settings: &mut Table, is_secret: &dyn Fn(&str) -> bool) {
    for (name, value) in settings.iter_mut() {
        hide(value, is_secret(name), is_secret);
    }
}

fn hide(value: &mut Value, hidden: bool, is_secret: &dyn Fn(&str) -> bool) {
    if secret::reference(value).is_some() {
        return;
    }
    match value {
        Value::Table(table) => {
            for (name, value) in table.iter_mut() {
                hide(value, hidden || is_secret(name), is_secret);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| hide(value, hidden, is_secret)),
        other if hidden => *other = Value::String("***".to_owned()),
        _ => {}
    }
}
