//! `omnigate customers …`

use super::{print, remote};
use crate::cli::{Customers, Output, Remote};
use crate::commands::entry;
use omnigate_core::identifier;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{Customer, Entry, GetCustomerRequest, ListCustomersRequest, ListEntriesRequest, WatchRequest};
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
            timeline(&connection, remote, id, limit.unwrap_or(usize::MAX), *follow).await?;
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

async fn timeline(
    connection: &Connection,
    remote: &Remote,
    customer_id: String,
    limit: usize,
    follow: bool,
) -> anyhow::Result<()> {
    // Opened first, so that nothing falls between what is listed and what is watched; repeats are dropped by id.
    let watching = match follow {
        true => {
            let asked = WatchRequest {
                customer_id: customer_id.clone(),
                resume_token: String::new(),
            };
            Some(
                connection
                    .timelines()
                    .watch(asked)
                    .await
                    .map_err(remote::refused)?
                    .into_inner(),
            )
        }
        false => None,
    };
    let entries = newest(connection, customer_id, limit).await?;
    for entry in entries.iter().rev() {
        print_entry(remote.output, entry)?;
    }
    let Some(mut watching) = watching else {
        return Ok(());
    };
    let shown: std::collections::BTreeSet<String> = entries.into_iter().map(|entry| entry.entry_id).collect();
    while let Some(next) = watching.message().await.map_err(remote::refused)? {
        if let Some(entry) = next.entry.filter(|entry| !shown.contains(&entry.entry_id)) {
            print_entry(remote.output, &entry)?;
        }
    }
    Ok(())
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

fn print_entry(output: Output, entry: &Entry) -> anyhow::Result<()> {
    match output {
        Output::Json => print::json(entry),
        Output::Table => {
            print::line(&print::printable(&entry::one_line(entry)));
            Ok(())
        }
    }
}
