//! `omnigate conversations …`

mod show;

use super::{print, remote};
use crate::cli::{
    AssignConversation, ConversationPriority as Urgency, ConversationStatus as Standing, Conversations,
    ListConversations, OneConversation, OpenConversation,
};
use omnigate_proto::v1::{
    AssignConversationRequest, Assignee, Conversation, ConversationPriority, ConversationStatus,
    CreateConversationRequest, GetConversationRequest, JoinThreadRequest, LeaveThreadRequest, ListConversationsRequest,
    SetConversationStatusRequest, UpdateConversationRequest,
};
use omnigate_rpc::client::Connection;
use show::show;
pub(super) use show::{HEADER, row};

/// Runs it.
pub async fn run(arguments: &Conversations) -> anyhow::Result<u8> {
    match arguments {
        Conversations::List(arguments) => list(arguments).await?,
        Conversations::Get { remote, conversation } => {
            let connection = remote::open(remote).await?;
            let asked = GetConversationRequest {
                conversation_id: conversation.clone(),
            };
            let answer = connection.conversations().get_conversation(asked).await;
            show(remote, answer.map_err(remote::refused)?.into_inner().conversation)?;
        }
        Conversations::Open(arguments) => open(arguments).await?,
        Conversations::Assign(arguments) => assign(arguments).await?,
        Conversations::Resolve(which) => set_status(which, ConversationStatus::Resolved, None).await?,
        Conversations::Reopen(which) => set_status(which, ConversationStatus::Open, None).await?,
        Conversations::Snooze { which, until } => {
            set_status(which, ConversationStatus::Snoozed, Some(until)).await?;
        }
        Conversations::Pend(which) => set_status(which, ConversationStatus::Pending, None).await?,
        Conversations::Close(which) => set_status(which, ConversationStatus::Closed, None).await?,
        Conversations::Tag { which, add, remove } => {
            let update = UpdateConversationRequest {
                add_tags: add.clone(),
                remove_tags: remove.clone(),
                ..UpdateConversationRequest::default()
            };
            self::update(which, update).await?;
        }
        Conversations::Priority { which, priority } => {
            let update = UpdateConversationRequest {
                priority: urgency(*priority).into(),
                ..UpdateConversationRequest::default()
            };
            self::update(which, update).await?;
        }
        Conversations::Join { which, thread } => join(which, thread).await?,
        Conversations::Leave { which, thread } => leave(which, thread).await?,
    }
    Ok(0)
}

async fn join(which: &OneConversation, thread: &str) -> anyhow::Result<()> {
    let asked = JoinThreadRequest {
        conversation_id: which.conversation.clone(),
        thread_id: thread.to_owned(),
        request_id: request_id(which)?,
    };
    let connection = remote::open(&which.remote).await?;
    let answer = connection.conversations().join_thread(asked).await;
    show(
        &which.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}

async fn leave(which: &OneConversation, thread: &str) -> anyhow::Result<()> {
    let asked = LeaveThreadRequest {
        conversation_id: which.conversation.clone(),
        thread_id: thread.to_owned(),
        request_id: request_id(which)?,
    };
    let connection = remote::open(&which.remote).await?;
    let answer = connection.conversations().leave_thread(asked).await;
    show(
        &which.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}

fn request_id(which: &OneConversation) -> anyhow::Result<String> {
    remote::request_id(which.request_id.as_deref())
}

fn urgency(priority: Urgency) -> ConversationPriority {
    match priority {
        Urgency::None => ConversationPriority::None,
        Urgency::Low => ConversationPriority::Low,
        Urgency::Normal => ConversationPriority::Normal,
        Urgency::High => ConversationPriority::High,
        Urgency::Urgent => ConversationPriority::Urgent,
    }
}

fn standing(status: Standing) -> ConversationStatus {
    match status {
        Standing::Pending => ConversationStatus::Pending,
        Standing::Open => ConversationStatus::Open,
        Standing::Snoozed => ConversationStatus::Snoozed,
        Standing::Resolved => ConversationStatus::Resolved,
        Standing::Closed => ConversationStatus::Closed,
    }
}

async fn list(arguments: &ListConversations) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let customer_id = match &arguments.customer {
        Some(customer) => remote::customer_id(&connection, customer).await?,
        None => String::new(),
    };
    let statuses = arguments.statuses.iter().map(|status| standing(*status).into());
    let asked = ListConversationsRequest {
        customer_id,
        statuses: statuses.collect(),
        assignee_id: arguments.assignee.clone().unwrap_or_default(),
        unassigned: arguments.unassigned,
        tag: arguments.tag.clone().unwrap_or_default(),
        ..ListConversationsRequest::default()
    };
    let found = all(&connection, asked, arguments.limit.unwrap_or(usize::MAX)).await?;
    print::all(remote.output, &found, show::HEADER, show::row)
}

/// Every page of a list, up to a limit.
async fn all(
    connection: &Connection,
    asked: ListConversationsRequest,
    limit: usize,
) -> anyhow::Result<Vec<Conversation>> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListConversationsRequest {
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
            ..asked.clone()
        };
        let answer = connection.conversations().list_conversations(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.conversations);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn open(arguments: &OpenConversation) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let assignee = arguments.assignee.as_ref().map(|id| Assignee {
        id: id.clone(),
        display_name: String::new(),
    });
    let asked = CreateConversationRequest {
        thread_id: arguments.thread.clone(),
        assignee,
        priority: urgency(arguments.priority).into(),
        tags: arguments.tags.clone(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.conversations().create_conversation(asked).await;
    show(
        &arguments.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}

async fn assign(arguments: &AssignConversation) -> anyhow::Result<()> {
    let which = &arguments.which;
    let connection = remote::open(&which.remote).await?;
    let assignee = arguments.to.as_ref().map(|id| Assignee {
        id: id.clone(),
        display_name: arguments.name.clone().unwrap_or_default(),
    });
    let asked = AssignConversationRequest {
        conversation_id: which.conversation.clone(),
        assignee,
        expected_assignee_id: arguments.from.clone().unwrap_or_default(),
        etag: which.etag.clone().unwrap_or_default(),
        request_id: request_id(which)?,
    };
    let answer = connection.conversations().assign_conversation(asked).await;
    show(
        &which.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}

async fn set_status(which: &OneConversation, status: ConversationStatus, until: Option<&String>) -> anyhow::Result<()> {
    let connection = remote::open(&which.remote).await?;
    let until = until.map(|until| remote::moment("--until", until)).transpose()?;
    let asked = SetConversationStatusRequest {
        conversation_id: which.conversation.clone(),
        status: status.into(),
        snoozed_until: until.map(|until| until.to_timestamp()),
        etag: which.etag.clone().unwrap_or_default(),
        request_id: request_id(which)?,
    };
    let answer = connection.conversations().set_conversation_status(asked).await;
    show(
        &which.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}

async fn update(which: &OneConversation, update: UpdateConversationRequest) -> anyhow::Result<()> {
    let connection = remote::open(&which.remote).await?;
    let asked = UpdateConversationRequest {
        conversation_id: which.conversation.clone(),
        etag: which.etag.clone().unwrap_or_default(),
        request_id: request_id(which)?,
        ..update
    };
    let answer = connection.conversations().update_conversation(asked).await;
    show(
        &which.remote,
        answer.map_err(remote::refused)?.into_inner().conversation,
    )
}
