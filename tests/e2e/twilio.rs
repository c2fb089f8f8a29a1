//! SMS through Twilio.

use crate::World;
use crate::outbound::{message, reaches, send};
use crate::sms::{
    advertising, entries_of, is_back, phone, skipped_as, to_phone, who_writes_is_there_and_nobody_else, wishes,
};
use anyhow::ensure;
use omnigate_proto::v1::{DeliveryState, ErrorClass, SubscriptionState};
use omnigate_sandbox::twilio::{Fate, Forgery, Options, SmsHandle, Twilio, TwilioOptions};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::words;
use std::collections::BTreeMap;
use tokio::net::TcpListener;

/// The account.
const TWILIO: &str = "twilio";
/// Its number.
const NUMBER: &str = "+14155550100";

/// A Twilio that tells of messages at once.
pub(crate) async fn start() -> anyhow::Result<SmsHandle> {
    let options = TwilioOptions {
        common: Options {
            speed: 20,
            ..Options::default()
        },
        ..TwilioOptions::default()
    };
    Ok(Twilio::start(TcpListener::bind("127.0.0.1:0").await?, options)?)
}

/// Configures the account; `webhooks` is where the gateway is called back.
pub(crate) fn configure(keys: &mut Keys, twilio: &SmsHandle, webhooks: &str) {
    let account = TwilioOptions::default();
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{TWILIO}.{key}"), value.to_owned());
    set("channel", "sms");
    set("provider", "twilio");
    set("settings.account_sid", &account.account_sid);
    set("settings.auth_token", &account.auth_token);
    set("settings.api_url", &twilio.base_url());
    set("settings.public_url", &format!("http://{webhooks}"));
    set("settings.sender", &format!("{NUMBER:?}"));
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    world.twilio.set_webhook(Some(world.gateway.webhook(TWILIO)));
    a_text_comes_and_an_answer_is_delivered(world).await?;
    a_forged_call_is_refused(world).await?;
    a_number_that_cannot_be_reached_says_why(world).await?;
    who_writes_stop_gets_no_advertising(world).await
}

async fn a_text_comes_and_an_answer_is_delivered(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000201";
    let sid = world.twilio.text(WHO, NUMBER, "xin chào");
    let entries = entries_of(world, &phone(WHO), 1).await?;
    let event = entries[0].event.clone().unwrap_or_default();
    ensure!(
        words(&entries[0]) == "xin chào" && event.provider_message_id == sid,
        "{event:?}"
    );
    let sent = send(world, to_phone("twilio-1", TWILIO, WHO, message("chào bạn"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    let theirs = world.twilio.sent();
    ensure!(theirs.len() == 1 && theirs[0].text == "chào bạn", "{theirs:?}");
    ensure!(sent.pieces[0].provider_message_id == theirs[0].id, "{sent:?}");
    let answered = world.twilio.callbacks();
    ensure!(answered.iter().all(|callback| callback.status == 200), "{answered:?}");
    Ok(())
}

async fn a_forged_call_is_refused(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000202";
    let body = format!("MessageSid=SM00000000000000000000000000000009&From=%2B{WHO}&To=%2B14155550100&Body=gia");
    let mut headers = BTreeMap::from([(
        "content-type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    )]);
    for signature in [None, Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")] {
        if let Some(signature) = signature {
            headers.insert("x-twilio-signature".to_owned(), signature.to_owned());
        }
        let forged = Forgery {
            url: world.gateway.webhook(TWILIO),
            headers: headers.clone(),
            body: body.clone(),
            ..Forgery::default()
        };
        let status = world.twilio.forge(&forged).await?;
        ensure!(status == 401, "a forged call was answered {status}");
    }
    let _sid = world.twilio.text("84912000203", NUMBER, "thật");
    who_writes_is_there_and_nobody_else(world, "84912000203", WHO).await
}

async fn a_number_that_cannot_be_reached_says_why(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000204";
    let fate = Fate::Failed {
        code: "30003".to_owned(),
    };
    world.twilio.set_fate(WHO, fate);
    let sent = send(world, to_phone("twilio-2", TWILIO, WHO, message("tắt máy"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Failed]).await?;
    let error = sent.error.unwrap_or_default();
    ensure!(error.provider_code == "30003", "{error:?}");
    ensure!(error.class() != ErrorClass::Unspecified, "{error:?}");
    Ok(())
}

async fn who_writes_stop_gets_no_advertising(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000205";
    let _sid = world.twilio.text(WHO, NUMBER, "STOP");
    let entries = entries_of(world, &phone(WHO), 2).await?;
    let told = wishes(&entries);
    ensure!(told.len() == 1, "{entries:?}");
    ensure!(told[0].state() == SubscriptionState::Unsubscribed, "{told:?}");
    let refused = send(world, to_phone("twilio-ad", TWILIO, WHO, advertising("Sale"))).await?;
    let refused = reaches(world, &refused.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&refused) == "opted_out", "{:?}", refused.error);
    let _sid = world.twilio.text(WHO, NUMBER, "START");
    is_back(world, WHO).await?;
    let welcome = send(world, to_phone("twilio-ad-2", TWILIO, WHO, advertising("Sale"))).await?;
    reaches(world, &welcome.message_id, &[DeliveryState::Delivered]).await?;
    Ok(())
}
