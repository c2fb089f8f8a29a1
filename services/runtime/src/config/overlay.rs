//! Environment variables over the file: `OMNIGATE__SECTION__KEY`.

use std::collections::BTreeMap;
use toml::{Table, Value};

/// What every variable that sets a key begins with. Command-line variables (`OMNIGATE_TOKEN`) have one underscore only.
const PREFIX: &str = "OMNIGATE__";

/// Longest list that variables can extend; more is a mistake.
const MAX_LIST: usize = 1000;

/// Writes each variable into the table; answers which variable set which key path, and which variables say nothing.
pub(crate) fn apply(root: &mut Table, env: &BTreeMap<String, String>) -> (BTreeMap<String, String>, Vec<String>) {
    let mut variables = BTreeMap::new();
    let mut senseless = Vec::new();
    for (variable, text) in env {
        let Some(rest) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let names: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        match set(root, &names, text) {
            Some(key) => drop(variables.insert(key, variable.clone())),
            None => senseless.push(variable.clone()),
        }
    }
    (variables, senseless)
}

/// Sets one key; answers its path as the configuration spells it, or `None` when the name cannot be a path.
fn set(root: &mut Table, names: &[String], text: &str) -> Option<String> {
    if names.iter().any(String::is_empty) {
        return None;
    }
    let free = names.len() > 3 && matches!(names[0].as_str(), "accounts" | "apps") && names[2] == "settings";
    let (last, sections) = names.split_last()?;
    let mut path: Vec<String> = Vec::new();
    let mut table = root;
    let mut sections = sections.iter().peekable();
    while let Some(section) = sections.next() {
        let name = spelled(table, section);
        path.push(name.clone());
        let is_list = path.len() == 1 && name == "tokens";
        let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        table = if is_list {
            let place = sections.next()?;
            path.push(place.clone());
            list_entry(entry, place.parse().ok()?)?
        } else {
            as_table(entry)?
        };
    }
    let name = spelled(table, last);
    path.push(name.clone());
    let value = if free {
        loose(table.get(&name), text)
    } else {
        Value::String(text.to_owned())
    };
    table.insert(name, value);
    Some(path.join("."))
}

/// The name as the file spells it: environment variables can hold neither lower case nor `-` everywhere.
fn spelled(table: &Table, name: &str) -> String {
    let plain = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let same = table.keys().find(|key| key.as_str() == name);
    let alike = same.or_else(|| table.keys().find(|key| plain(key) == plain(name)));
    alike.cloned().unwrap_or_else(|| name.to_owned())
}

/// The section in an entry; a plain value in its place gives way, as the variable says that it is a section.
fn as_table(entry: &mut Value) -> Option<&mut Table> {
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    entry.as_table_mut()
}

/// The section at a place of a list, which may be the one after the last.
fn list_entry(entry: &mut Value, place: usize) -> Option<&mut Table> {
    if !entry.is_array() {
        *entry = Value::Array(Vec::new());
    }
    let list = entry.as_array_mut()?;
    if place == list.len() && place < MAX_LIST {
        list.push(Value::Table(Table::new()));
    }
    as_table(list.get_mut(place)?)
}

/// The value of an adapter's setting, whose kind we do not know: text where the file has text, else what TOML makes of it,
/// else text. Digits that must stay text are given in quotes.
fn loose(present: Option<&Value>, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    if present.is_some_and(Value::is_str) {
        return as_text();
    }
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    let parsed = parsed.ok().filter(|table| table.len() == 1);
    parsed
        .and_then(|mut table| table.remove("value"))
        .filter(|value| !value.is_datetime())
        .unwrap_or_else(as_text)
}
