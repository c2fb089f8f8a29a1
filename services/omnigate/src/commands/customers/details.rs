//! `omnigate customers update|note`

use super::show;
use crate::cli::{NoteOfCustomer, Output, UpdateCustomer};
use crate::commands::{entry, print, remote};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::attribute_value::Kind;
use omnigate_proto::v1::{
    AddNoteRequest, AttributeChange, AttributeValue, Customer, DeleteNoteRequest, DetailSource, EditNoteRequest,
    SourcedValue, UpdateCustomerRequest,
};

pub(super) async fn update(arguments: &UpdateCustomer) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let source = format!("DETAIL_SOURCE_{}", arguments.source.to_uppercase().replace('-', "_"));
    let source = DetailSource::from_str_name(&source).with_context(|| {
        format!(
            "--source {:?} is none of authoritative, agent, channel-verified, channel-stated and import",
            arguments.source
        )
    })?;
    let set: Vec<AttributeChange> = arguments
        .set
        .iter()
        .map(|text| change(text))
        .collect::<Result<_, _>>()?;
    let connection = remote::open(remote).await?;
    let asked = UpdateCustomerRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        set_attributes: set,
        remove_attributes: arguments.remove.clone(),
        add_tags: arguments.tags.clone(),
        remove_tags: arguments.untag.clone(),
        source: source.into(),
        source_id: arguments.source_id.clone().unwrap_or_default(),
        etag: arguments.etag.clone().unwrap_or_default(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.customers().update_customer(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    show(remote, &answer.customer.unwrap_or_default())
}

/// Reads `name=value`, `name:number=3`, `name:flag=true` or `name:time=2026-01-31T00:00:00Z`.
fn change(text: &str) -> anyhow::Result<AttributeChange> {
    let (name, value) = text
        .split_once('=')
        .with_context(|| format!("--set {text:?} is not name=value"))?;
    let (name, kind) = name.split_once(':').unwrap_or((name, "text"));
    let kind = match kind {
        "text" => Kind::Text(value.to_owned()),
        "number" => Kind::Number(
            value
                .parse()
                .with_context(|| format!("--set {name}: {value:?} is no number"))?,
        ),
        "flag" => Kind::Flag(
            value
                .parse()
                .with_context(|| format!("--set {name}: must be true or false"))?,
        ),
        "time" => Kind::Time(remote::moment("--set", value)?.to_timestamp()),
        other => bail!("--set {name}: {other:?} is none of text, number, flag and time"),
    };
    Ok(AttributeChange {
        name: name.to_owned(),
        value: Some(AttributeValue { kind: Some(kind) }),
    })
}

pub(super) async fn note(arguments: &NoteOfCustomer) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let request_id = remote::request_id(arguments.request_id.as_deref())?;
    let author = match &arguments.author {
        Some(author) => author.clone(),
        None => std::env::var("USER")
            .ok()
            .filter(|user| !user.is_empty())
            .unwrap_or_else(|| "cli".to_owned()),
    };
    let text = || arguments.text.clone().context("the text of the note is missing");
    let entry = match (&arguments.edit, &arguments.delete) {
        (Some(entry_id), _) => {
            let asked = EditNoteRequest {
                entry_id: entry_id.clone(),
                text: text()?,
                author,
                request_id,
            };
            let answer = connection.timelines().edit_note(asked).await;
            answer.map_err(remote::refused)?.into_inner().entry
        }
        (None, Some(entry_id)) => {
            let asked = DeleteNoteRequest {
                entry_id: entry_id.clone(),
                author,
                request_id,
            };
            let answer = connection.timelines().delete_note(asked).await;
            answer.map_err(remote::refused)?.into_inner().entry
        }
        (None, None) => {
            let asked = AddNoteRequest {
                customer_id: remote::customer_id(&connection, &arguments.customer).await?,
                text: text()?,
                author,
                request_id,
            };
            let answer = connection.timelines().add_note(asked).await;
            answer.map_err(remote::refused)?.into_inner().entry
        }
    };
    let entry = entry.unwrap_or_default();
    if remote.output == Output::Json {
        return print::json(&entry);
    }
    print::line(&print::printable(&format!(
        "{}  {}",
        entry.entry_id,
        entry::one_line(&entry)
    )));
    Ok(())
}

/// Attributes and tags of a customer, where there are any.
pub(super) fn known(customer: &Customer) -> anyhow::Result<()> {
    if !customer.tags.is_empty() {
        let tags: Vec<&str> = customer.tags.iter().map(|tag| tag.name.as_str()).collect();
        print::line(&print::printable(&format!("tags: {}", tags.join(", "))));
    }
    if customer.attributes.is_empty() {
        return Ok(());
    }
    let header = ["ATTRIBUTE", "VALUE", "SOURCE", "SINCE (UTC)", "OTHERS"];
    print::all(Output::Table, &customer.attributes, &header, |attribute| {
        let standing = attribute.standing.clone().unwrap_or_default();
        vec![
            attribute.name.clone(),
            value(&standing),
            source(&standing),
            print::time(standing.at.as_ref()),
            attribute.others.iter().map(value).collect::<Vec<_>>().join("\n"),
        ]
    })
}

fn value(said: &SourcedValue) -> String {
    match said.value.as_ref().and_then(|value| value.kind.as_ref()) {
        Some(Kind::Text(text)) => text.clone(),
        Some(Kind::Number(number)) => number.to_string(),
        Some(Kind::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
        Some(Kind::Time(at)) => print::time(Some(at)),
        None => "-".to_owned(),
    }
}

fn source(said: &SourcedValue) -> String {
    let name = said.source().as_str_name();
    let name = name.strip_prefix("DETAIL_SOURCE_").unwrap_or(name).to_lowercase();
    match said.source_id.as_str() {
        "" => name.replace('_', " "),
        which => format!("{} ({which})", name.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_their_kind() {
        let read = |text: &str| change(text).map(|change| (change.name, change.value.unwrap().kind.unwrap()));
        assert_eq!(
            read("city=Huế=cố đô").unwrap(),
            ("city".into(), Kind::Text("Huế=cố đô".into()))
        );
        assert_eq!(read("age:number=40").unwrap(), ("age".into(), Kind::Number(40.0)));
        assert_eq!(read("vip:flag=true").unwrap(), ("vip".into(), Kind::Flag(true)));
        assert!(matches!(
            read("born:time=2026-01-31T00:00:00Z").unwrap().1,
            Kind::Time(_)
        ));
        for (text, wants) in [
            ("city", "is not name=value"),
            ("age:number=old", "is no number"),
            ("vip:flag=yes", "must be true or false"),
            ("born:time=today", "no RFC 3339 time"),
            ("x:list=1", "none of text, number, flag and time"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(problem.contains(wants), "{problem}");
        }
    }
}
