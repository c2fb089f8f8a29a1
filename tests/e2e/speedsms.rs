//! SMS through SpeedSMS.vn.

use crate::World;
use crate::outbound::{message, reaches, send};
use crate::sms::{
    advertising, entries_of, is_back, phone, skipped_as, to_phone, who_writes_is_there_and_nobody_else, wishes,
};
use anyhow::ensure;
use omnigate_proto::v1::{DeliveryState, ErrorClass, SubscriptionState};
use omnigate_sandbox::speedsms::{Fate, Fault, FaultRule, Forgery, Options, SmsHandle, Speedsms, SpeedsmsOptions};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::words;
use omnigate_tests::wait;
use std::collections::BTreeMap;
use tokio::net::TcpListener;

/// The account.
const SPEEDSMS: &str = "speedsms";
/// What keeps strangers out of its callbacks.
const TOKEN: &str = "callbacks-of-the-speedsms-account";
/// SpeedSMS does not say which number people wrote to.
const NUMBER: &str = "";

/// A SpeedSMS that tells of messages at once.
pub(crate) async fn start() -> anyhow::Result<SmsHandle> {
    let options = SpeedsmsOptions {
        common: Options {
            speed: 20,
            ..Options::default()
        },
        ..SpeedsmsOptions::default()
    };
    Ok(Speedsms::start(TcpListener::bind("127.0.0.1:0").await?, options)?)
}

/// Configures the account.
pub(crate) fn configure(keys: &mut Keys, speedsms: &SmsHandle) {
    let account = SpeedsmsOptions::default();
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{SPEEDSMS}.{key}"), value.to_owned());
    set("channel", "sms");
    set("provider", "speedsms");
    set("settings.access_token", &account.access_token);
    set("settings.api_url", &speedsms.base_url());
    set("settings.callback_token", TOKEN);
    set("settings.sender", "SHOPABC");
    set("settings.sms_type", "3");
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    let webhook = format!("{}?token={TOKEN}", world.gateway.webhook(SPEEDSMS));
    world.speedsms.set_webhook(Some(webhook));
    a_text_comes_and_an_answer_is_delivered(world).await?;
    a_lost_answer_is_unknown_and_doubles_nothing(world).await?;
    failures_say_why(world).await?;
    forged_calls_are_refused(world).await?;
    who_opts_out_is_told_once_and_gets_no_advertising(world).await
}

async fn a_text_comes_and_an_answer_is_delivered(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000401";
    let _id = world.speedsms.text(WHO, NUMBER, "ok");
    entries_of(world, &phone(WHO), 1).await?;
    // Nothing but the order of their arrival tells two equal messages apart.
    let _id = world.speedsms.text(WHO, NUMBER, "ok");
    let entries = entries_of(world, &phone(WHO), 2).await?;
    let said: Vec<String> = entries.iter().map(words).collect();
    ensure!(said == ["ok", "ok"], "{said:?}");
    let sent = send(world, to_phone("speedsms-1", SPEEDSMS, WHO, message("Chào bạn"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    let theirs = world.speedsms.sent();
    ensure!(
        theirs.len() == 1 && theirs[0].text == "Chào bạn" && theirs[0].from == "SHOPABC",
        "{theirs:?}"
    );
    ensure!(sent.pieces[0].provider_message_id == theirs[0].id, "{sent:?}");
    let answered = world.speedsms.callbacks();
    ensure!(answered.iter().all(|callback| callback.status == 200), "{answered:?}");
    Ok(())
}

/// SpeedSMS takes no key, so nothing is sent again when its answer is lost.
async fn a_lost_answer_is_unknown_and_doubles_nothing(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000402";
    world.speedsms.fault(FaultRule {
        fault: Fault::ResetAfter,
        times: 1,
        after: 0,
    });
    let sent = send(world, to_phone("speedsms-lost", SPEEDSMS, WHO, message("Ma OTP: 4321"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Unknown]).await?;
    let error = sent.error.clone().unwrap_or_default();
    ensure!(error.class() == ErrorClass::Ambiguous && sent.attempts == 1, "{sent:?}");
    let copies = world.speedsms.sent().into_iter().filter(|copy| copy.to == WHO).count();
    ensure!(copies == 1, "{copies} copies");
    Ok(())
}

async fn failures_say_why(world: &World) -> anyhow::Result<()> {
    for (number, fate, class, code) in [
        (
            "84912000403",
            Fate::Failed { code: "64".to_owned() },
            ErrorClass::RecipientTemporary,
            "64",
        ),
        (
            "84912000404",
            Fate::Refused { code: "105".to_owned() },
            ErrorClass::RecipientPermanent,
            "105",
        ),
    ] {
        world.speedsms.set_fate(number, fate);
        let sent = send(world, to_phone(number, SPEEDSMS, number, message("khong toi"))).await?;
        let sent = reaches(world, &sent.message_id, &[DeliveryState::Failed]).await?;
        let error = sent.error.unwrap_or_default();
        ensure!(error.class() == class && error.provider_code == code, "{error:?}");
    }
    Ok(())
}

async fn forged_calls_are_refused(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000405";
    let called = world.gateway.webhook(SPEEDSMS);
    for url in [called.clone(), format!("{called}?token=callbacks-of-another-account")] {
        let forged = Forgery {
            url,
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: format!(r#"{{"type":"incoming","phone":"{WHO}","content":"gia"}}"#),
            ..Forgery::default()
        };
        let status = world.speedsms.forge(&forged).await?;
        ensure!(status == 401, "a forged call was answered {status}");
    }
    let _id = world.speedsms.text("84912000406", NUMBER, "thật");
    who_writes_is_there_and_nobody_else(world, "84912000406", WHO).await
}

async fn who_opts_out_is_told_once_and_gets_no_advertising(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000407";
    let _id = world.speedsms.text(WHO, NUMBER, "HUY QC");
    let entries = entries_of(world, &phone(WHO), 2).await?;
    let told = wishes(&entries);
    ensure!(
        told.len() == 1 && told[0].state() == SubscriptionState::Unsubscribed,
        "{entries:?}"
    );
    let to_them = || world.speedsms.sent().into_iter().filter(|sent| sent.to == WHO).count();
    let confirmed = wait::until("the confirmation", async || {
        Ok(if to_them() == 1 { Ok(()) } else { Err(to_them()) })
    });
    confirmed.await?;
    let refused = send(world, to_phone("speedsms-ad", SPEEDSMS, WHO, advertising("Giảm giá"))).await?;
    let refused = reaches(world, &refused.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&refused) == "opted_out", "{:?}", refused.error);
    let _id = world.speedsms.text(WHO, NUMBER, "DK QC");
    is_back(world, WHO).await?;
    let welcome = send(world, to_phone("speedsms-ad-2", SPEEDSMS, WHO, advertising("Giảm giá"))).await?;
    reaches(world, &welcome.message_id, &[DeliveryState::Delivered]).await?;
    let last = world.speedsms.sent().pop().map(|sent| sent.text).unwrap_or_default();
    ensure!(last.starts_with("[QC]"), "{last}");
    Ok(())
}
