//! Addresses that a provider calls no good: nothing leaves for them any more.

use crate::external::push;
use crate::outbound::{message, reaches, send};
use crate::{KIOSK, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    DeliveryState, ErrorClass, Event, GetSuppressionRequest, Identifier, Receipt, ReceiptState, RecipientFault,
    SendError, SendMessageRequest, SuppressionReason, UnsuppressRequest, get_suppression_request, unsuppress_request,
};

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    let who = Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: "+84900000991".to_owned(),
    };
    let sends = async |request_id: &str| {
        let request = SendMessageRequest {
            request_id: request_id.to_owned(),
            target: Some(Target::Identifier(who.clone())),
            account_id: KIOSK.to_owned(),
            message: Some(message("đơn đã giao")),
            ..SendMessageRequest::default()
        };
        send(world, request).await
    };
    let bounced = sends("bounce-1").await?;
    reaches(world, &bounced.message_id, &[DeliveryState::Accepted]).await?;
    let sent = world.kiosk.sent();
    let key = &sent.last().context("nothing was sent")?.send_key;
    let receipt = Receipt {
        provider_message_id: format!("kiosk-{key}"),
        state: ReceiptState::Failed.into(),
        error: Some(SendError {
            class: ErrorClass::RecipientPermanent.into(),
            recipient_fault: RecipientFault::NoSuchAddress.into(),
            ..SendError::default()
        }),
        ..Receipt::default()
    };
    let event = Event {
        account_id: KIOSK.to_owned(),
        provider_message_id: format!("kiosk-{key}"),
        kind: Some(Kind::Receipt(receipt)),
        ..Event::default()
    };
    push(world, event.clone()).await?;
    reaches(world, &bounced.message_id, &[DeliveryState::Failed]).await?;
    let next = sends("bounce-2").await?;
    let refused = reaches(world, &next.message_id, &[DeliveryState::Skipped]).await?;
    let code = refused.error.unwrap_or_default().provider_code;
    ensure!(code == "suppressed", "{code}");
    is_listed(world, &who).await?;
    let asked = UnsuppressRequest {
        of: Some(unsuppress_request::Of::Identifier(who.clone())),
        channel: "kiosk".to_owned(),
        reason: SuppressionReason::HardBounce.into(),
        request_id: "unbounce".to_owned(),
    };
    world.connection.consents().unsuppress(asked).await?;
    // The same report, late, puts nobody back.
    push(world, event).await?;
    let again = sends("bounce-3").await?;
    reaches(world, &again.message_id, &[DeliveryState::Accepted]).await?;
    Ok(())
}

async fn is_listed(world: &World, who: &Identifier) -> anyhow::Result<()> {
    let asked = GetSuppressionRequest {
        of: Some(get_suppression_request::Of::Identifier(who.clone())),
    };
    let listed = world.connection.consents().get_suppression(asked).await?.into_inner();
    let [entry] = listed.suppressions.as_slice() else {
        anyhow::bail!("{listed:?}");
    };
    ensure!(
        entry.reason() == SuppressionReason::HardBounce && entry.channel == "kiosk" && entry.source == "provider",
        "{entry:?}"
    );
    Ok(())
}
