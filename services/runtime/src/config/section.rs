//! Sections: one declaration gives the struct, its reader, its dump and its part of the reference.

/// Declares a section. A field is `pub name: Type = default,`, or without default when it is optional by type, a section
/// of its own, or required. Its doc comment is the reference's text.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $meaning:literal])+
                pub $field:ident: $type:ty $(= $default:expr)?,
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $meaning])+ pub $field: $type, )+
        }

        impl $crate::config::setting::Setting for $name {
            fn read(node: $crate::config::node::Node<'_>) -> Option<Self> {
                let table = node.section(&[$(stringify!($field)),+])?;
                $(
                    let default: Option<$type> = $crate::config::section::section!(@default $($default)?);
                    let $field = $crate::config::section::field(node, table, stringify!($field), default);
                )+
                Some(Self { $( $field: $field?, )+ })
            }

            fn absent(node: $crate::config::node::Node<'_>) -> Option<Self> {
                Self::read($crate::config::node::Node { value: &node.source.nothing, ..node })
            }

            fn show(&self) -> Option<toml::Value> {
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = $crate::config::setting::Setting::show(&self.$field) {
                        table.insert(stringify!($field).to_owned(), value);
                    }
                )+
                Some(toml::Value::Table(table))
            }

            fn describe(
                rows: &mut Vec<$crate::config::setting::Row>,
                row: $crate::config::setting::Row,
            ) {
                let about = concat!($($about, " "),+).trim().replace("  ", " ");
                let heading = $crate::config::setting::Row { meaning: about, ..row };
                let key = heading.key.clone();
                rows.push(heading);
                $(
                    let default: Option<$type> = $crate::config::section::section!(@default $($default)?);
                    let row = $crate::config::section::row(
                        &key,
                        stringify!($field),
                        default.as_ref(),
                        concat!($($meaning, " "),+),
                    );
                    <$type as $crate::config::setting::Setting>::describe(rows, row);
                )+
            }
        }
    };
    (@default $default:expr) => { Some($default) };
    (@default) => { None };
}
pub(crate) use section;

use super::{
    node::{Node, join},
    setting::{Row, Setting},
};

/// Reads one field of a section.
pub(crate) fn field<T: Setting>(section: Node<'_>, table: &toml::Table, name: &str, default: Option<T>) -> Option<T> {
    let key = join(section.key, name);
    let source = section.source;
    match (table.get(name), default) {
        (Some(value), _) => T::read(Node {
            source,
            key: &key,
            value,
        }),
        (None, Some(default)) => Some(default),
        (None, None) => T::absent(Node {
            source,
            key: &key,
            value: &source.nothing,
        }),
    }
}

/// What the reference says about one field.
pub(crate) fn row<T: Setting>(section: &str, name: &str, default: Option<&T>, meaning: &str) -> Row {
    Row {
        key: join(section, name),
        kind: "",
        default: default.map_or_else(
            || "required".to_owned(),
            |default| default.show().map(|value| value.to_string()).unwrap_or_default(),
        ),
        meaning: meaning.trim().replace("  ", " "),
    }
}
