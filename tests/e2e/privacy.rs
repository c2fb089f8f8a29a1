//! A copy of everything that is kept about a person, and being forgotten; and that nobody is named where nobody is to be.

use crate::World;
use crate::identity::{at_kiosk, email, says, with_entries};
use crate::outbound::{send, to_customer};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::exported_item::Item;
use omnigate_proto::v1::{
    Customer, EraseCustomerRequest, Erasure, ExportCustomerRequest, GetCustomerRequest, Identifier,
    SetMarketingRefusalRequest,
};
use omnigate_tests::reading::{customer_of, words};
use pbjson_types::Timestamp;
use std::time::Duration;
use tonic::Code;

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    everything_about_a_person_is_handed_out_and_then_forgotten(world).await?;
    logs_and_metrics_name_nobody(world).await
}

async fn everything_about_a_person_is_handed_out_and_then_forgotten(world: &World) -> anyhow::Result<()> {
    let (kiosk, address) = (at_kiosk("thao"), email("thao"));
    says(world, &kiosk, &[&address], "thao hỏi đơn").await?;
    let (customer, _) = with_entries(world, &kiosk, 1).await?;
    let refusal = SetMarketingRefusalRequest {
        customer_id: customer.customer_id.clone(),
        refuses: true,
        source: "call".into(),
        request_id: "privacy-refusal".into(),
        ..SetMarketingRefusalRequest::default()
    };
    world.connection.consents().set_marketing_refusal(refusal).await?;
    let sent = send(world, to_customer("privacy-1", &customer.customer_id, "chào chị Thảo")).await?;
    with_entries(world, &address, 2).await?;
    let exported = export(world, &customer.customer_id).await?;
    ensure!(
        matches!(exported.first(), Some(Item::Customer(first)) if first.customer_id == customer.customer_id),
        "the customer does not come first: {exported:?}"
    );
    let said: Vec<String> = exported
        .iter()
        .filter_map(|item| match item {
            Item::Entry(entry) => Some(words(entry)),
            _ => None,
        })
        .collect();
    ensure!(said == ["thao hỏi đơn", "chào chị Thảo"], "{said:?}");
    let delivery = |item: &Item| matches!(item, Item::Delivery(delivery) if delivery.message_id == sent.message_id);
    ensure!(
        exported.iter().any(delivery),
        "without the message of ours: {exported:?}"
    );
    ensure!(exported.iter().any(|item| matches!(item, Item::IdentityEvent(_))));
    let refused = |item: &Item| matches!(item, Item::MarketingRefusal(said) if said.source == "call");
    ensure!(exported.iter().any(refused), "without their refusal: {exported:?}");

    is_forgotten(world, &customer, [&kiosk, &address]).await?;
    // Somebody new.
    says(world, &kiosk, &[], "thao trở lại").await?;
    let (new, said) = with_entries(world, &kiosk, 1).await?;
    ensure!(
        new.customer_id != customer.customer_id && said == ["thao trở lại"],
        "{said:?}"
    );
    let nobody = erase(world, "cus_00000000000000000000000000", "privacy-nobody").await;
    ensure!(nobody.is_err(), "{nobody:?}");
    Ok(())
}

async fn is_forgotten(world: &World, customer: &Customer, identifiers: [&Identifier; 2]) -> anyhow::Result<()> {
    let erasure = erase(world, &customer.customer_id, "privacy-erase").await?;
    ensure!(erasure.identifiers == 2, "{erasure:?}");
    let ends = |at: &Option<Timestamp>| at.as_ref().map(|at| at.seconds).unwrap_or_default();
    let journal = erasure.remaining_copies.iter().find(|copy| copy.place == "journal");
    let journal = journal.context("the journal keeps no copy?")?;
    let keys = erasure.remaining_copies.iter().find(|copy| copy.place == "broker_keys");
    let keys = keys.context("nobody says when the keys end")?;
    ensure!(
        ends(&keys.gone_at) > ends(&journal.gone_at) && ends(&erasure.last_copy_gone_at) == ends(&keys.gone_at),
        "{erasure:?}"
    );
    let kept = ends(&journal.gone_at) - ends(&erasure.finished_at);
    ensure!(
        kept == i64::try_from(Duration::from_hours(72).as_secs())?,
        "{erasure:?}"
    );
    ensure!(
        ends(&erasure.last_copy_gone_at) >= ends(&journal.gone_at),
        "{erasure:?}"
    );
    ensure!(ends(&erasure.finished_at) >= ends(&erasure.began_at), "{erasure:?}");
    for identifier in identifiers {
        let found = customer_of(&world.connection, identifier.clone()).await?;
        ensure!(found.is_none(), "{found:?}");
    }
    let asked = GetCustomerRequest {
        customer_id: customer.customer_id.clone(),
    };
    let refused = world.connection.customers().get_customer(asked).await;
    ensure!(refused.is_err_and(|status| status.code() == Code::NotFound));
    // Whoever asks again, by this request or by another, gets the same proof.
    for request_id in ["privacy-erase", "privacy-erase-again"] {
        let again = erase(world, &customer.customer_id, request_id).await?;
        ensure!(again == erasure, "{again:?}, not {erasure:?}");
    }
    Ok(())
}

pub(crate) async fn export(world: &World, customer_id: &str) -> anyhow::Result<Vec<Item>> {
    let asked = ExportCustomerRequest {
        customer_id: customer_id.to_owned(),
    };
    let mut parts = world.connection.customers().export_customer(asked).await?.into_inner();
    let mut items = Vec::new();
    while let Some(part) = parts.message().await? {
        items.extend(part.items.into_iter().filter_map(|item| item.item));
    }
    Ok(items)
}

pub(crate) async fn erase(world: &World, customer_id: &str, request_id: &str) -> anyhow::Result<Erasure> {
    let asked = EraseCustomerRequest {
        customer_id: customer_id.to_owned(),
        request_id: request_id.to_owned(),
    };
    let answer = world.connection.customers().erase_customer(asked).await?;
    answer.into_inner().erasure.context("no proof")
}

/// All scenes before have left their lines: words, numbers, addresses and names of the people in them.
async fn logs_and_metrics_name_nobody(world: &World) -> anyhow::Result<()> {
    let logs = world.gateway.logs();
    ensure!(logs.lines().count() > 10, "there is nothing to look through:\n{logs}");
    for page in [logs, world.gateway.metrics().await?] {
        for named in [
            "thao hỏi đơn",
            "chào chị Thảo",
            "minh một",
            "@example.vn",
            "900000771",
            "Lan ở quầy",
        ] {
            let line = page.lines().find(|line| line.contains(named));
            ensure!(line.is_none(), "{named} is in {line:?}");
        }
    }
    Ok(())
}
