//! What has to be done for customers: from the first word to the end.

use crate::external::push;
use crate::outbound::{message, send, to_customer};
use crate::{KIOSK, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::customer_event::Kind as Told;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{
    AssignConversationRequest, Assignee, Conversation, ConversationStatus, CreateConversationRequest, Customer, Event,
    Evidence, GetConversationRequest, Identifier, IdentifierEvidence, JoinThreadRequest, ListConversationsRequest,
    MergeCustomersRequest, SendMessageRequest, SetConversationStatusRequest, SubscribeRequest, SubscribeResponse,
    UpdateConversationRequest, Writer, WriterKind,
};
use omnigate_rpc::error::reason;
use omnigate_tests::reading::arrived;
use omnigate_tests::wait;
use pbjson_types::Timestamp;
use std::time::SystemTime;
use tonic::{Code, Status, Streaming};

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    a_customer_is_served(world).await?;
    lists_are_narrowed_and_paged(world).await?;
    both_stay_open_when_customers_become_one(world).await?;
    what_is_wrong_is_said(world).await
}

fn peer(name: &str) -> Identifier {
    Identifier {
        r#type: "kiosk_id".to_owned(),
        scope: KIOSK.to_owned(),
        value: name.to_owned(),
    }
}

async fn says(world: &World, name: &str, text: &str) -> anyhow::Result<()> {
    let vouched = IdentifierEvidence {
        identifier: Some(peer(name)),
        evidence: Evidence::Vouched.into(),
        provider_form: String::new(),
    };
    let event = Event {
        account_id: KIOSK.to_owned(),
        peer: Some(peer(name)),
        identifiers: vec![vouched],
        provider_message_id: text.to_owned(),
        kind: Some(Kind::Message(message(text))),
        ..Event::default()
    };
    push(world, event).await
}

async fn listed(world: &World, asked: ListConversationsRequest) -> anyhow::Result<Vec<Conversation>> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListConversationsRequest {
            page_size: 2,
            page_token,
            ..asked.clone()
        };
        let page = world.connection.conversations().list_conversations(asked).await?;
        let page = page.into_inner();
        all.extend(page.conversations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn of_customer(world: &World, customer: &Customer) -> anyhow::Result<Vec<Conversation>> {
    let asked = ListConversationsRequest {
        customer_id: customer.customer_id.clone(),
        ..ListConversationsRequest::default()
    };
    listed(world, asked).await
}

async fn get(world: &World, id: &str) -> anyhow::Result<Conversation> {
    let asked = GetConversationRequest {
        conversation_id: id.to_owned(),
    };
    let answer = world.connection.conversations().get_conversation(asked).await?;
    answer.into_inner().conversation.context("no conversation")
}

/// Waits until a conversation stands there.
async fn reaches(world: &World, id: &str, status: ConversationStatus) -> anyhow::Result<Conversation> {
    wait::until("a conversation", async || {
        let conversation = get(world, id).await?;
        Ok(match conversation.status() == status {
            true => Ok(conversation),
            false => Err(conversation),
        })
    })
    .await
}

async fn assign(world: &World, id: &str, request_id: &str, [from, to]: [&str; 2]) -> Result<Conversation, Status> {
    let asked = AssignConversationRequest {
        conversation_id: id.to_owned(),
        assignee: (!to.is_empty()).then(|| Assignee {
            id: to.to_owned(),
            display_name: String::new(),
        }),
        expected_assignee_id: from.to_owned(),
        request_id: request_id.to_owned(),
        ..AssignConversationRequest::default()
    };
    let answer = world.connection.conversations().assign_conversation(asked).await?;
    Ok(answer.into_inner().conversation.unwrap_or_default())
}

async fn set(world: &World, id: &str, request_id: &str, status: ConversationStatus) -> Result<Conversation, Status> {
    let asked = SetConversationStatusRequest {
        conversation_id: id.to_owned(),
        status: status.into(),
        snoozed_until: (status == ConversationStatus::Snoozed).then(soon),
        request_id: request_id.to_owned(),
        ..SetConversationStatusRequest::default()
    };
    let answer = world.connection.conversations().set_conversation_status(asked).await?;
    Ok(answer.into_inner().conversation.unwrap_or_default())
}

/// A moment that comes while the test waits for it.
fn soon() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX) + 2,
        nanos: 0,
    }
}

fn by(kind: WriterKind, request: SendMessageRequest) -> SendMessageRequest {
    let writer = Writer {
        kind: kind.into(),
        id: "lan".to_owned(),
        display_name: "Lan".to_owned(),
    };
    let message = request.message.map(|message| omnigate_proto::v1::Message {
        writer: Some(writer),
        ..message
    });
    SendMessageRequest { message, ..request }
}

async fn a_customer_is_served(world: &World) -> anyhow::Result<()> {
    let asked = SubscribeRequest::default();
    let stream = world.connection.events().subscribe(asked).await?.into_inner();
    says(world, "served", "xin chào").await?;
    let customer = arrived(&world.connection, &peer("served")).await?;
    let [opened] = <[Conversation; 1]>::try_from(of_customer(world, &customer).await?)
        .map_err(|found| anyhow::anyhow!("{found:?}"))?;
    let id = opened.conversation_id.as_str();
    ensure!(
        opened.status() == ConversationStatus::Open && opened.customer_id == customer.customer_id,
        "{opened:?}"
    );

    let won = one_of_two_takes_it(world, id).await?;
    only_a_human_answers(world, &customer, id).await?;

    set(world, id, "served-snooze", ConversationStatus::Snoozed).await?;
    reaches(world, id, ConversationStatus::Open).await?;
    let resolved = set(world, id, "served-resolve", ConversationStatus::Resolved).await?;
    ensure!(resolved.resolution_time.is_some(), "{resolved:?}");
    says(world, "served", "còn một câu hỏi").await?;
    let reopened = reaches(world, id, ConversationStatus::Open).await?;
    ensure!(
        reopened.cycle.as_ref().is_some_and(|cycle| cycle.number == 2) && reopened.past_cycles.len() == 1,
        "{reopened:?}"
    );
    let closed = set(world, id, "served-close", ConversationStatus::Closed).await?;
    let refused = assign(world, id, "served-late", [won, ""])
        .await
        .err()
        .context("closed")?;
    ensure!(
        reason(&refused).as_deref() == Some("CONVERSATION_CLOSED"),
        "{refused:?}"
    );
    ensure!(
        of_customer(world, &customer).await? == [closed],
        "a closed one is not listed"
    );
    let story = [
        "opened waiting",
        "assignee",
        "replied",
        "snoozed",
        "woken",
        "resolved",
        "reopened waiting",
        "closed",
    ];
    told(stream, id, &story).await
}

/// Two who take it at once: who got it.
async fn one_of_two_takes_it(world: &World, id: &str) -> anyhow::Result<&'static str> {
    let (lan, minh) = tokio::join!(
        assign(world, id, "take-lan", ["", "lan"]),
        assign(world, id, "take-minh", ["", "minh"]),
    );
    let (won, lost) = match (lan, minh) {
        (Ok(_), Err(status)) => (["lan", "take-lan"], status),
        (Err(status), Ok(_)) => (["minh", "take-minh"], status),
        both => anyhow::bail!("both or nobody got it: {both:?}"),
    };
    ensure!(
        lost.code() == Code::Aborted && reason(&lost).as_deref() == Some("ASSIGNED_ELSEWHERE"),
        "{lost:?}"
    );
    let again = assign(world, id, won[1], ["", won[0]]).await?;
    ensure!(again.holders.len() == 1, "{again:?}");
    let reused = assign(world, id, won[1], ["", "hoa"]).await.err().context("reused")?;
    ensure!(reused.code() == Code::AlreadyExists, "{reused:?}");
    Ok(won[0])
}

async fn only_a_human_answers(world: &World, customer: &Customer, id: &str) -> anyhow::Result<()> {
    let by_bot = to_customer("served-bot", &customer.customer_id, "chúng tôi đã nhận được");
    send(world, by(WriterKind::Bot, by_bot)).await?;
    let waiting = get(world, id).await?.cycle.context("no cycle")?;
    ensure!(
        waiting.waiting_since.is_some() && waiting.first_response_at.is_none(),
        "a bot's words are no answer: {waiting:?}"
    );
    let by_human = to_customer("served-human", &customer.customer_id, "chào bạn");
    send(world, by(WriterKind::Human, by_human)).await?;
    let answered = get(world, id).await?.cycle.context("no cycle")?;
    ensure!(
        answered.waiting_since.is_none() && answered.first_response_time.is_some() && answered.replies == 1,
        "{answered:?}"
    );
    Ok(())
}

/// What others hear of a conversation, each change once.
async fn told(mut stream: Streaming<SubscribeResponse>, id: &str, story: &[&str]) -> anyhow::Result<()> {
    let mut heard: Vec<(u64, String)> = Vec::new();
    while heard.len() < story.len() {
        let next = tokio::time::timeout(wait::PATIENCE, stream.message()).await;
        let next = next.with_context(|| format!("nothing more after {heard:?}"))??;
        let event = next.context("the stream ended")?.event.unwrap_or_default();
        let Some(Told::ConversationChanged(changed)) = event.kind else {
            continue;
        };
        let is_it = changed.conversation.is_some_and(|one| one.conversation_id == id);
        // At least once: a repeated one has the number of the first.
        if is_it && !heard.iter().any(|(number, _)| *number == event.home_seq) {
            heard.push((event.home_seq, changed.changed.join(" ")));
        }
    }
    heard.sort_unstable();
    let words: Vec<&str> = heard.iter().map(|(_, words)| words.as_str()).collect();
    ensure!(words == story, "{words:?}");
    Ok(())
}

async fn lists_are_narrowed_and_paged(world: &World) -> anyhow::Result<()> {
    let mut ids = Vec::new();
    for number in 0..5 {
        let name = format!("listed-{number}");
        says(world, &name, "tôi cần giúp").await?;
        let customer = arrived(&world.connection, &peer(&name)).await?;
        let opened = of_customer(world, &customer).await?.pop().context("none opened")?;
        let asked = UpdateConversationRequest {
            conversation_id: opened.conversation_id.clone(),
            add_tags: vec!["đổi trả".to_owned()],
            etag: opened.etag,
            request_id: format!("{name}-tag"),
            ..UpdateConversationRequest::default()
        };
        world.connection.conversations().update_conversation(asked).await?;
        ids.push(opened.conversation_id);
    }
    assign(world, &ids[3], "listed-assign", ["", "hoa"]).await?;
    let tagged = ListConversationsRequest {
        tag: "đổi trả".to_owned(),
        ..ListConversationsRequest::default()
    };
    let mut found: Vec<String> = listed(world, tagged.clone())
        .await?
        .into_iter()
        .map(|one| one.conversation_id)
        .collect();
    found.sort();
    let mut wanted = ids.clone();
    wanted.sort();
    ensure!(found == wanted, "{found:?}");
    let of_hoa = ListConversationsRequest {
        assignee_id: "hoa".to_owned(),
        ..ListConversationsRequest::default()
    };
    let found = listed(world, of_hoa).await?;
    ensure!(found.len() == 1 && found[0].conversation_id == ids[3], "{found:?}");
    let free = ListConversationsRequest {
        unassigned: true,
        ..tagged
    };
    ensure!(listed(world, free).await?.len() == 4, "one of five has somebody");
    Ok(())
}

async fn both_stay_open_when_customers_become_one(world: &World) -> anyhow::Result<()> {
    let names = ["sibling-1", "sibling-2"];
    let mut customers = Vec::new();
    for (name, account_peer) in names.iter().zip([peer(names[0]), email(names[1])]) {
        let event = Event {
            account_id: KIOSK.to_owned(),
            peer: Some(account_peer.clone()),
            identifiers: vec![IdentifierEvidence {
                identifier: Some(account_peer.clone()),
                evidence: Evidence::Vouched.into(),
                provider_form: String::new(),
            }],
            provider_message_id: (*name).to_owned(),
            kind: Some(Kind::Message(message(name))),
            ..Event::default()
        };
        push(world, event).await?;
        customers.push(arrived(&world.connection, &account_peer).await?);
    }
    let asked = MergeCustomersRequest {
        customer_id: customers[0].customer_id.clone(),
        other_customer_id: customers[1].customer_id.clone(),
        request_id: "siblings".to_owned(),
        ..MergeCustomersRequest::default()
    };
    world.connection.customers().merge_customers(asked).await?;
    let both = of_customer(world, &customers[1]).await?;
    ensure!(
        both.len() == 2
            && both
                .iter()
                .all(|one| one.status() == ConversationStatus::Open && one.customer_id == customers[0].customer_id),
        "{both:?}"
    );
    it_goes_on_in_the_thread_of_the_other(world, &customers[1], both).await
}

/// The customer moved from one line to another: the threads live in different homes.
async fn it_goes_on_in_the_thread_of_the_other(
    world: &World,
    customer: &Customer,
    both: Vec<Conversation>,
) -> anyhow::Result<()> {
    let [younger, older] = <[Conversation; 2]>::try_from(both).map_err(|found| anyhow::anyhow!("{found:?}"))?;
    let id = older.conversation_id.as_str();
    let join = JoinThreadRequest {
        conversation_id: id.to_owned(),
        thread_id: younger.thread_ids[0].clone(),
        request_id: "sibling-join".to_owned(),
    };
    let mut conversations = world.connection.conversations();
    let joined = conversations.join_thread(join.clone()).await?.into_inner().conversation;
    let joined = joined.context("no conversation")?;
    ensure!(joined.thread_ids.len() == 2, "{joined:?}");
    let again = conversations.join_thread(join).await?.into_inner().conversation;
    ensure!(again.as_ref() == Some(&joined), "{again:?}");
    let former = get(world, &younger.conversation_id).await?;
    ensure!(
        former.status() == ConversationStatus::Closed && former.joined_conversation_id == id,
        "{former:?}"
    );
    set(world, id, "sibling-resolve", ConversationStatus::Resolved).await?;
    let word = Event {
        account_id: KIOSK.to_owned(),
        peer: Some(email("sibling-2")),
        provider_message_id: "sibling-2-again".to_owned(),
        kind: Some(Kind::Message(message("sibling-2 lại hỏi"))),
        ..Event::default()
    };
    push(world, word).await?;
    reaches(world, id, ConversationStatus::Open).await?;
    ensure!(of_customer(world, customer).await?.len() == 2, "another one was opened");
    Ok(())
}

fn email(name: &str) -> Identifier {
    Identifier {
        r#type: "email".to_owned(),
        scope: String::new(),
        value: format!("{name}@example.vn"),
    }
}

async fn what_is_wrong_is_said(world: &World) -> anyhow::Result<()> {
    let conversations = || world.connection.conversations();
    let customer = arrived(&world.connection, &peer("listed-0")).await?;
    let thread_id = customer.threads[0].thread_id.clone();
    let create = |thread_id: &str, tags: &[&str]| CreateConversationRequest {
        thread_id: thread_id.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        request_id: "wrong".to_owned(),
        ..CreateConversationRequest::default()
    };
    let closed = ListConversationsRequest {
        statuses: vec![ConversationStatus::Closed.into()],
        ..ListConversationsRequest::default()
    };
    let nowhere = "cnv_000000000000000000000000000000000000000000000";
    let missing = GetConversationRequest {
        conversation_id: nowhere.to_owned(),
    };
    let exists = conversations().create_conversation(create(&thread_id, &[])).await.err();
    let no_tag = conversations()
        .create_conversation(create(&thread_id, &[" "]))
        .await
        .err();
    let no_thread = conversations().create_conversation(create("thr_1", &[])).await.err();
    let by_customer = conversations().list_conversations(closed).await.err();
    let not_there = conversations().get_conversation(missing).await.err();
    let wanted = [
        (exists, "CONVERSATION_EXISTS"),
        (no_tag, "FIELD_INVALID"),
        (no_thread, "FIELD_INVALID"),
        (by_customer, "FIELD_INVALID"),
        (not_there, "CONVERSATION_NOT_FOUND"),
    ];
    for (status, wanted) in wanted {
        let found = status.as_ref().and_then(reason);
        ensure!(found.as_deref() == Some(wanted), "{wanted}: {status:?}");
    }
    Ok(())
}
