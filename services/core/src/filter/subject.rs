//! A customer as a filter sees it.

use crate::time::Moment;
use cel::Value;
use omnigate_proto::v1::attribute_value::Kind;
use omnigate_proto::v1::{AttributeValue, Customer, CustomerIdentifier};
use pbjson_types::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// The customer with these fields.
pub(super) fn value(customer: &Customer, fields: &BTreeSet<&'static str>) -> Value {
    let fields = fields.iter().map(|name| ((*name).to_owned(), field(customer, name)));
    fields.collect::<HashMap<String, Value>>().into()
}

fn field(customer: &Customer, name: &str) -> Value {
    let profile = customer.profile.as_ref();
    let of_profile = |text: Option<&String>| text.map_or("", String::as_str).into();
    let threads = || customer.threads.iter();
    match name {
        "id" => customer.customer_id.as_str().into(),
        "display_name" => of_profile(profile.map(|profile| &profile.display_name)),
        "locale" => of_profile(profile.map(|profile| &profile.locale)),
        "username" => of_profile(profile.map(|profile| &profile.username)),
        "created_at" => time(customer.created_at.as_ref()),
        "last_inbound_at" => time(customer.last_inbound_at.as_ref()),
        "last_outbound_at" => {
            let times = threads().filter_map(|thread| thread.last_outbound_at.as_ref());
            times.map(|at| Moment::from_timestamp(at).0).max().unwrap_or(0).into()
        }
        "entry_count" => i64::try_from(customer.entry_count).unwrap_or(i64::MAX).into(),
        "reachable" => threads().any(|thread| thread.reachable).into(),
        "tags" => texts(customer.tags.iter().map(|tag| &tag.name)),
        "channels" => texts(threads().map(|thread| &thread.channel)),
        "accounts" => texts(threads().map(|thread| &thread.account_id)),
        "merged" => texts(customer.merged.iter().map(|merged| &merged.customer_id)),
        "identifiers" => customer
            .identifiers
            .iter()
            .map(identifier)
            .collect::<Vec<Value>>()
            .into(),
        "attributes" => attributes(customer),
        _ => Value::Null,
    }
}

fn time(at: Option<&Timestamp>) -> Value {
    at.map_or(0, |at| Moment::from_timestamp(at).0).into()
}

/// Each once.
fn texts<'a>(texts: impl Iterator<Item = &'a String>) -> Value {
    let once: BTreeSet<&str> = texts.map(String::as_str).collect();
    once.into_iter().collect::<Vec<&str>>().into()
}

fn identifier(owned: &CustomerIdentifier) -> Value {
    let identifier = owned.identifier.clone().unwrap_or_default();
    let evidence = owned.evidence().as_str_name();
    let fields: [(&str, Value); 4] = [
        ("type", identifier.r#type.into()),
        ("scope", identifier.scope.into()),
        ("value", identifier.value.into()),
        (
            "evidence",
            evidence.strip_prefix("EVIDENCE_").unwrap_or(evidence).into(),
        ),
    ];
    HashMap::from(fields.map(|(name, value)| (name.to_owned(), value))).into()
}

fn attributes(customer: &Customer) -> Value {
    let named = customer.attributes.iter().filter_map(|attribute| {
        let value = attribute.standing.as_ref()?.value.as_ref().and_then(attribute_value)?;
        Some((attribute.name.clone(), value))
    });
    named.collect::<HashMap<String, Value>>().into()
}

fn attribute_value(value: &AttributeValue) -> Option<Value> {
    Some(match value.kind.as_ref()? {
        Kind::Text(text) => text.as_str().into(),
        Kind::Number(number) => (*number).into(),
        Kind::Flag(flag) => (*flag).into(),
        Kind::Time(at) => Moment::from_timestamp(at).0.into(),
    })
}
