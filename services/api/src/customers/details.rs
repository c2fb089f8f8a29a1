//! Attributes and tags, changed by people and systems; and everything about a customer in one answer.

use super::Asked;
use super::identity::to_conflict;
use crate::{Api, problems};
use omnigate_core::details::{Change, Schema, name_problem, normal, normal_text, tag_problem, value_problem};
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::details::{self, Command};
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::identity::{conflicts_of, known};
use omnigate_core::protocol::read::{self, Whole};
use omnigate_core::time::Moment;
use omnigate_proto::v1::get_customer_overview_request::Of;
use omnigate_proto::v1::{
    AttributeValue, DetailSource, GetCustomerOverviewRequest, GetCustomerOverviewResponse, UpdateCustomerRequest,
};
use omnigate_rpc::error::Problem;
use std::collections::BTreeSet;

/// Most attributes or tags that one request names.
const MAX_NAMED: usize = 100;
/// Longest name of a source, in characters.
const MAX_SOURCE_ID: usize = 128;
/// Most entries in an overview.
const MAX_ENTRIES: i32 = 100;
/// Most conflicts in an overview.
const MAX_CONFLICTS: u32 = 100;

/// Most conversations in an overview.
const MAX_CONVERSATIONS: usize = 100;

impl Api {
    pub(super) async fn update(&self, tenant_id: &str, mut request: UpdateCustomerRequest) -> Result<Whole, Problem> {
        for tag in request.add_tags.iter_mut().chain(&mut request.remove_tags) {
            *tag = normal_text(tag);
        }
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "update customer", &request)?;
        let mut change = checked(&request, &self.settings.schema)?;
        let customer: CustomerId = problems::id("customer_id", &request.customer_id)?;
        let stands = known(&self.context(), tenant_id, &asked.request_id, asked.body_hash).await;
        let record = match stands.map_err(|refused| problems::not_done(&refused))? {
            Some(record) => record,
            None => {
                let whole = self.whole_customer(tenant_id, &request.customer_id).await?;
                if !request.etag.is_empty() && request.etag != whole.etag() {
                    return Err(problems::not_changed(&details::NotChanged::Changed));
                }
                let mut record = asked.record(self);
                record.at_ms = whole.details_moment(Moment(record.at_ms)).0;
                self.remember(&asked, record).await?
            }
        };
        change.at = Moment(record.at_ms);
        change.conditional = (!request.etag.is_empty()).then_some(record.name);
        let command = Command {
            tenant_id: tenant_id.to_owned(),
            customer,
            change,
            etag: request.etag,
        };
        let changed = details::change(&self.context(), &command).await;
        changed.map_err(|refused| problems::not_changed(&refused))?;
        self.whole_customer(tenant_id, &request.customer_id).await
    }

    pub(super) async fn overview(
        &self,
        tenant_id: &str,
        request: GetCustomerOverviewRequest,
    ) -> Result<GetCustomerOverviewResponse, Problem> {
        if !(0..=MAX_ENTRIES).contains(&request.newest_entries) {
            return Err(Problem::invalid(
                "newest_entries",
                format!("must be 0 to {MAX_ENTRIES}"),
            ));
        }
        let whole = match &request.of {
            Some(Of::CustomerId(id)) => self.whole_customer(tenant_id, id).await?,
            Some(Of::Identifier(identifier)) => self.owner(tenant_id, identifier).await?,
            None => return Err(Problem::invalid("of", "customer_id or identifier must be set")),
        };
        let customer = self.shown(whole.to_customer()).await;
        let conflicts = conflicts_of(&self.context(), tenant_id, whole.id, MAX_CONFLICTS).await;
        let conflicts = conflicts.map_err(|error| problems::store(&error))?;
        let newest = Wanted::first(request.newest_entries.unsigned_abs(), false);
        let page = match newest.limit {
            0 => entries::Page::default(),
            _ => {
                let page = entries::page(&self.context(), &whole.views(), &newest).await;
                page.map_err(|error| problems::store(&error))?
            }
        };
        Ok(GetCustomerOverviewResponse {
            entry_count: customer.entry_count,
            customer: Some(customer),
            touchpoints: whole.touchpoints(),
            conflicts: conflicts.into_iter().map(to_conflict).collect(),
            entries: page.entries.into_iter().map(|(_, entry)| entry).collect(),
            conversations: self.conversations_of(&whole, Some(MAX_CONVERSATIONS)).await?,
            consents: self.standing_consents(tenant_id, &whole).await?,
            marketing_refusals: self.marketing_refusals(tenant_id, &whole).await?,
            suppressed: self.suppressed(tenant_id, &whole).await?,
        })
    }

    /// The customer who has an identifier.
    pub(super) async fn owner(
        &self,
        tenant_id: &str,
        identifier: &omnigate_proto::v1::Identifier,
    ) -> Result<Whole, Problem> {
        let canonical = super::identity::canonical_of(identifier, "identifier")?;
        let found = read::resolve(&self.context(), tenant_id, &canonical).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "nobody has this identifier"))
    }
}

/// What a request changes, or what is wrong with it.
fn checked(request: &UpdateCustomerRequest, schema: &Schema) -> Result<Change, Problem> {
    let named = [
        ("set_attributes", request.set_attributes.len()),
        ("remove_attributes", request.remove_attributes.len()),
        ("add_tags", request.add_tags.len()),
        ("remove_tags", request.remove_tags.len()),
    ];
    if let Some((field, _)) = named.iter().find(|(_, count)| *count > MAX_NAMED) {
        return Err(Problem::invalid(field, format!("at most {MAX_NAMED}")));
    }
    if named.iter().all(|(_, count)| *count == 0) {
        return Err(Problem::invalid("set_attributes", "nothing is to be changed"));
    }
    let mut seen = BTreeSet::new();
    let set = request.set_attributes.iter().map(|attribute| &attribute.name);
    for (field, name) in set
        .map(|name| ("set_attributes", name))
        .chain(request.remove_attributes.iter().map(|name| ("remove_attributes", name)))
    {
        once(&mut seen, field, name, name_problem(name))?;
    }
    let mut seen = BTreeSet::new();
    for (field, tag) in request
        .add_tags
        .iter()
        .map(|tag| ("add_tags", tag))
        .chain(request.remove_tags.iter().map(|tag| ("remove_tags", tag)))
    {
        once(&mut seen, field, tag, tag_problem(tag))?;
    }
    if request.source_id.chars().count() > MAX_SOURCE_ID {
        return Err(Problem::invalid(
            "source_id",
            format!("at most {MAX_SOURCE_ID} characters"),
        ));
    }
    let source = match request.source() {
        DetailSource::Unspecified => DetailSource::Agent,
        said => said,
    };
    let set = request
        .set_attributes
        .iter()
        .map(|attribute| value(attribute.value.as_ref(), &attribute.name, schema));
    Ok(Change {
        set: set.collect::<Result<_, _>>()?,
        remove: request.remove_attributes.clone(),
        add_tags: request.add_tags.clone(),
        remove_tags: request.remove_tags.clone(),
        source,
        source_id: request.source_id.clone(),
        ..Change::default()
    })
}

fn once<'a>(
    seen: &mut BTreeSet<&'a str>,
    field: &'static str,
    name: &'a str,
    problem: Option<&'static str>,
) -> Result<(), Problem> {
    let shown: String = name.chars().take(80).collect();
    match problem {
        Some(problem) => Err(Problem::invalid(field, format!("{shown:?} {problem}"))),
        None if !seen.insert(name) => Err(Problem::invalid(field, format!("{shown:?} is named twice"))),
        None => Ok(()),
    }
}

fn value(value: Option<&AttributeValue>, name: &str, schema: &Schema) -> Result<(String, AttributeValue), Problem> {
    let field = "set_attributes";
    let value = normal(value.unwrap_or(&AttributeValue::default()));
    if let Some(problem) = value_problem(&value) {
        return Err(Problem::invalid(field, format!("the value of {name:?} {problem}")));
    }
    let fits = schema.check(name, &value);
    fits.map_err(|refused| Problem::invalid(field, refused.to_string()))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests;
