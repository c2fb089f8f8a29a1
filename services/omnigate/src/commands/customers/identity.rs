//! `omnigate customers merge|split|link|unlink|conflicts|identity`

use super::show;
use crate::cli::{Conflicts, MergeCustomers, OneIdentifier, Output, Remote, SplitCustomer};
use crate::commands::{print, remote};
use omnigate_core::identifier;
use omnigate_proto::v1::split_customer_request::What;
use omnigate_proto::v1::{
    Conflict, ConflictResolution, Customer, Identifier, IdentityEvent, LinkIdentifierRequest, ListConflictsRequest,
    ListIdentityEventsRequest, MergeCheck, MergeCustomersRequest, ResolveConflictRequest, SplitCustomerRequest,
    UndoneMerge, UnlinkIdentifierRequest, UnlinkedIdentifiers,
};
use omnigate_rpc::client::Connection;

pub(super) async fn merge(arguments: &MergeCustomers) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let asked = MergeCustomersRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        other_customer_id: remote::customer_id(&connection, &arguments.other).await?,
        validate_only: arguments.check,
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.customers().merge_customers(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    if !arguments.check {
        return show(remote, &answer.customer.unwrap_or_default());
    }
    if remote.output == Output::Json {
        return print::json(&answer);
    }
    let survivor = answer.customer.unwrap_or_default().customer_id;
    if answer.checks.is_empty() {
        print::line(&format!("{survivor} is both already"));
        return Ok(());
    }
    print::line(&format!("{survivor} would survive"));
    let header = ["RULE", "A PERSON MAY", "HAPPENS BY ITSELF"];
    print::all(Output::Table, &answer.checks, &header, |check: &MergeCheck| {
        let yes = |allows| if allows { "yes" } else { "no" }.to_owned();
        vec![
            check.rule.clone(),
            yes(check.allows),
            yes(check.allows_without_a_person),
        ]
    })
}

pub(super) async fn split(arguments: &SplitCustomer) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let identifiers: Vec<Identifier> = arguments
        .identifiers
        .iter()
        .map(|text| remote::identifier(text))
        .collect::<Result<_, _>>()?;
    let what = match (&arguments.merge, &arguments.new_holder) {
        (Some(merge), _) => What::Undo(UndoneMerge {
            merge_id: merge.clone(),
            identifiers,
        }),
        (None, Some(address)) => What::NewHolder(remote::identifier(address)?),
        (None, None) => What::Unlink(UnlinkedIdentifiers { identifiers }),
    };
    let asked = SplitCustomerRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        what: Some(what),
    };
    let answer = connection.customers().split_customer(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    both(remote, [answer.customer, answer.split_customer])
}

pub(super) async fn link(arguments: &OneIdentifier) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let asked = LinkIdentifierRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        identifier: Some(remote::identifier(&arguments.identifier)?),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.customers().link_identifier(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    show(remote, &answer.customer.unwrap_or_default())
}

pub(super) async fn unlink(arguments: &OneIdentifier) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let asked = UnlinkIdentifierRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        identifier: Some(remote::identifier(&arguments.identifier)?),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.customers().unlink_identifier(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    both(remote, [answer.customer, answer.unlinked_customer])
}

pub(super) async fn conflicts(arguments: &Conflicts) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let (both, resolution) = match &arguments.new_holder {
        Some(both) => (Some(both), ConflictResolution::NewHolder),
        None => (arguments.keep_apart.as_ref(), ConflictResolution::KeepApart),
    };
    let Some([customer, other]) = both.map(Vec::as_slice) else {
        return list(remote, &connection, arguments.limit.unwrap_or(usize::MAX)).await;
    };
    let asked = ResolveConflictRequest {
        customer_id: remote::customer_id(&connection, customer).await?,
        other_customer_id: remote::customer_id(&connection, other).await?,
        resolution: resolution.into(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.customers().resolve_conflict(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    show(remote, &answer.customer.unwrap_or_default())
}

/// Two customers, one below the other.
fn both(remote: &Remote, customers: [Option<Customer>; 2]) -> anyhow::Result<()> {
    customers
        .into_iter()
        .try_for_each(|customer| show(remote, &customer.unwrap_or_default()))
}

async fn list(remote: &Remote, connection: &Connection, limit: usize) -> anyhow::Result<()> {
    let mut found: Vec<Conflict> = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListConflictsRequest {
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
        };
        let answer = connection.customers().list_conflicts(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.conflicts);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    let header = ["CUSTOMER", "OTHER", "KEPT APART BY", "SEEN (UTC)", "TRACE"];
    print::all(remote.output, &found, &header, |conflict| {
        vec![
            conflict.customer_id.clone(),
            conflict.other_customer_id.clone(),
            conflict.rules.join("\n"),
            print::time(conflict.at.as_ref()),
            conflict.trace_id.clone(),
        ]
    })
}

pub(super) async fn events(remote: &Remote, customer: &str) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let customer_id = remote::customer_id(&connection, customer).await?;
    let asked = ListIdentityEventsRequest { customer_id };
    let answer = connection.customers().list_identity_events(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    if remote.output == Output::Json {
        return print::json(&answer);
    }
    let header = [
        "AT (UTC)",
        "CUSTOMER",
        "NO",
        "WHAT",
        "IDENTIFIERS",
        "OTHER CUSTOMER",
        "RULES",
        "TRACE",
    ];
    print::all(Output::Table, &answer.events, &header, |event: &IdentityEvent| {
        vec![
            print::time(event.at.as_ref()),
            event.customer_id.clone(),
            event.number.to_string(),
            kind(event),
            event
                .identifiers
                .iter()
                .map(identifier::text)
                .collect::<Vec<_>>()
                .join("\n"),
            [event.other_customer_id.as_str(), event.transaction_id.as_str()].join("\n"),
            event.rules.join("\n"),
            event.trace_id.clone(),
        ]
    })?;
    if !answer.intact {
        anyhow::bail!("a chain does not agree with its hashes: the store was changed from outside");
    }
    Ok(())
}

fn kind(event: &IdentityEvent) -> String {
    let name = event.kind().as_str_name();
    let name = name.strip_prefix("IDENTITY_EVENT_KIND_").unwrap_or(name);
    name.to_lowercase().replace('_', " ")
}
