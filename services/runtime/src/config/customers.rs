//! What is known of customers, as configured.

use super::{Config, node::Source, section::section};
use omnigate_core::details::{MAX_ATTRIBUTES, Schema, ValueType, name_problem};
use std::collections::BTreeMap;

section! {
    /// What is known of customers. Without any attributes here, customers may have any, of any kind.
    pub struct Customers {
        /// Attributes that customers may have, by name.
        pub attributes: BTreeMap<String, Attribute>,
    }
}

section! {
    /// An attribute that customers may have. Its name is a lower-case letter and up to 63 of a-z, 0-9 and _.
    pub struct Attribute {
        /// What it holds: `text`, `number`, `flag` (yes or no) or `time`.
        pub kind: String,
        /// What it is.
        pub description: Option<String>,
    }
}

impl Config {
    /// Attributes that customers may have.
    #[must_use]
    pub fn attributes(&self) -> Schema {
        let attributes = self.customers.attributes.iter();
        let known =
            attributes.filter_map(|(name, attribute)| Some((name.clone(), ValueType::from_name(&attribute.kind)?)));
        Schema {
            attributes: known.collect(),
        }
    }
}

/// Notes what does not fit.
pub(super) fn validate(config: &Config, source: &Source<'_>) {
    let attributes = &config.customers.attributes;
    if attributes.len() > MAX_ATTRIBUTES {
        source.wrong("customers.attributes", format!("must be at most {MAX_ATTRIBUTES}"));
    }
    for (name, attribute) in attributes {
        let key = format!("customers.attributes.{name}");
        if let Some(problem) = name_problem(name) {
            source.wrong(&key, problem);
        }
        if ValueType::from_name(&attribute.kind).is_none() {
            let kinds = ValueType::ALL.map(ValueType::name).join(", ");
            source.wrong(&format!("{key}.kind"), format!("must be one of {kinds}"));
        }
    }
}
