//! Reading a merged table of file and environment, key by key, collecting everything that is wrong.

use super::problem::{Origin, Problem};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::Value;

/// What a configuration is read from.
pub(crate) struct Source<'a> {
    /// The file, if there is one.
    pub(crate) file: Option<&'a Path>,
    /// The environment, for secrets.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Key paths that an environment variable set, with its name.
    pub(crate) variables: BTreeMap<String, String>,
    /// What is wrong.
    pub(crate) problems: RefCell<Vec<Problem>>,
    /// Stands for a section that nobody wrote.
    pub(crate) nothing: Value,
}

impl Source<'_> {
    /// Notes a problem.
    pub(crate) fn wrong(&self, key: &str, what: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            origin: self.origin(key),
            key: key.to_owned(),
            what: what.into(),
        });
    }

    /// Who set a key, or something beneath it.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        let beneath = |path: &str| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        let variable = self.variables.iter().find(|(path, _)| beneath(path));
        match (variable, self.file) {
            (Some((_, name)), _) => Origin::Variable(name.clone()),
            (None, Some(file)) => Origin::File(file.to_owned()),
            (None, None) => Origin::Nowhere,
        }
    }

    /// Folder that paths of secret files are relative to: the configuration file's.
    pub(crate) fn folder(&self) -> PathBuf {
        let parent = self.file.and_then(Path::parent);
        parent.map(Path::to_path_buf).unwrap_or_default()
    }
}

/// A value at a key.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    /// What it belongs to.
    pub(crate) source: &'a Source<'a>,
    /// Its key path.
    pub(crate) key: &'a str,
    /// The value.
    pub(crate) value: &'a Value,
}

impl<'a> Node<'a> {
    /// Notes that the value is not what was expected. Says its kind, never the value: it may be a secret.
    pub(crate) fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match self.value {
            Value::String(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a section",
        };
        self.source.wrong(self.key, format!("expected {what}, found {found}"));
        None
    }

    /// The text of an environment variable that set exactly this key: typed keys parse it themselves.
    pub(crate) fn variable_text(&self) -> Option<&'a str> {
        self.source.variables.get(self.key)?;
        self.value.as_str()
    }

    /// The section behind the key, with unknown keys noted.
    pub(crate) fn section(&self, known: &[&str]) -> Option<&'a toml::Table> {
        let Some(table) = self.value.as_table() else {
            return self.expected("a section");
        };
        for name in table.keys().filter(|name| !known.contains(&name.as_str())) {
            let nearest = known
                .iter()
                .max_by(|left, right| strsim::jaro(left, name).total_cmp(&strsim::jaro(right, name)));
            let nearest = nearest.map_or_else(String::new, |nearest| join(self.key, nearest));
            let what = format!("unknown key; the nearest known one is {nearest}");
            self.source.wrong(&join(self.key, name), what);
        }
        Some(table)
    }
}

/// A key beneath another.
pub(crate) fn join(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}
