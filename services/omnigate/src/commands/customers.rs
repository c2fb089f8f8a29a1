//! `omnigate customers …`

use super::{print, remote, timeline};
use crate::cli::{Customers, Output, Remote};
use omnigate_core::identifier;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{Customer, Entry, GetCustomerRequest, ListCustomersRequest, ListEntriesRequest};
use omnigate_rpc::client::Connection;

/// Runs it.
pub async fn run(arguments: &Customers) -> anyhow::Result<u8> {
    match arguments {
        Customers::List { remote, limit } => {
            let connection = remote::open(remote).await?;
            let customers = list(&connection, limit.unwrap_or(usize::MAX)).await?;
            let header = ["CUSTOMER", "NAME", "IDENTIFIERS", "ENTRIES", "LAST WROTE (UTC)"];
            print::all(remote.output, &customers, &header, row)?;
        }
        Customers::Get { remote, customer } => {
            let connection = remote::open(remote).await?;
            let id = remote::customer_id(&connection, customer).await?;
            show(remote, &get(&connection, id).await?)?;
        }
        Customers::Timeline {
            remote,
            customer,
            limit,
            follow,
        } => {
            let connection = remote::open(remote).await?;
            let id = remote::customer_id(&connection, customer).await?;
            timeline::show(&connection, remote, id, limit.unwrap_or(usize::MAX), *follow).await?;
        }
    }
    Ok(0)
}

/// All customers, up to a limit.
pub async fn list(connection: &Connection, limit: usize) -> anyhow::Result<Vec<Customer>> {
    let mut customers = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListCustomersRequest {
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
        };
        let page = connection
            .customers()
            .list_customers(asked)
            .await
            .map_err(remote::refused)?
            .into_inner();
        customers.extend(page.customers);
        page_token = page.next_page_token;
        if page_token.is_empty() || customers.len() >= limit {
            customers.truncate(limit);
            return Ok(customers);
        }
    }
}

/// One customer by id.
pub async fn get(connection: &Connection, customer_id: String) -> anyhow::Result<Customer> {
    let asked = GetCustomerRequest { customer_id };
    let answer = connection
        .customers()
        .get_customer(asked)
        .await
        .map_err(remote::refused)?;
    Ok(answer.into_inner().customer.unwrap_or_default())
}

fn row(customer: &Customer) -> Vec<String> {
    vec![
        customer.customer_id.clone(),
        name(customer),
        identifiers(customer).join("\n"),
        customer.entry_count.to_string(),
        print::time(customer.last_inbound_at.as_ref()),
    ]
}

/// What the channels call the customer.
#[must_use]
pub fn name(customer: &Customer) -> String {
    let profile = customer.profile.as_ref();
    profile.map(|profile| profile.display_name.clone()).unwrap_or_default()
}

fn identifiers(customer: &Customer) -> Vec<String> {
    let owned = customer
        .identifiers
        .iter()
        .filter_map(|owned| owned.identifier.as_ref());
    owned.map(identifier::text).collect()
}

fn show(remote: &Remote, customer: &Customer) -> anyhow::Result<()> {
    if remote.output == Output::Json {
        return print::json(customer);
    }
    print::line(&format!(
        "{}  {}",
        customer.customer_id,
        print::printable(&name(customer))
    ));
    print::line(&format!("since {}", print::time(customer.created_at.as_ref())));
    let header = [
        "THREAD",
        "ACCOUNT",
        "CHANNEL",
        "PEER",
        "ENTRIES",
        "LAST WROTE (UTC)",
        "REACHABLE",
        "WAITING",
    ];
    print::all(Output::Table, &customer.threads, &header, |thread| {
        vec![
            thread.thread_id.clone(),
            thread.account_id.clone(),
            thread.channel.clone(),
            thread.peer.as_ref().map(identifier::text).unwrap_or_default(),
            thread.thread_seq.to_string(),
            print::time(thread.last_inbound_at.as_ref()),
            if thread.reachable { "yes" } else { "no" }.to_owned(),
            thread.pending.to_string(),
        ]
    })
}

/// The newest entries of a customer, newest first.
pub async fn newest(connection: &Connection, customer_id: String, limit: usize) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListEntriesRequest {
            of: Some(Of::CustomerId(customer_id.clone())),
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
            oldest_first: false,
        };
        let page = connection
            .timelines()
            .list_entries(asked)
            .await
            .map_err(remote::refused)?
            .into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() || entries.len() >= limit {
            entries.truncate(limit);
            return Ok(entries);
        }
    }
}
