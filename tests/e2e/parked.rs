//! What could not be applied.

use crate::outbound::message;
use crate::{SHOP, World};
use anyhow::ensure;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{
    DiscardParkedRequest, Event, GetParkedRequest, Identifier, ListParkedRequest, ParkedItem, PushRequest, PushStatus,
    ReplayParkedRequest,
};
use omnigate_tests::{bot, wait};
use tonic::Code;

pub(crate) async fn an_unknown_account_is_parked_and_told(world: &World) -> anyhow::Result<()> {
    let ingest = world.gateway.connect_ingest(&world.gateway.token()?).await?;
    let event = Event {
        account_id: "closed-shop".to_owned(),
        peer: Some(Identifier {
            r#type: "phone".to_owned(),
            scope: String::new(),
            value: "+84900000001".to_owned(),
        }),
        provider_message_id: "p1".to_owned(),
        kind: Some(Kind::Message(message("còn mở cửa không?"))),
        ..Event::default()
    };
    let request = PushRequest {
        events: vec![event],
        raw: Vec::new(),
    };
    let answer = ingest.ingest().push(request).await?.into_inner();
    ensure!(answer.results[0].status() == PushStatus::Parked, "{:?}", answer.results);
    let item = listed(world, "closed-shop").await?;
    ensure!(item.reason == "unknown_account", "{item:?}");
    can_be_looked_at_and_discarded(world, &item).await?;
    a_replay_that_fails_again_loses_nothing(world).await
}

/// An update about nobody whose message cannot be read is parked, replayed, and parked again.
async fn a_replay_that_fails_again_loses_nothing(world: &World) -> anyhow::Result<()> {
    let update = r#"{"update_id":920001,"message":{"message_id":"abc"}}"#;
    let answer = reqwest::Client::new()
        .post(world.gateway.webhook(SHOP))
        .header("x-telegram-bot-api-secret-token", bot::SECRET)
        .body(update)
        .send()
        .await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let first = listed(world, SHOP).await?;
    let replay = ReplayParkedRequest {
        parked_id: first.parked_id.clone(),
        request_id: "again".to_owned(),
    };
    world.connection.parked().replay_parked(replay).await?;
    let again = listed(world, SHOP).await?;
    ensure!(again.parked_id != first.parked_id, "{again:?}");
    let discard = DiscardParkedRequest {
        parked_id: again.parked_id,
        request_id: "enough".to_owned(),
    };
    world.connection.parked().discard_parked(discard).await?;
    Ok(())
}

async fn listed(world: &World, account: &str) -> anyhow::Result<ParkedItem> {
    wait::until("a parked item", async || {
        let page = world
            .connection
            .parked()
            .list_parked(ListParkedRequest::default())
            .await?
            .into_inner();
        let found = page.items.into_iter().find(|item| item.account_id == account);
        Ok(found.ok_or("not listed"))
    })
    .await
}

async fn can_be_looked_at_and_discarded(world: &World, item: &ParkedItem) -> anyhow::Result<()> {
    let asked = GetParkedRequest {
        parked_id: item.parked_id.clone(),
    };
    let whole = world.connection.parked().get_parked(asked).await?.into_inner().item;
    ensure!(
        whole.is_some_and(|whole| whole.event.is_some()),
        "the item has no event"
    );
    let replay = ReplayParkedRequest {
        parked_id: item.parked_id.clone(),
        request_id: "replay".to_owned(),
    };
    let refused = world.connection.parked().replay_parked(replay).await;
    ensure!(
        refused.is_err_and(|status| status.code() == Code::FailedPrecondition),
        "an item of an account that is still unknown was replayed"
    );
    let discard = DiscardParkedRequest {
        parked_id: item.parked_id.clone(),
        request_id: "discard".to_owned(),
    };
    world.connection.parked().discard_parked(discard).await?;
    let page = world
        .connection
        .parked()
        .list_parked(ListParkedRequest::default())
        .await?
        .into_inner();
    ensure!(page.items.is_empty(), "{:?}", page.items);
    Ok(())
}
