//! Bad input: one clear error each, and nothing lost.

use crate::outbound::to_customer;
use crate::{SHOP, World, inbound};
use anyhow::ensure;
use omnigate_proto::v1::{GetCustomerRequest, ListCustomersRequest, SendMessageRequest};
use omnigate_rpc::client::Connection;
use omnigate_tests::bot::SECRET;
use serde_json::json;
use tonic::Code;

pub(crate) async fn each_gets_one_clear_error(world: &World) -> anyhow::Result<()> {
    let before = inbound::everything(&world.connection).await?;
    webhooks(world).await?;
    calls(world).await?;
    let after = inbound::everything(&world.connection).await?;
    ensure!(before == after, "bad input changed something");
    Ok(())
}

async fn webhooks(world: &World) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let update = json!({ "update_id": 1, "message": { "message_id": 1, "date": 1, "chat": { "id": 1, "type": "private" }, "text": "x" } });
    let update = update.to_string();
    let huge = "x".repeat(5 * 1024 * 1024);
    for (name, url, secret, body, expected) in [
        (
            "wrong secret",
            world.gateway.webhook(SHOP),
            "wrong",
            update.clone(),
            401,
        ),
        ("no app", world.gateway.webhook("nobody"), SECRET, update.clone(), 404),
        (
            "cut short",
            world.gateway.webhook(SHOP),
            SECRET,
            update[..20].to_owned(),
            400,
        ),
        ("empty", world.gateway.webhook(SHOP), SECRET, String::new(), 400),
        ("too large", world.gateway.webhook(SHOP), SECRET, huge, 413),
    ] {
        let request = client
            .post(url)
            .header("x-telegram-bot-api-secret-token", secret)
            .body(body);
        let status = request.send().await?.status().as_u16();
        ensure!(status == expected, "{name}: {status} instead of {expected}");
    }
    Ok(())
}

async fn calls(world: &World) -> anyhow::Result<()> {
    let connection = &world.connection;
    let get = |id: &str| GetCustomerRequest {
        customer_id: id.to_owned(),
    };
    let code = connection
        .customers()
        .get_customer(get("cus_nonsense"))
        .await
        .err()
        .map(|status| status.code());
    ensure!(code == Some(Code::InvalidArgument), "an id that is none: {code:?}");
    let missing = get("cus_00000000000000000000000000");
    let code = connection
        .customers()
        .get_customer(missing)
        .await
        .err()
        .map(|status| status.code());
    ensure!(code == Some(Code::NotFound), "an id of nobody: {code:?}");
    let asked = ListCustomersRequest {
        page_size: -1,
        ..ListCustomersRequest::default()
    };
    let code = connection
        .customers()
        .list_customers(asked)
        .await
        .err()
        .map(|status| status.code());
    ensure!(code == Some(Code::InvalidArgument), "a negative page: {code:?}");
    let empty = SendMessageRequest {
        message: None,
        ..to_customer("empty", "cus_00000000000000000000000000", "")
    };
    let refused = connection.messages().send_message(empty).await.err();
    ensure!(
        refused
            .as_ref()
            .is_some_and(|status| status.message().contains("message.parts")),
        "an empty message: {refused:?}"
    );
    let address = &world.gateway.addresses["listen.api"];
    for (token, expected) in [
        (None, "TOKEN_MISSING"),
        (Some("guessed-guessed-guessed"), "TOKEN_UNKNOWN"),
    ] {
        let stranger = Connection::open(address, token, None).await?;
        let refused = stranger
            .customers()
            .list_customers(ListCustomersRequest::default())
            .await
            .err();
        let reason = refused.as_ref().and_then(omnigate_rpc::error::reason);
        ensure!(reason.as_deref() == Some(expected), "{token:?}: {refused:?}");
    }
    Ok(())
}
