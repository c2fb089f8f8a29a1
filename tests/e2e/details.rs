//! What is known about customers: attributes, tags and notes, filters over them, and everything in one answer.

use crate::identity::{at_kiosk, email, get, says, undo};
use crate::{KIOSK, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::attribute_value::Kind as Value;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::get_customer_overview_request::Of;
use omnigate_proto::v1::list_entries_request::Of as EntriesOf;
use omnigate_proto::v1::{
    AddNoteRequest, AttributeChange, AttributeValue, ConsentStatus, Customer, DeleteNoteRequest, EditNoteRequest,
    Entry, EntryKind, GetCustomerOverviewRequest, Identifier, ListCustomersRequest, ListEntriesRequest,
    MergeCustomersRequest, Purpose, SetConsentRequest, SetMarketingRefusalRequest, SuppressRequest, SuppressionReason,
    UpdateCustomerRequest, WatchRequest,
};
use omnigate_tests::reading::arrived;
use omnigate_tests::wait;
use tonic::Code;

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    what_is_known_goes_with_merges_and_splits(world).await?;
    customers_are_found_by_a_filter(world).await?;
    notes_stand_on_the_timeline(world).await?;
    everything_is_one_answer(world).await
}

async fn two(world: &World, name: &str) -> anyhow::Result<[(Identifier, Customer); 2]> {
    let (one, other) = (at_kiosk(name), email(name));
    says(world, &one, &[], &format!("{name} một")).await?;
    let older = arrived(&world.connection, &one).await?;
    says(world, &other, &[], &format!("{name} hai")).await?;
    let younger = arrived(&world.connection, &other).await?;
    Ok([(one, older), (other, younger)])
}

fn sets(customer: &Customer, city: &str, tag: &str, request_id: &str) -> UpdateCustomerRequest {
    UpdateCustomerRequest {
        customer_id: customer.customer_id.clone(),
        set_attributes: vec![AttributeChange {
            name: "city".to_owned(),
            value: Some(AttributeValue {
                kind: Some(Value::Text(city.to_owned())),
            }),
        }],
        add_tags: vec![tag.to_owned()],
        request_id: request_id.to_owned(),
        ..UpdateCustomerRequest::default()
    }
}

async fn update(world: &World, asked: UpdateCustomerRequest) -> anyhow::Result<Customer> {
    let answer = world.connection.customers().update_customer(asked).await?;
    answer.into_inner().customer.context("no customer")
}

/// City and tags.
fn known(customer: &Customer) -> (Option<String>, Vec<&str>) {
    let city = customer.attributes.iter().find(|attribute| attribute.name == "city");
    let value = city.and_then(|city| city.standing.clone()?.value?.kind);
    let city = match value {
        Some(Value::Text(city)) => Some(city),
        _ => None,
    };
    (city, customer.tags.iter().map(|tag| tag.name.as_str()).collect())
}

async fn merge(world: &World, older: &Customer, younger: &Customer, request_id: &str) -> anyhow::Result<Customer> {
    let asked = MergeCustomersRequest {
        customer_id: older.customer_id.clone(),
        other_customer_id: younger.customer_id.clone(),
        request_id: request_id.to_owned(),
        ..MergeCustomersRequest::default()
    };
    let answer = world.connection.customers().merge_customers(asked).await?;
    answer.into_inner().customer.context("no customer")
}

async fn what_is_known_goes_with_merges_and_splits(world: &World) -> anyhow::Result<()> {
    let [(_, older), (_, younger)] = two(world, "thảo").await?;
    let first = sets(&older, "Huế", "thảo-vip", "details-1");
    for _ in 0..2 {
        let customer = update(world, first.clone()).await?;
        ensure!(
            known(&customer) == (Some("Huế".to_owned()), vec!["thảo-vip"]),
            "{customer:?}"
        );
    }
    let other_body = sets(&older, "Vinh", "thảo-vip", "details-1");
    let refused = world.connection.customers().update_customer(other_body).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.code() == Code::AlreadyExists),
        "{refused:?}"
    );
    let mut town = sets(&older, "Vinh", "x", "details-town");
    "citty".clone_into(&mut town.set_attributes[0].name);
    let refused = world.connection.customers().update_customer(town).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.message().contains("did you mean \"city\"?")),
        "{refused:?}"
    );
    let stale = UpdateCustomerRequest {
        etag: older.etag.clone(),
        ..sets(&older, "Vinh", "x", "details-2")
    };
    let refused = world.connection.customers().update_customer(stale).await;
    ensure!(
        refused.as_ref().is_err_and(|status| status.code() == Code::Aborted),
        "{refused:?}"
    );
    update(world, sets(&younger, "Vinh", "thảo-b2b", "details-3")).await?;
    let one = merge(world, &older, &younger, "details-merge").await?;
    let both = (Some("Vinh".to_owned()), vec!["thảo-b2b", "thảo-vip"]);
    ensure!(known(&one) == both, "the newer city and both tags: {one:?}");
    ensure!(known(&get(world, &younger.customer_id).await?) == both, "by the old id");
    let merge_id = one.merged.first().context("no merge")?.merge_id.clone();
    undo(world, [&older.customer_id, &younger.customer_id], &merge_id).await?;
    let (older, younger) = (
        get(world, &older.customer_id).await?,
        get(world, &younger.customer_id).await?,
    );
    ensure!(known(&older) == (Some("Huế".to_owned()), vec!["thảo-vip"]), "{older:?}");
    ensure!(
        known(&younger) == (Some("Vinh".to_owned()), vec!["thảo-b2b"]),
        "{younger:?}"
    );
    Ok(())
}

async fn filtered(world: &World, filter: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListCustomersRequest {
            page_size: 2,
            page_token,
            filter: filter.to_owned(),
        };
        let page = world.connection.customers().list_customers(asked).await?.into_inner();
        found.extend(page.customers.into_iter().map(|customer| customer.customer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            found.sort();
            return Ok(found);
        }
    }
}

async fn customers_are_found_by_a_filter(world: &World) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for number in 0..3 {
        let [(_, one), (_, other)] = two(world, &format!("lọc-{number}")).await?;
        update(world, sets(&one, "Đà Lạt", "lọc", &format!("filter-{number}"))).await?;
        wanted.extend([one.customer_id, other.customer_id].into_iter().take(1));
    }
    wanted.sort();
    for filter in [
        "'lọc' in customer.tags",
        "customer.attributes.city == 'Đà Lạt' && customer.channels == ['kiosk']",
        "customer.identifiers.exists(i, i.type == 'kiosk_id' && i.value.startsWith('lọc-'))",
        "customer.tags.exists(t, t == 'lọc') && customer.last_inbound_at > now - duration('24h')",
    ] {
        let found = filtered(world, filter).await?;
        ensure!(found == wanted, "{filter}: {found:?} instead of {wanted:?}");
    }
    let none = filtered(world, "customer.created_at > now").await?;
    ensure!(none.is_empty(), "{none:?}");
    for (filter, near) in [
        ("customer.tgas == []", "tags"),
        ("customer.attributes.citty == 'Huế'", "city"),
    ] {
        let asked = ListCustomersRequest {
            filter: filter.to_owned(),
            ..ListCustomersRequest::default()
        };
        let refused = world.connection.customers().list_customers(asked).await;
        let told = refused.err().context("a wrong filter was taken")?;
        ensure!(
            told.code() == Code::InvalidArgument && told.message().contains(&format!("did you mean {near:?}?")),
            "{told:?}"
        );
    }
    Ok(())
}

async fn entries(world: &World, customer_id: &str, asked: ListEntriesRequest) -> anyhow::Result<Vec<Entry>> {
    let asked = ListEntriesRequest {
        of: Some(EntriesOf::CustomerId(customer_id.to_owned())),
        oldest_first: true,
        ..asked
    };
    let page = world.connection.timelines().list_entries(asked).await?.into_inner();
    Ok(page.entries)
}

fn of_kinds(kinds: &[EntryKind]) -> ListEntriesRequest {
    ListEntriesRequest {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        ..ListEntriesRequest::default()
    }
}

fn note_text(entry: &Entry) -> Option<&str> {
    match entry.event.as_ref()?.kind.as_ref()? {
        Kind::Note(note) => Some(&note.text),
        _ => None,
    }
}

async fn notes_stand_on_the_timeline(world: &World) -> anyhow::Result<()> {
    let [(_, older), (_, younger)] = two(world, "ghi-chú").await?;
    let mut timelines = world.connection.timelines();
    let add = AddNoteRequest {
        customer_id: younger.customer_id.clone(),
        text: "gọi lại sau 18 giờ".to_owned(),
        author: "Minh".to_owned(),
        request_id: "note-1".to_owned(),
    };
    let note = a_note_is_watched(world, &younger, add.clone()).await?;
    let one = merge(world, &older, &younger, "note-merge").await?;
    let again = timelines.add_note(add).await?.into_inner().entry;
    ensure!(
        again.is_some_and(|again| again.entry_id == note.entry_id),
        "repeated after a merge it is another note"
    );
    let edit = EditNoteRequest {
        entry_id: note.entry_id.clone(),
        text: "đã gọi".to_owned(),
        author: "Vy".to_owned(),
        request_id: "note-2".to_owned(),
    };
    for _ in 0..2 {
        let answer = timelines.edit_note(edit.clone()).await?.into_inner();
        let edited = answer.entry.context("no note")?;
        ensure!(
            edited.revision == 1 && format!("{:?}", edited.current).contains("đã gọi"),
            "{edited:?}"
        );
    }
    let message = entries_are_filtered(world, &one).await?;
    let delete = DeleteNoteRequest {
        entry_id: note.entry_id,
        author: "Vy".to_owned(),
        request_id: "note-3".to_owned(),
    };
    let gone = timelines.delete_note(delete.clone()).await?.into_inner();
    ensure!(gone.entry.as_ref().is_some_and(|gone| gone.deleted), "{gone:?}");
    let foreign = DeleteNoteRequest {
        entry_id: message.entry_id,
        request_id: "note-4".to_owned(),
        ..delete
    };
    let refused = timelines.delete_note(foreign).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.code() == Code::FailedPrecondition),
        "{refused:?}"
    );
    Ok(())
}

/// Who watches a customer is told of a note.
async fn a_note_is_watched(world: &World, customer: &Customer, add: AddNoteRequest) -> anyhow::Result<Entry> {
    let asked = WatchRequest {
        customer_id: customer.customer_id.clone(),
        ..WatchRequest::default()
    };
    let mut watch = world.connection.timelines().watch(asked).await?.into_inner();
    let answer = world.connection.timelines().add_note(add).await?.into_inner();
    let note = answer.entry.context("no note")?;
    loop {
        let told = tokio::time::timeout(wait::PATIENCE, watch.message()).await;
        let told = told.context("the note was not told")??.context("the watch ended")?;
        if let Some(entry) = told.entry.filter(|entry| note_text(entry).is_some()) {
            ensure!(entry.entry_id == note.entry_id, "another note: {entry:?}");
            return Ok(note);
        }
    }
}

/// By kind, channel, account and time; gives the first message.
async fn entries_are_filtered(world: &World, customer: &Customer) -> anyhow::Result<Entry> {
    let id = &customer.customer_id;
    let kinds = of_kinds(&[EntryKind::Note, EntryKind::IdentityChange]);
    let listed = entries(world, id, kinds).await?;
    ensure!(listed.len() == 2 && note_text(&listed[0]).is_some(), "{listed:?}");
    let of_channel = ListEntriesRequest {
        channels: vec!["kiosk".to_owned()],
        account_ids: vec![KIOSK.to_owned()],
        ..ListEntriesRequest::default()
    };
    let by_channel = entries(world, id, of_channel).await?;
    ensure!(by_channel.len() == 2, "{by_channel:?}");
    let late = ListEntriesRequest {
        from: listed[1].shown_at,
        ..ListEntriesRequest::default()
    };
    let late = entries(world, id, late).await?;
    ensure!(
        late.first().map(|entry| &entry.entry_id) == Some(&listed[1].entry_id),
        "{late:?}"
    );
    by_channel.into_iter().next().context("no message")
}

async fn everything_is_one_answer(world: &World) -> anyhow::Result<()> {
    let [(kiosk, older), (_, younger)] = two(world, "tổng").await?;
    update(world, sets(&older, "Huế", "tổng", "overview-1")).await?;
    merge(world, &older, &younger, "overview-merge").await?;
    refuses(world, &older.customer_id, &kiosk).await?;
    for of in [Of::Identifier(kiosk), Of::CustomerId(younger.customer_id.clone())] {
        let asked = GetCustomerOverviewRequest {
            of: Some(of),
            newest_entries: 2,
        };
        let answer = world
            .connection
            .customers()
            .get_customer_overview(asked)
            .await?
            .into_inner();
        let customer = answer.customer.context("no customer")?;
        ensure!(customer.customer_id == older.customer_id, "{customer:?}");
        ensure!(
            customer.identifiers.len() == 2 && customer.threads.len() == 2,
            "{customer:?}"
        );
        ensure!(
            known(&customer) == (Some("Huế".to_owned()), vec!["tổng"]),
            "{customer:?}"
        );
        let [touchpoint] = answer.touchpoints.as_slice() else {
            anyhow::bail!("{:?}", answer.touchpoints);
        };
        ensure!(
            touchpoint.channel == "kiosk" && touchpoint.inbound_count == 2 && touchpoint.last_inbound_at.is_some(),
            "{touchpoint:?}"
        );
        ensure!(
            answer.entry_count == 3 && answer.entries.len() == 2,
            "{answer:?}",
            answer = answer.entries
        );
        // They were two when they wrote, so each has a conversation.
        ensure!(answer.conversations.len() == 2, "{:?}", answer.conversations);
        let refusals = answer.marketing_refusals.iter().map(|said| said.source.as_str());
        ensure!(refusals.eq(["call", "call"]), "{:?}", answer.marketing_refusals);
        let [consent] = answer.consents.as_slice() else {
            anyhow::bail!("{:?}", answer.consents);
        };
        ensure!(consent.status() == ConsentStatus::Denied, "{consent:?}");
        let [suppressed] = answer.suppressed.as_slice() else {
            anyhow::bail!("{:?}", answer.suppressed);
        };
        ensure!(
            suppressed.identifier == consent.identifier && suppressed.suppressions[0].holds,
            "{suppressed:?}"
        );
    }
    Ok(())
}

/// They want no advertising, in every way in which that can be said.
async fn refuses(world: &World, customer_id: &str, identifier: &Identifier) -> anyhow::Result<()> {
    let mut consents = world.connection.consents();
    let refusal = SetMarketingRefusalRequest {
        customer_id: customer_id.to_owned(),
        refuses: true,
        source: "call".into(),
        request_id: "overview-refusal".into(),
        ..SetMarketingRefusalRequest::default()
    };
    consents.set_marketing_refusal(refusal).await?;
    let denial = SetConsentRequest {
        identifier: Some(identifier.clone()),
        channel: "kiosk".into(),
        purpose: Purpose::Marketing.into(),
        status: ConsentStatus::Denied.into(),
        source: "call".into(),
        request_id: "overview-denial".into(),
        ..SetConsentRequest::default()
    };
    consents.set_consent(denial).await?;
    let listed = SuppressRequest {
        identifier: Some(identifier.clone()),
        reason: SuppressionReason::Manual.into(),
        marketing_only: true,
        source: "call".into(),
        request_id: "overview-listed".into(),
        ..SuppressRequest::default()
    };
    consents.suppress(listed).await?;
    Ok(())
}
