//! SMS through eSMS.vn.

use crate::World;
use crate::outbound::{message, reaches, send};
use crate::sms::{
    advertising, entries_of, is_back, phone, skipped_as, to_phone, who_writes_is_there_and_nobody_else, wishes,
};
use anyhow::ensure;
use omnigate_proto::v1::{DeliveryState, ErrorClass, SendMessageRequest, SubscriptionState, UnknownPolicy};
use omnigate_sandbox::esms::{Esms, EsmsOptions, Fate, Fault, FaultRule, Forgery, Options, SmsHandle};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::words;
use omnigate_tests::wait;
use tokio::net::TcpListener;

/// The account.
const ESMS: &str = "esms";
/// Its short code.
const SHORT_CODE: &str = "8079";
/// What keeps strangers out of its callbacks.
const TOKEN: &str = "callbacks-of-the-esms-account";

/// An eSMS that tells of messages at once.
pub(crate) async fn start() -> anyhow::Result<SmsHandle> {
    let options = EsmsOptions {
        common: Options {
            speed: 20,
            ..Options::default()
        },
        brandnames: vec!["SHOPABC".to_owned()],
        ..EsmsOptions::default()
    };
    Ok(Esms::start(TcpListener::bind("127.0.0.1:0").await?, options)?)
}

/// Configures the account; `webhooks` is where the gateway is called back.
pub(crate) fn configure(keys: &mut Keys, esms: &SmsHandle, webhooks: &str) {
    let account = EsmsOptions::default();
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{ESMS}.{key}"), value.to_owned());
    set("channel", "sms");
    set("provider", "esms");
    set("settings.api_key", &account.api_key);
    set("settings.secret_key", &account.secret_key);
    set("settings.mo_private_key", &account.mo_private_key);
    set("settings.api_url", &esms.base_url());
    set("settings.public_url", &format!("http://{webhooks}"));
    set("settings.callback_token", TOKEN);
    set("settings.sender", "SHOPABC");
    set("settings.unaccented", "true");
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    let webhook = format!("{}?token={TOKEN}", world.gateway.webhook(ESMS));
    world.esms.set_webhook(Some(webhook));
    a_text_comes_and_an_answer_is_delivered(world).await?;
    a_lost_answer_is_settled_by_the_request_id(world).await?;
    failures_say_why(world).await?;
    forged_calls_are_refused(world).await?;
    who_opts_out_is_told_once(world).await
}

async fn a_text_comes_and_an_answer_is_delivered(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000301";
    // Each call comes twice; its id says that it is the same.
    world.esms.deliver_twice(true);
    let id = world.esms.text(WHO, SHORT_CODE, "SHOP xin chào");
    let entries = entries_of(world, &phone(WHO), 1).await?;
    let event = entries[0].event.clone().unwrap_or_default();
    ensure!(
        words(&entries[0]) == "SHOP xin chào" && event.provider_message_id == id,
        "{event:?}"
    );
    let sent = send(world, to_phone("esms-1", ESMS, WHO, message("Chào bạn, đơn đã gửi"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    let theirs = world.esms.sent();
    ensure!(
        theirs.len() == 1 && theirs[0].text == "Chao ban, don da gui" && theirs[0].from == "SHOPABC",
        "{theirs:?}"
    );
    ensure!(sent.pieces[0].provider_message_id == theirs[0].id, "{sent:?}");
    let answered = world.esms.callbacks();
    ensure!(answered.iter().all(|callback| callback.status == 200), "{answered:?}");
    world.esms.deliver_twice(false);
    let entries = entries_of(world, &phone(WHO), 2).await?;
    ensure!(entries.len() == 2, "what came twice is there twice: {entries:?}");
    Ok(())
}

/// eSMS took the message and its answer was lost.
async fn a_lost_answer_is_settled_by_the_request_id(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000302";
    const SILENT: &str = "84912000309";
    let lost = || FaultRule {
        fault: Fault::ResetAfter,
        times: 1,
        after: 0,
    };
    // The receipt settles it alone: it names our key.
    world.esms.fault(lost());
    let sent = send(world, to_phone("esms-told", ESMS, WHO, message("Ma OTP: 8765"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    ensure!(sent.attempts == 1, "{sent:?}");
    // Without one, a repetition that the caller allowed is refused as one (124), so it was taken before.
    world.esms.set_fate(SILENT, Fate::Silent);
    world.esms.fault(lost());
    let request = SendMessageRequest {
        on_unknown: UnknownPolicy::ResendOnce.into(),
        ..to_phone("esms-lost", ESMS, SILENT, message("Ma OTP: 4321"))
    };
    let sent = send(world, request).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Accepted]).await?;
    ensure!(sent.attempts == 2, "{sent:?}");
    let copies = world.esms.sent().into_iter();
    let copies = copies.filter(|copy| copy.to == WHO || copy.to == SILENT);
    let copies: Vec<String> = copies.map(|copy| copy.text).collect();
    ensure!(copies == ["Ma OTP: 8765", "Ma OTP: 4321"], "{copies:?}");
    Ok(())
}

async fn failures_say_why(world: &World) -> anyhow::Result<()> {
    for (number, fate, class, code) in [
        (
            "84912000303",
            Fate::Failed { code: "17".to_owned() },
            ErrorClass::RecipientTemporary,
            "17",
        ),
        (
            "84912000304",
            Fate::Refused { code: "99".to_owned() },
            ErrorClass::Refused,
            "99",
        ),
        (
            "84912000305",
            Fate::Refused { code: "201".to_owned() },
            ErrorClass::Content,
            "201",
        ),
    ] {
        world.esms.set_fate(number, fate);
        let sent = send(world, to_phone(number, ESMS, number, message("khong toi"))).await?;
        let sent = reaches(world, &sent.message_id, &[DeliveryState::Failed]).await?;
        let error = sent.error.unwrap_or_default();
        ensure!(error.class() == class && error.provider_code == code, "{error:?}");
    }
    Ok(())
}

async fn forged_calls_are_refused(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000306";
    let called = world.gateway.webhook(ESMS);
    let said =
        format!("sender={WHO}&content=gia&serviceNumber={SHORT_CODE}&cpid=77&smsid=9&receiverTime=20261123101112");
    for query in [
        format!("{said}&sign=AAAAAAAAAAAAAAAAAAAAAA=="),
        format!("token={TOKEN}&{said}&sign=AAAAAAAAAAAAAAAAAAAAAA=="),
        format!("token={TOKEN}&{said}"),
        "SMSID=x&RequestId=y&SendStatus=5&SendSuccess=1".to_owned(),
        "token=callbacks-of-another-account&SMSID=x&SendStatus=5&SendSuccess=1".to_owned(),
    ] {
        let forged = Forgery {
            method: "GET".to_owned(),
            url: format!("{called}?{query}"),
            ..Forgery::default()
        };
        let status = world.esms.forge(&forged).await?;
        ensure!(status == 401, "{query} was answered {status}");
    }
    let _id = world.esms.text("84912000307", SHORT_CODE, "thật");
    who_writes_is_there_and_nobody_else(world, "84912000307", WHO).await
}

async fn who_opts_out_is_told_once(world: &World) -> anyhow::Result<()> {
    const WHO: &str = "84912000308";
    let _id = world.esms.text(WHO, SHORT_CODE, "Từ chối QC");
    let entries = entries_of(world, &phone(WHO), 2).await?;
    let told = wishes(&entries);
    ensure!(
        told.len() == 1 && told[0].state() == SubscriptionState::Unsubscribed,
        "{entries:?}"
    );
    let to_them = || world.esms.sent().into_iter().filter(|sent| sent.to == WHO).count();
    let confirmed = wait::until("the confirmation", async || {
        Ok(if to_them() == 1 { Ok(()) } else { Err(to_them()) })
    });
    confirmed.await?;
    let refused = send(world, to_phone("esms-ad", ESMS, WHO, advertising("Giam gia 50%"))).await?;
    let refused = reaches(world, &refused.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&refused) == "opted_out", "{:?}", refused.error);
    let _id = world.esms.text(WHO, SHORT_CODE, "DK QC");
    is_back(world, WHO).await?;
    // eSMS takes advertising in lists alone; the law is content now, the provider is not.
    let refused = send(world, to_phone("esms-ad-2", ESMS, WHO, advertising("Giam gia 30%"))).await?;
    let refused = reaches(world, &refused.message_id, &[DeliveryState::Skipped]).await?;
    let error = refused.error.unwrap_or_default();
    ensure!(error.class() == ErrorClass::Policy, "{error:?}");
    ensure!(to_them() == 1, "only the confirmation");
    Ok(())
}
