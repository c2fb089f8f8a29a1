//! Reading a gateway's customers, timelines and campaigns.

use crate::wait;
use anyhow::Context as _;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{
    CampaignProgress, CampaignRecipient, Customer, Delivery, Entry, GetCampaignProgressRequest, GetMessageRequest,
    Identifier, ListCustomersRequest, ListEntriesRequest, ListRecipientsRequest, Message, ResolveCustomerRequest,
};
use omnigate_rpc::client::Connection;

/// The customer of a Telegram chat; `None` when nobody has it yet.
pub async fn customer(connection: &Connection, account: &str, chat: i64) -> anyhow::Result<Option<Customer>> {
    let identifier = Identifier {
        r#type: "tg_chat".to_owned(),
        scope: account.to_owned(),
        value: chat.to_string(),
    };
    customer_of(connection, identifier).await
}

/// The customer of an identifier; `None` when nobody has it yet.
pub async fn customer_of(connection: &Connection, identifier: Identifier) -> anyhow::Result<Option<Customer>> {
    let asked = ResolveCustomerRequest {
        identifier: Some(identifier),
    };
    match connection.customers().resolve_customer(asked).await {
        Ok(answer) => Ok(answer.into_inner().customer),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// All customers.
pub async fn customers(connection: &Connection) -> anyhow::Result<Vec<Customer>> {
    let mut customers = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListCustomersRequest {
            page_size: 7,
            page_token,
            ..ListCustomersRequest::default()
        };
        let page = connection.customers().list_customers(asked).await?.into_inner();
        customers.extend(page.customers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(customers);
        }
    }
}

/// A customer's timeline, oldest first, read in small pages.
pub async fn timeline(connection: &Connection, customer_id: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListEntriesRequest {
            of: Some(Of::CustomerId(customer_id.to_owned())),
            page_size: 11,
            page_token,
            oldest_first: true,
            ..ListEntriesRequest::default()
        };
        let page = connection.timelines().list_entries(asked).await?.into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(entries);
        }
    }
}

/// Waits until an identifier has a customer with a thread: a customer is there a moment before what they wrote.
pub async fn arrived(connection: &Connection, identifier: &Identifier) -> anyhow::Result<Customer> {
    wait::until("a customer who wrote", async || {
        let found = customer_of(connection, identifier.clone()).await?;
        Ok(found.filter(|customer| !customer.threads.is_empty()).ok_or(identifier))
    })
    .await
}

/// Waits until the timeline of a Telegram chat's customer has this many entries.
pub async fn entries_of(connection: &Connection, account: &str, chat: i64, count: usize) -> anyhow::Result<Vec<Entry>> {
    wait::until("a timeline", async || {
        let Some(customer) = customer(connection, account, chat).await? else {
            return Ok(Err(0));
        };
        let entries = timeline(connection, &customer.customer_id).await?;
        Ok(if entries.len() >= count {
            Ok(entries)
        } else {
            Err(entries.len())
        })
    })
    .await
}

/// The delivery of a message of ours.
pub async fn delivery(connection: &Connection, message_id: &str) -> anyhow::Result<Delivery> {
    let asked = GetMessageRequest {
        message_id: message_id.to_owned(),
    };
    let answer = connection.messages().get_message(asked).await?;
    answer.into_inner().delivery.context("no delivery")
}

/// The words of an entry's message as they read now; empty for anything else.
#[must_use]
pub fn words(entry: &Entry) -> String {
    let original = match entry.event.as_ref().and_then(|event| event.kind.as_ref()) {
        Some(Kind::Message(message)) => message,
        _ => return String::new(),
    };
    words_of(entry.current.as_ref().unwrap_or(original))
}

/// The words of a message.
#[must_use]
pub fn words_of(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match &part.content {
        Some(Content::Text(text)) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// Entries in the order in which they took effect in their threads.
#[must_use]
pub fn in_thread_order(entries: &[Entry]) -> Vec<&Entry> {
    let mut ordered: Vec<&Entry> = entries.iter().collect();
    ordered.sort_by_key(|entry| entry.thread_seq);
    ordered
}

/// How far a campaign is.
pub async fn campaign_progress(connection: &Connection, id: &str) -> anyhow::Result<CampaignProgress> {
    let asked = GetCampaignProgressRequest {
        campaign_id: id.to_owned(),
    };
    let answer = connection.campaigns().get_campaign_progress(asked).await?;
    answer.into_inner().progress.context("no progress")
}

/// All recipients of a campaign, read in pages of at most so many.
pub async fn campaign_recipients(
    connection: &Connection,
    id: &str,
    page_size: i32,
) -> anyhow::Result<Vec<CampaignRecipient>> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListRecipientsRequest {
            campaign_id: id.to_owned(),
            page_size,
            page_token,
            ..ListRecipientsRequest::default()
        };
        let page = connection.campaigns().list_recipients(asked).await?.into_inner();
        found.extend(page.recipients);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}
