//! Secrets: written as text, as `{ env = "NAME" }` or as `{ file = "path" }`; printed never.

use super::{
    node::Node,
    setting::{Row, Setting, plain},
};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, fs::File, io::Read as _, path::Path};
use toml::{Table, Value};

/// Longest secret file, in bytes: keys and certificates fit, a mistaken path does no harm.
const MAX_FILE: u64 = 64 * 1024;

/// A secret, resolved when the configuration was loaded.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    /// How it was referred to; `None` when it was written out.
    reference: Option<Table>,
}

impl Secret {
    /// A secret that was made, not configured.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self {
            value: value.into(),
            reference: None,
        }
    }

    /// The secret itself. Keep it out of logs, errors and traces.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }
}

impl Secret {
    /// The key that its hexadecimal digits stand for; `None` when they stand for none of 32 bytes.
    #[must_use]
    pub fn as_key(&self) -> Option<[u8; 32]> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(self.expose().trim().as_bytes());
        bytes.ok()?.try_into().ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// The reference in a value, if it is one: a section with nothing but `env` or `file`.
pub(crate) fn reference(value: &Value) -> Option<&Table> {
    let table = value.as_table()?;
    let only = table.len() == 1 && (table.contains_key("env") || table.contains_key("file"));
    only.then_some(table)
}

/// Fetches what a reference names; notes at the node's key what is missing.
pub(crate) fn resolve(node: Node<'_>, table: &Table) -> Option<String> {
    let fetched = if let Some(name) = table.get("env") {
        from_variable(node, name)
    } else {
        let path = table.get("file").and_then(Value::as_str);
        path.ok_or_else(|| "file must name a path".to_owned())
            .and_then(|path| from_file(&node.source.folder().join(path)))
    };
    match fetched {
        Ok(secret) => Some(secret),
        Err(what) => {
            node.source.wrong(node.key, what);
            None
        }
    }
}

fn from_variable(node: Node<'_>, name: &Value) -> Result<String, String> {
    let name = name.as_str().ok_or("env must name an environment variable")?;
    match node.source.env.get(name) {
        Some(secret) if !secret.is_empty() => Ok(secret.clone()),
        Some(_) => Err(format!("environment variable {name} is empty")),
        None => Err(format!("environment variable {name} is not set")),
    }
}

/// A secret from a file, without the line break that editors leave at the end.
fn from_file(path: &Path) -> Result<String, String> {
    let failed = |problem: &dyn fmt::Display| format!("cannot read secret file {}: {problem}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(&error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(failed(&"it is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is not UTF-8 text"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(failed(&"it is empty"));
    }
    Ok(secret.to_owned())
}

impl Setting for Secret {
    fn read(node: Node<'_>) -> Option<Self> {
        if let Some(table) = reference(node.value) {
            let value = resolve(node, table)?.into();
            let reference = Some(table.clone());
            return Some(Self { value, reference });
        }
        match node.value.as_str() {
            Some("") => {
                node.source.wrong(node.key, "must not be empty");
                None
            }
            Some(text) => Some(Self::new(text.to_owned())),
            None => node.expected("a secret: text, { env = \"NAME\" } or { file = \"path\" }"),
        }
    }

    fn show(&self) -> Option<Value> {
        let hidden = || Value::String("***".to_owned());
        Some(self.reference.clone().map_or_else(hidden, Value::Table))
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        rows.push(Row {
            kind: "a secret",
            ..row
        });
    }
}

/// Several secrets: a list, or one text with commas between them.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub Vec<Secret>);

impl Setting for Secrets {
    fn read(node: Node<'_>) -> Option<Self> {
        const EXPECTED: &str = "a list of secrets: each text, { env = \"NAME\" } or { file = \"path\" }";
        if let Some(text) = node.value.as_str() {
            let secrets = text.split(',').map(str::trim).filter(|secret| !secret.is_empty());
            return Some(Self(secrets.map(|secret| Secret::new(secret.to_owned())).collect()));
        }
        let Some(list) = node.value.as_array() else {
            return node.expected(EXPECTED);
        };
        let secrets = list.iter().enumerate().map(|(place, value)| {
            let key = super::node::join(node.key, &place.to_string());
            Secret::read(Node {
                key: &key,
                value,
                ..node
            })
        });
        // All of them, so that everything that is wrong is told at once.
        let secrets: Vec<Option<Secret>> = secrets.collect();
        secrets.into_iter().collect::<Option<Vec<Secret>>>().map(Self)
    }

    fn absent(_: Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    fn show(&self) -> Option<Value> {
        let shown = self.0.iter().filter_map(Setting::show).collect();
        (!self.0.is_empty()).then_some(Value::Array(shown))
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        let (kind, default) = ("a list of secrets", String::new());
        rows.push(Row { kind, default, ..row });
    }
}

/// Address of a broker or store with its credentials, such as `amqps://user:password@host/vhost`.
#[derive(Clone, Debug)]
pub struct ConnectionUrl(pub Secret);

impl ConnectionUrl {
    /// The whole address. Keep it out of logs, errors and traces.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The address without credentials and parameters, for people.
    #[must_use]
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.expose().split_once("://") else {
            return "***".to_owned();
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://***@{host}"),
            None => format!("{scheme}://{rest}"),
        }
    }
}

impl Setting for ConnectionUrl {
    fn read(node: Node<'_>) -> Option<Self> {
        let secret = Secret::read(node)?;
        if secret.expose().contains("://") {
            return Some(Self(secret));
        }
        node.source
            .wrong(node.key, "expected an address such as amqp://host or redis://host");
        None
    }

    fn show(&self) -> Option<Value> {
        match &self.0.reference {
            Some(reference) => Some(Value::Table(reference.clone())),
            None => Some(Value::String(self.redacted())),
        }
    }

    fn describe(rows: &mut Vec<Row>, row: Row) {
        rows.push(Row {
            kind: "an address, may be a secret reference",
            ..row
        });
    }
}

/// SHA-256 of a token, as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenHash(pub [u8; 32]);

fn token_hash(node: &Node<'_>) -> Option<TokenHash> {
    let text = node.value.as_str()?.to_ascii_lowercase();
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(TokenHash)
}

plain!(TokenHash, "64 hex digits", token_hash, |v| {
    Value::String(data_encoding::HEXLOWER.encode(&v.0))
});
