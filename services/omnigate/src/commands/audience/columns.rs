//! What the columns of a file are.

use anyhow::{Context as _, bail};
use omnigate_core::audience::row::is_variable;
use omnigate_core::filter::nearest;
use omnigate_proto::v1::{Identifier, ImportRow};
use std::collections::BTreeMap;

/// Types of identifiers whose names say what a column is.
const GLOBAL: [&str; 6] = ["phone", "email", "crm", "wa_id", "wa_bsuid", "web_visitor"];
/// Those whose values mean nothing without the account that gave them.
const SCOPED: [&str; 4] = ["zalo_uid", "tg_chat", "psid", "igsid"];

/// What a column is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// An identifier of this type and scope.
    Identifier(String, String),
    /// A variable of templates.
    Variable(String),
    /// The language tag.
    Locale,
    /// The time zone.
    TimeZone,
    /// The name to address somebody by.
    DisplayName,
    /// Nothing of interest.
    Ignore,
}

/// Columns by name, as far as they are known, and the order of those that are identifiers.
#[derive(Debug, Default)]
pub(super) struct Columns {
    mapped: BTreeMap<String, Target>,
    known: BTreeMap<String, Target>,
    identifiers: Vec<String>,
}

impl Columns {
    /// Columns as flags map them.
    pub(super) fn new(map: &[String]) -> anyhow::Result<Self> {
        let mut columns = Self::default();
        for text in map {
            let (name, what) = text.rsplit_once('=').with_context(|| {
                format!("--map {text:?}: write column=identifier:TYPE or column=variable:NAME, such as 'Số ĐT=identifier:phone'")
            })?;
            let target = target(what).with_context(|| format!("--map {text:?}"))?;
            if columns.mapped.insert(name.trim().to_owned(), target).is_some() {
                bail!("--map: column {name:?} is mapped twice");
            }
        }
        Ok(columns)
    }

    /// The header of a file: each column has to be something, and every mapped one to be there.
    pub(super) fn header(&mut self, names: &[String]) -> anyhow::Result<()> {
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                bail!("column {name:?} stands twice in the header");
            }
            self.target(name).map_err(anyhow::Error::msg)?;
        }
        if let Some(missing) = self.mapped.keys().find(|name| !names.contains(name)) {
            let like = nearest(missing, names.iter().map(String::as_str));
            let hint = like.map(|like| format!("; is {like:?} meant?")).unwrap_or_default();
            bail!("--map: the file has no column {missing:?}{hint}");
        }
        if self.identifiers.is_empty() {
            bail!(
                "no column is an identifier: name one phone, email or crm, or say which it is, such as --map {:?}",
                format!("{}=identifier:phone", names.first().map_or("column", String::as_str))
            );
        }
        Ok(())
    }

    /// What a column is; or why that cannot be said.
    fn target(&mut self, name: &str) -> Result<Target, String> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let target = match self.mapped.get(name) {
            Some(mapped) => mapped.clone(),
            None => by_name(name)?,
        };
        if matches!(target, Target::Identifier(..)) {
            self.identifiers.push(name.to_owned());
        }
        self.known.insert(name.to_owned(), target.clone());
        Ok(target)
    }

    /// Puts the values of a row where they belong; or what is wrong with it.
    pub(super) fn fill<'a>(&mut self, number: u64, cells: impl Iterator<Item = (&'a str, String)>) -> ImportRow {
        let mut row = ImportRow {
            row: number,
            ..ImportRow::default()
        };
        let mut identifiers: BTreeMap<usize, Identifier> = BTreeMap::new();
        for (name, value) in cells {
            match self.target(name) {
                Ok(Target::Identifier(kind, scope)) => {
                    let place = self.identifiers.iter().position(|known| known == name).unwrap_or(0);
                    let identifier = Identifier {
                        r#type: kind,
                        scope,
                        value,
                    };
                    identifiers.insert(place, identifier);
                }
                Ok(Target::Variable(variable)) => {
                    row.variables.insert(variable, value);
                }
                Ok(Target::Locale) => row.locale = value,
                Ok(Target::TimeZone) => row.time_zone = value,
                Ok(Target::DisplayName) => row.display_name = value,
                Ok(Target::Ignore) => {}
                Err(problem) => return unreadable(number, name, problem),
            }
        }
        // At its column's place, so that a problem leads back to the column; what has no value is no identifier.
        let places = identifiers.last_key_value().map_or(0, |(place, _)| place + 1);
        row.identifiers = (0..places)
            .map(|place| identifiers.remove(&place).unwrap_or_default())
            .collect();
        row
    }

    /// The column that a problem's field is about.
    pub(super) fn of_field(&self, field: &str) -> String {
        let inside = |what: &str| field.strip_prefix(what)?.strip_prefix('[')?.strip_suffix(']');
        let place = inside("identifiers").and_then(|place| place.parse::<usize>().ok());
        if let Some(column) = place.and_then(|place| self.identifiers.get(place)) {
            return column.clone();
        }
        let wanted = match (inside("variables"), field) {
            (Some(name), _) => Target::Variable(name.to_owned()),
            (None, "locale") => Target::Locale,
            (None, "time_zone") => Target::TimeZone,
            (None, "display_name") => Target::DisplayName,
            _ => return field.to_owned(),
        };
        let column = self.known.iter().find(|(_, target)| **target == wanted);
        column.map_or_else(|| field.to_owned(), |(name, _)| name.clone())
    }
}

/// A row that cannot be sent as it stands.
pub(super) fn unreadable(number: u64, column: &str, problem: impl Into<String>) -> ImportRow {
    ImportRow {
        row: number,
        problem: problem.into(),
        problem_field: column.to_owned(),
        ..ImportRow::default()
    }
}

/// What a flag says that a column is.
fn target(what: &str) -> anyhow::Result<Target> {
    Ok(match what.split_once(':') {
        Some(("identifier", text)) => {
            let (kind, scope) = text.split_once('/').unwrap_or((text, ""));
            if kind.is_empty() {
                bail!("an identifier needs a type, such as identifier:phone");
            }
            Target::Identifier(kind.to_owned(), scope.to_owned())
        }
        Some(("variable", name)) if is_variable(name) => Target::Variable(name.to_owned()),
        Some(("variable", name)) => {
            bail!("{name:?} is no name of a variable: 1 to 64 letters, digits and _, beginning with a letter")
        }
        None if what == "locale" => Target::Locale,
        None if what == "time-zone" => Target::TimeZone,
        None if what == "display-name" => Target::DisplayName,
        None if what == "ignore" => Target::Ignore,
        _ => {
            bail!("a column is identifier:TYPE, variable:NAME, locale, time-zone, display-name or ignore, not {what:?}")
        }
    })
}

/// What a column is that no flag maps.
fn by_name(name: &str) -> Result<Target, String> {
    let lower = name.trim().to_lowercase();
    let (kind, scope) = name.trim().split_once('/').unwrap_or((name.trim(), ""));
    let kind = kind.to_lowercase();
    if GLOBAL.contains(&kind.as_str()) || (SCOPED.contains(&kind.as_str()) && !scope.is_empty()) {
        return Ok(Target::Identifier(kind, scope.to_owned()));
    }
    if SCOPED.contains(&kind.as_str()) {
        return Err(format!(
            "column {name:?}: a {kind} means something with its account only: name the column {kind}/ACCOUNT, or say --map '{name}=identifier:{kind}/ACCOUNT'"
        ));
    }
    match lower.as_str() {
        "locale" => Ok(Target::Locale),
        "time_zone" => Ok(Target::TimeZone),
        "display_name" => Ok(Target::DisplayName),
        _ if is_variable(name) => Ok(Target::Variable(name.to_owned())),
        _ => Err(format!(
            "column {name:?} cannot be a variable, whose names are letters, digits and _: say --map '{name}=variable:NAME' or --map '{name}=ignore'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn refused(map: &[&str], header: &[&str]) -> String {
        let columns = Columns::new(&names(map)).and_then(|mut columns| columns.header(&names(header)));
        format!("{:#}", columns.unwrap_err())
    }

    #[test]
    fn columns_are_what_their_names_or_flags_say() {
        let map = names(&[
            "Họ tên=variable:ten",
            "Số ĐT=identifier:phone",
            "mã=identifier:crm/erp",
            "x=ignore",
        ]);
        let header = ["Phone", "Họ tên", "Số ĐT", "mã", "zalo_uid/oa", "locale", "diem", "x"];
        let mut columns = Columns::new(&map).unwrap();
        columns.header(&names(&header)).unwrap();
        let values = ["1", "An", "2", "3", "4", "vi", "5", "6"].map(str::to_owned);
        let row = columns.fill(7, header.into_iter().zip(values));
        let identifiers: Vec<String> = row.identifiers.iter().map(omnigate_core::identifier::text).collect();
        assert_eq!(identifiers, ["phone//1", "phone//2", "crm/erp/3", "zalo_uid/oa/4"]);
        assert_eq!((row.row, row.locale.as_str()), (7, "vi"));
        let variables: Vec<(&str, &str)> = row
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(variables, [("diem", "5"), ("ten", "An")]);
        assert_eq!(columns.of_field("identifiers[1]"), "Số ĐT");
        assert_eq!(columns.of_field("variables[ten]"), "Họ tên");
        assert_eq!(columns.of_field("locale"), "locale");
        assert_eq!(columns.of_field(""), "");
    }

    #[test]
    fn what_is_wrong_with_columns_is_said_before_anything_is_sent() {
        assert!(refused(&[], &["ten"]).starts_with("no column is an identifier"));
        assert!(refused(&[], &["phone", "Họ tên"]).contains("--map 'Họ tên=variable:NAME'"));
        assert!(refused(&[], &["zalo_uid"]).contains("zalo_uid/ACCOUNT"));
        assert!(refused(&[], &["phone", "phone"]).contains("stands twice"));
        assert!(refused(&["phnoe=identifier:phone"], &["phone"]).contains("is \"phone\" meant?"));
        assert!(refused(&["phone"], &["phone"]).contains("write column="));
        assert!(refused(&["a=identifier:"], &["a"]).contains("needs a type"));
        assert!(refused(&["a=variable:1"], &["a"]).contains("is no name of a variable"));
        assert!(refused(&["a=nonsense"], &["a"]).contains("not \"nonsense\""));
    }
}
