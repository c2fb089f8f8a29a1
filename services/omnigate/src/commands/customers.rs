//! `omnigate customers …`

mod details;
mod identity;
mod overview;
mod privacy;

use super::{print, remote, timeline};
use crate::cli::{Customers, Output, Remote};
use omnigate_core::identifier;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{
    Customer, Entry, GetCustomerRequest, ListCustomersRequest, ListEntriesRequest, ReplyWindow, ReplyWindowState,
};
use omnigate_rpc::client::Connection;

/// Runs it.
pub async fn run(arguments: &Customers) -> anyhow::Result<u8> {
    match arguments {
        Customers::List { remote, limit, filter } => {
            let connection = remote::open(remote).await?;
            let filter = filter.as_deref().unwrap_or_default();
            let customers = list(&connection, limit.unwrap_or(usize::MAX), filter).await?;
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
            filter,
            follow,
        } => {
            let filter = timeline::wanted(filter)?;
            let connection = remote::open(remote).await?;
            let id = remote::customer_id(&connection, customer).await?;
            let wanted = (filter, limit.unwrap_or(usize::MAX));
            timeline::show(&connection, remote, id, wanted, *follow).await?;
        }
        Customers::Overview(arguments) => overview::overview(arguments).await?,
        Customers::Update(arguments) => details::update(arguments).await?,
        Customers::Note(arguments) => details::note(arguments).await?,
        Customers::Merge(arguments) => identity::merge(arguments).await?,
        Customers::Split(arguments) => identity::split(arguments).await?,
        Customers::Link(arguments) => identity::link(arguments).await?,
        Customers::Unlink(arguments) => identity::unlink(arguments).await?,
        Customers::Conflicts(arguments) => identity::conflicts(arguments).await?,
        Customers::Export { remote, customer, file } => privacy::export(remote, customer, file.as_deref()).await?,
        Customers::Erase {
            remote,
            customer,
            yes,
            request_id,
        } => privacy::erase(remote, customer, *yes, request_id.clone()).await?,
        Customers::Identity { remote, customer } => identity::events(remote, customer).await?,
    }
    Ok(0)
}

/// Customers that a filter lets through, all without one, up to a limit.
pub async fn list(connection: &Connection, limit: usize, filter: &str) -> anyhow::Result<Vec<Customer>> {
    let mut customers = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListCustomersRequest {
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
            filter: filter.to_owned(),
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
    print::line(&identifiers(customer).join("  "));
    for merged in &customer.merged {
        print::line(&format!("was {} until {}", merged.customer_id, merged.merge_id));
    }
    details::known(customer)?;
    let header = [
        "THREAD",
        "ACCOUNT",
        "CHANNEL",
        "PEER",
        "ENTRIES",
        "LAST WROTE (UTC)",
        "REACHABLE",
        "REPLY WINDOW (UTC)",
        "OPTED OUT OF",
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
            thread.reply_window.as_ref().map_or_else(|| "-".to_owned(), window),
            thread.refused_topics.join("\n"),
            thread.pending.to_string(),
        ]
    })
}

/// How a thread's reply window stands, and until when.
fn window(window: &ReplyWindow) -> String {
    let (free_until, open_until) = (
        print::time(window.free_until.as_ref()),
        print::time(window.open_until.as_ref()),
    );
    let stands = match window.state() {
        ReplyWindowState::Unspecified => "never seen open".to_owned(),
        ReplyWindowState::Free if free_until == open_until => format!("open until {open_until}"),
        ReplyWindowState::Free => format!("free until {free_until}\npaid until {open_until}"),
        ReplyWindowState::Billable => format!("paid until {open_until}"),
        ReplyWindowState::Closed => format!("closed since {open_until}\ntemplates only"),
    };
    match window.free_replies_left {
        Some(left) => format!("{stands}\n{left} free answers left"),
        None => stands,
    }
}

/// The newest entries of a customer that a request asks for, newest first.
pub async fn newest(
    connection: &Connection,
    customer_id: String,
    wanted: &ListEntriesRequest,
    limit: usize,
) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListEntriesRequest {
            of: Some(Of::CustomerId(customer_id.clone())),
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
            ..wanted.clone()
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

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::time::Moment;

    #[test]
    fn a_window_says_until_when() {
        let at = |hours: i64| Some(Moment(1_800_000_000_000 + hours * 3_600_000).to_timestamp());
        let of = |state: ReplyWindowState, free: i64, open: i64| {
            window(&ReplyWindow {
                state: state.into(),
                opened_at: at(0),
                free_until: at(free),
                open_until: at(open),
                ..ReplyWindow::default()
            })
        };
        assert_eq!(
            of(ReplyWindowState::Free, 1, 2),
            "free until 2027-01-15 09:00:00\npaid until 2027-01-15 10:00:00"
        );
        assert_eq!(of(ReplyWindowState::Free, 1, 1), "open until 2027-01-15 09:00:00");
        assert_eq!(of(ReplyWindowState::Billable, 1, 2), "paid until 2027-01-15 10:00:00");
        assert_eq!(
            of(ReplyWindowState::Closed, 1, 2),
            "closed since 2027-01-15 10:00:00\ntemplates only"
        );
        assert_eq!(window(&ReplyWindow::default()), "never seen open");
        let counted = ReplyWindow {
            state: ReplyWindowState::Billable.into(),
            open_until: at(2),
            free_replies_left: Some(0),
            ..ReplyWindow::default()
        };
        assert_eq!(window(&counted), "paid until 2027-01-15 10:00:00\n0 free answers left");
    }
}
