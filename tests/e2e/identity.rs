//! Who is who: people who turn out to be one, and people who are taken apart again.

use crate::external::push;
use crate::outbound::message;
use crate::{KIOSK, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::split_customer_request::What;
use omnigate_proto::v1::{
    ConflictResolution, Customer, Entry, Event, Evidence, GetCustomerRequest, Identifier, IdentifierEvidence,
    IdentityEventKind, LinkIdentifierRequest, ListConflictsRequest, ListIdentityEventsRequest, MergeCustomersRequest,
    ResolveConflictRequest, SplitCustomerRequest, UndoneMerge, UnlinkIdentifierRequest, WatchRequest, WatchResponse,
};
use omnigate_rpc::error::reason;
use omnigate_tests::reading::{arrived, customer_of, timeline, words};
use omnigate_tests::wait;
use tonic::{Code, Streaming};

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    two_first_messages_that_share_an_identifier_make_one_customer(world).await?;
    two_customers_become_one_and_are_taken_apart_again(world).await?;
    what_a_person_took_apart_is_a_conflict_and_not_a_merge(world).await?;
    ids_of_record_that_differ_are_never_merged(world).await?;
    identifiers_are_given_and_taken(world).await
}

fn identifier(kind: &str, scope: &str, value: &str) -> Identifier {
    Identifier {
        r#type: kind.to_owned(),
        scope: scope.to_owned(),
        value: value.to_owned(),
    }
}

/// Somebody at the kiosk.
pub(crate) fn at_kiosk(name: &str) -> Identifier {
    identifier("kiosk_id", KIOSK, name)
}

pub(crate) fn email(name: &str) -> Identifier {
    identifier("email", "", &format!("{name}@example.vn"))
}

/// What `peer` says; the kiosk has verified the others.
pub(crate) async fn says(world: &World, peer: &Identifier, others: &[&Identifier], text: &str) -> anyhow::Result<()> {
    let known = |(identifier, evidence): (&Identifier, Evidence)| IdentifierEvidence {
        identifier: Some(identifier.clone()),
        evidence: evidence.into(),
        provider_form: String::new(),
    };
    let others = others.iter().map(|other| (*other, Evidence::Verified));
    let event = Event {
        account_id: KIOSK.to_owned(),
        peer: Some(peer.clone()),
        identifiers: std::iter::once((peer, Evidence::Vouched))
            .chain(others)
            .map(known)
            .collect(),
        provider_message_id: text.to_owned(),
        kind: Some(Kind::Message(message(text))),
        ..Event::default()
    };
    push(world, event).await
}

/// Merges and splits stand on timelines too.
fn is_identity_change(entry: &Entry) -> bool {
    let kind = entry.event.as_ref().and_then(|event| event.kind.as_ref());
    matches!(kind, Some(Kind::IdentityChange(_)))
}

/// The customer of an identifier once its timeline has so many entries of theirs.
pub(crate) async fn with_entries(
    world: &World,
    of: &Identifier,
    count: usize,
) -> anyhow::Result<(Customer, Vec<String>)> {
    wait::until("a timeline", async || {
        let Some(customer) = customer_of(&world.connection, of.clone()).await? else {
            return Ok(Err((of.clone(), Vec::new())));
        };
        let entries = timeline(&world.connection, &customer.customer_id).await?;
        let messages = entries.iter().filter(|entry| !is_identity_change(entry));
        let said: Vec<String> = messages.map(words).collect();
        if said.len() != count {
            return Ok(Err((of.clone(), said)));
        }
        // Of the one who was found before it may have been part only.
        let customer = get(world, &customer.customer_id).await?;
        Ok(Ok((customer, said)))
    })
    .await
}

pub(crate) async fn get(world: &World, customer_id: &str) -> anyhow::Result<Customer> {
    let asked = GetCustomerRequest {
        customer_id: customer_id.to_owned(),
    };
    let answer = world.connection.customers().get_customer(asked).await?;
    answer.into_inner().customer.context("no customer")
}

async fn two_first_messages_that_share_an_identifier_make_one_customer(world: &World) -> anyhow::Result<()> {
    let (one, other, shared) = (at_kiosk("lan-1"), at_kiosk("lan-2"), email("lan"));
    // One kiosk id is all that a customer has of one kiosk; the second one comes by a phone.
    let phone = identifier("phone", "", "+84900000771");
    let both = [&shared];
    let (first, second) = tokio::join!(
        says(world, &one, &both, "Lan ở quầy"),
        says(world, &phone, &both, "Lan gọi điện"),
    );
    first.and(second)?;
    let (customer, _) = with_entries(world, &shared, 2).await?;
    ensure!(customer.identifiers.len() == 3, "{customer:?}");
    // A second kiosk id is too many: whoever has it stays somebody else, and nothing is lost.
    says(world, &other, &[&shared], "Lan khác").await?;
    let (somebody, said) = with_entries(world, &other, 1).await?;
    ensure!(
        somebody.customer_id != customer.customer_id && said == ["Lan khác"],
        "{somebody:?}"
    );
    Ok(())
}

/// Two who wrote before anybody knew that they are one.
async fn two_who_are_one(world: &World, name: &str) -> anyhow::Result<(Identifier, Identifier)> {
    let (kiosk, phone) = (at_kiosk(name), email(name));
    says(world, &kiosk, &[], &format!("{name} một")).await?;
    let older = arrived(&world.connection, &kiosk).await?;
    says(world, &phone, &[], &format!("{name} hai")).await?;
    let younger = arrived(&world.connection, &phone).await?;
    ensure!(older.customer_id < younger.customer_id, "ids do not grow");
    Ok((kiosk, phone))
}

async fn two_customers_become_one_and_are_taken_apart_again(world: &World) -> anyhow::Result<()> {
    let (kiosk, phone) = two_who_are_one(world, "minh").await?;
    let older = arrived(&world.connection, &kiosk).await?;
    let younger = arrived(&world.connection, &phone).await?;
    let asked = WatchRequest {
        customer_id: younger.customer_id.clone(),
        ..WatchRequest::default()
    };
    let watch = world.connection.timelines().watch(asked).await?.into_inner();
    says(world, &kiosk, &[&phone], "minh thêm").await?;
    watch_through_a_merge(watch, "minh thêm").await?;
    let (one, said) = with_entries(world, &kiosk, 3).await?;
    ensure!(
        one.customer_id == older.customer_id,
        "the younger one survived: {one:?}"
    );
    ensure!(said == ["minh một", "minh hai", "minh thêm"], "{said:?}");
    let by_old_id = get(world, &younger.customer_id).await?;
    ensure!(by_old_id.customer_id == older.customer_id, "{by_old_id:?}");
    let [merged] = one.merged.as_slice() else {
        anyhow::bail!("{:?}", one.merged);
    };
    ensure!(merged.customer_id == younger.customer_id, "{merged:?}");

    undo(world, [&older.customer_id, &younger.customer_id], &merged.merge_id).await?;
    let (_, said) = with_entries(world, &kiosk, 2).await?;
    ensure!(said == ["minh một", "minh thêm"], "{said:?}");
    let (_, said) = with_entries(world, &phone, 1).await?;
    ensure!(
        said == ["minh hai"],
        "entries did not follow their identifier: {said:?}"
    );
    told(
        world,
        &older.customer_id,
        &[
            IdentityEventKind::Created,
            IdentityEventKind::Merged,
            IdentityEventKind::Split,
        ],
    )
    .await?;
    told(
        world,
        &younger.customer_id,
        &[
            IdentityEventKind::Created,
            IdentityEventKind::MergedInto,
            IdentityEventKind::SplitOff,
        ],
    )
    .await
}

/// A watch of a customer who is merged says so, and goes on with what belongs to them now.
async fn watch_through_a_merge(mut watch: Streaming<WatchResponse>, text: &str) -> anyhow::Result<()> {
    let mut changed = false;
    loop {
        let next = tokio::time::timeout(wait::PATIENCE, watch.message()).await;
        let next = next
            .context("the watch does not follow the merge")??
            .context("the watch ended")?;
        changed |= next.customer_changed;
        if next.entry.is_some_and(|entry| words(&entry) == text) {
            break;
        }
    }
    ensure!(changed, "the merge was not told");
    Ok(())
}

/// Takes a merge back: the same request again is answered alike, and with another body it is refused.
pub(crate) async fn undo(world: &World, [older, younger]: [&str; 2], merge_id: &str) -> anyhow::Result<()> {
    let request = SplitCustomerRequest {
        customer_id: younger.to_owned(),
        request_id: format!("undo-{merge_id}"),
        what: Some(What::Undo(UndoneMerge {
            merge_id: merge_id.to_owned(),
            identifiers: Vec::new(),
        })),
    };
    for _ in 0..2 {
        // The same request again is answered alike, though there is nothing to undo any more.
        let answer = world.connection.customers().split_customer(request.clone()).await?;
        let back = answer.into_inner().split_customer.context("no customer")?;
        ensure!(back.customer_id == younger, "another id came back: {back:?}");
    }
    let other = SplitCustomerRequest {
        customer_id: older.to_owned(),
        ..request
    };
    let refused = world.connection.customers().split_customer(other).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.code() == Code::AlreadyExists),
        "{refused:?}"
    );
    Ok(())
}

/// The identity events of a customer's own record, in order.
async fn told(world: &World, customer_id: &str, kinds: &[IdentityEventKind]) -> anyhow::Result<()> {
    let asked = ListIdentityEventsRequest {
        customer_id: customer_id.to_owned(),
    };
    let answer = world
        .connection
        .customers()
        .list_identity_events(asked)
        .await?
        .into_inner();
    ensure!(answer.intact, "the chain is broken: {answer:?}");
    let own = answer.events.iter().filter(|event| event.customer_id == customer_id);
    let found: Vec<IdentityEventKind> = own.map(omnigate_proto::v1::IdentityEvent::kind).collect();
    ensure!(found == kinds, "{found:?}, not {kinds:?}");
    Ok(())
}

/// Two who are in conflict about something else than a phone number.
async fn no_number_is_in_question(world: &World, older: &str, younger: &str) -> anyhow::Result<()> {
    let asked = ResolveConflictRequest {
        customer_id: older.to_owned(),
        other_customer_id: younger.to_owned(),
        resolution: ConflictResolution::NewHolder.into(),
        request_id: "give-minh".to_owned(),
    };
    let refused = world.connection.customers().resolve_conflict(asked).await;
    let status = refused.err().context("a number was given that nobody asks about")?;
    ensure!(
        status.code() == Code::FailedPrecondition && reason(&status).as_deref() == Some("NO_NUMBER_IN_QUESTION"),
        "{status:?}"
    );
    Ok(())
}

async fn what_a_person_took_apart_is_a_conflict_and_not_a_merge(world: &World) -> anyhow::Result<()> {
    let (kiosk, phone) = (at_kiosk("minh"), email("minh"));
    let older = arrived(&world.connection, &kiosk).await?;
    let younger = arrived(&world.connection, &phone).await?;
    says(world, &kiosk, &[&phone], "minh bốn").await?;
    with_entries(world, &kiosk, 3).await?;
    let conflict = wait::until("a conflict", async || {
        let asked = ListConflictsRequest::default();
        let page = world.connection.customers().list_conflicts(asked).await?.into_inner();
        let mut conflicts = page.conflicts.iter();
        let found = conflicts.find(|conflict| conflict.other_customer_id == younger.customer_id);
        Ok(found.cloned().ok_or(page.conflicts))
    })
    .await?;
    ensure!(
        conflict.customer_id == older.customer_id && conflict.rules == ["DO_NOT_LINK"],
        "{conflict:?}"
    );
    let asked = MergeCustomersRequest {
        customer_id: older.customer_id.clone(),
        other_customer_id: younger.customer_id.clone(),
        validate_only: true,
        request_id: "check-minh".to_owned(),
    };
    let answer = world.connection.customers().merge_customers(asked).await?.into_inner();
    let mark = answer
        .checks
        .iter()
        .find(|check| check.rule == "DO_NOT_LINK")
        .context("no check")?;
    ensure!(mark.allows && !mark.allows_without_a_person, "{mark:?}");
    no_number_is_in_question(world, &older.customer_id, &younger.customer_id).await?;
    // A person may change their mind.
    let asked = ResolveConflictRequest {
        customer_id: older.customer_id.clone(),
        other_customer_id: younger.customer_id.clone(),
        resolution: ConflictResolution::Merge.into(),
        request_id: "resolve-minh".to_owned(),
    };
    world.connection.customers().resolve_conflict(asked).await?;
    with_entries(world, &phone, 4).await?;
    a_merge_that_is_asked_for_again(world, &older.customer_id, &younger.customer_id).await?;
    let page = world
        .connection
        .customers()
        .list_conflicts(ListConflictsRequest::default())
        .await?;
    let left = page.into_inner().conflicts;
    ensure!(
        left.iter()
            .all(|conflict| conflict.other_customer_id != younger.customer_id),
        "{left:?}"
    );
    Ok(())
}

/// One request id is one request, also where there is nothing left to do.
async fn a_merge_that_is_asked_for_again(world: &World, older: &str, younger: &str) -> anyhow::Result<()> {
    let asked = MergeCustomersRequest {
        customer_id: older.to_owned(),
        other_customer_id: younger.to_owned(),
        validate_only: false,
        request_id: "again-minh".to_owned(),
    };
    for _ in 0..2 {
        let answer = world.connection.customers().merge_customers(asked.clone()).await?;
        let one = answer.into_inner().customer.context("no customer")?;
        ensure!(one.customer_id == older, "{one:?}");
    }
    let other = MergeCustomersRequest {
        other_customer_id: older.to_owned(),
        ..asked
    };
    let refused = world.connection.customers().merge_customers(other).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.code() == Code::AlreadyExists),
        "{refused:?}"
    );
    Ok(())
}

async fn ids_of_record_that_differ_are_never_merged(world: &World) -> anyhow::Result<()> {
    let (kiosk, phone) = two_who_are_one(world, "hoa").await?;
    let record = |number: &str| identifier("crm", "erp", number);
    says(world, &kiosk, &[&record("1001")], "hoa thêm").await?;
    says(world, &phone, &[&record("1002")], "hoa bốn").await?;
    with_entries(world, &kiosk, 2).await?;
    with_entries(world, &phone, 2).await?;
    says(world, &kiosk, &[&phone], "hoa năm").await?;
    let (older, _) = with_entries(world, &kiosk, 3).await?;
    let (younger, _) = with_entries(world, &phone, 2).await?;
    let asked = MergeCustomersRequest {
        customer_id: older.customer_id.clone(),
        other_customer_id: younger.customer_id.clone(),
        validate_only: false,
        request_id: "merge-hoa".to_owned(),
    };
    let refused = world.connection.customers().merge_customers(asked).await;
    let status = refused.err().context("a person overruled ids of record")?;
    ensure!(
        status.code() == Code::FailedPrecondition && status.message().contains("AUTHORITATIVE_ID"),
        "{status:?}"
    );
    let asked = ResolveConflictRequest {
        customer_id: older.customer_id.clone(),
        other_customer_id: younger.customer_id.clone(),
        resolution: ConflictResolution::KeepApart.into(),
        request_id: "apart-hoa".to_owned(),
    };
    for _ in 0..2 {
        world.connection.customers().resolve_conflict(asked.clone()).await?;
    }
    Ok(())
}

async fn identifiers_are_given_and_taken(world: &World) -> anyhow::Result<()> {
    let kiosk = at_kiosk("vy");
    let phone = identifier("phone", "", "+84900000772");
    says(world, &kiosk, &[], "vy một").await?;
    let customer = arrived(&world.connection, &kiosk).await?;
    let link = LinkIdentifierRequest {
        customer_id: customer.customer_id.clone(),
        identifier: Some(identifier("phone", "", "+84 900 000 772")),
        request_id: "link-vy".to_owned(),
    };
    for _ in 0..2 {
        let answer = world
            .connection
            .customers()
            .link_identifier(link.clone())
            .await?
            .into_inner();
        let linked = answer.customer.context("no customer")?;
        ensure!(
            linked.customer_id == customer.customer_id && linked.identifiers.len() == 2,
            "{linked:?}"
        );
    }
    says(world, &phone, &[], "vy hai").await?;
    with_entries(world, &kiosk, 2).await?;
    let unlink = UnlinkIdentifierRequest {
        customer_id: customer.customer_id.clone(),
        identifier: Some(phone.clone()),
        request_id: "unlink-vy".to_owned(),
    };
    let answer = world
        .connection
        .customers()
        .unlink_identifier(unlink)
        .await?
        .into_inner();
    let alone = answer.unlinked_customer.context("no customer")?;
    ensure!(alone.customer_id != customer.customer_id, "{alone:?}");
    let (_, said) = with_entries(world, &kiosk, 1).await?;
    ensure!(said == ["vy một"], "{said:?}");
    let (_, said) = with_entries(world, &phone, 1).await?;
    ensure!(said == ["vy hai"], "{said:?}");
    let foreign = UnlinkIdentifierRequest {
        customer_id: customer.customer_id,
        identifier: Some(phone),
        request_id: "unlink-vy-again".to_owned(),
    };
    let refused = world.connection.customers().unlink_identifier(foreign).await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|status| status.code() == Code::InvalidArgument),
        "{refused:?}"
    );
    Ok(())
}
