//! SMS over SMPP.

use crate::World;
use crate::outbound::{message, reaches, send};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    Delivery, DeliveryState, Entry, ErrorClass, Identifier, Message, Purpose, SendMessageRequest, Subscription,
    SubscriptionState, UnknownPolicy,
};
use omnigate_sandbox::smsc::{
    AccountOptions, Fault, FaultRule, Operation, Options, ReceiptPlan, ReceiptRule, Smsc, SmscHandle, Writes,
};
use omnigate_tests::gateway::{Keys, OTHER_EDGE};
use omnigate_tests::process::Process;
use omnigate_tests::reading::{customer_of, delivery, in_thread_order, timeline, words};
use omnigate_tests::tls::Front;
use omnigate_tests::wait;
use tokio::net::TcpListener;

/// The account.
pub(crate) const SMS: &str = "sms";
/// What people write to.
const SHORT_CODE: &str = "8088";

/// An SMSC of one account, quick with what it delays.
pub(crate) async fn start() -> anyhow::Result<SmscHandle> {
    let options = Options {
        speed: 20,
        ..Options::default()
    };
    Ok(Smsc::start(TcpListener::bind("127.0.0.1:0").await?, None, options)?)
}

/// Configures the account, which speaks TLS.
pub(crate) fn configure(keys: &mut Keys, front: &Front) {
    let account = AccountOptions::default();
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{SMS}.{key}"), value.to_owned());
    set("channel", "sms");
    set("provider", "smpp");
    set("settings.host", "localhost");
    set("settings.port", &front.port.to_string());
    set("settings.tls", "true");
    set("settings.authority.file", &front.authority.path().to_string_lossy());
    set("settings.system_id", &account.system_id);
    set("settings.password", &account.password);
    set("settings.sender", "SHOP");
    set("settings.throttle_pause_ms", "100");
    set("settings.cost_per_segment", "850 VND");
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    a_text_becomes_a_customer_by_phone(world).await?;
    a_long_text_in_disorder_becomes_one_entry(world).await?;
    who_opts_out_is_told_once_and_gets_no_advertising(world).await?;
    a_receipt_moves_the_delivery(world).await?;
    a_long_message_is_delivered_when_all_of_it_is(world).await?;
    throttled_messages_leave_later(world).await
}

/// What loses connections, after which another edge may have the bind.
pub(crate) async fn scenes_of_lost_connections(world: &World) -> anyhow::Result<()> {
    nothing_is_lost_while_the_smsc_is_away(world).await?;
    a_cut_connection_doubles_nothing(world).await?;
    what_may_be_repeated_is_repeated_once(world).await
}

/// The edge that held the bind in all scenes before is lost, and the one that dispatch calls takes it over.
pub(crate) async fn an_edge_that_is_lost_is_replaced(world: &mut World) -> anyhow::Result<()> {
    const TO: &str = "84912000110";
    const THEN: &str = "84912000111";
    if !world.gateway.processes.contains_key(OTHER_EDGE) {
        return Ok(());
    }
    ensure!(!bound_here(world)?, "the bind is not where it was to be");
    other_edge(world)?.kill9()?;
    let sent = send(world, to_phone("meanwhile", SMS, TO, message("meanwhile"))).await?;
    reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    ensure!(bound_here(world)?, "nobody else has the bind");
    other_edge(world)?.start_again()?;
    all_leave_once(world, "after", THEN, 3).await
}

fn other_edge(world: &mut World) -> anyhow::Result<&mut Process> {
    let edges = world.gateway.processes.get_mut(OTHER_EDGE);
    edges.context("no second edge")
}

/// Whether the edge that dispatch calls has had the bind.
fn bound_here(world: &World) -> anyhow::Result<bool> {
    let called = world.gateway.processes.get("edge").context("no edge")?;
    Ok(called.said().contains("\"bound\""))
}

/// A phone number as an identifier.
pub(crate) fn phone(number: &str) -> Identifier {
    Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: format!("+{number}"),
    }
}

/// A request to write to a phone through an account.
pub(crate) fn to_phone(request_id: &str, account: &str, number: &str, message: Message) -> SendMessageRequest {
    SendMessageRequest {
        request_id: request_id.to_owned(),
        target: Some(Target::Identifier(phone(number))),
        account_id: account.to_owned(),
        message: Some(message),
        ..SendMessageRequest::default()
    }
}

/// A text that advertises.
pub(crate) fn advertising(text: &str) -> Message {
    Message {
        purpose: Purpose::Marketing.into(),
        ..message(text)
    }
}

/// Waits until the timeline of a phone's customer has this many entries; in the order of the thread.
pub(crate) async fn entries_of(world: &World, peer: &Identifier, count: usize) -> anyhow::Result<Vec<Entry>> {
    wait::until("a timeline", async || {
        let Some(customer) = customer_of(&world.connection, peer.clone()).await? else {
            return Ok(Err(0));
        };
        let entries = timeline(&world.connection, &customer.customer_id).await?;
        if entries.len() < count {
            return Ok(Err(entries.len()));
        }
        Ok(Ok(in_thread_order(&entries).into_iter().cloned().collect()))
    })
    .await
}

/// The subscriptions among entries.
pub(crate) fn wishes(entries: &[Entry]) -> Vec<Subscription> {
    let kinds = entries.iter().filter_map(|entry| entry.event.as_ref()?.kind.clone());
    kinds
        .filter_map(|kind| match kind {
            Kind::Subscription(subscription) => Some(subscription),
            _ => None,
        })
        .collect()
}

/// Why a delivery was passed over.
pub(crate) fn skipped_as(delivery: &Delivery) -> &str {
    delivery.error.as_ref().map_or("", |error| &error.provider_code)
}

/// Waits until a phone's customer takes advertising again.
pub(crate) async fn is_back(world: &World, number: &str) -> anyhow::Result<()> {
    wait::until("an opt-in", async || {
        let entries = entries_of(world, &phone(number), 1).await?;
        let last = wishes(&entries).pop().map(|wish| wish.state());
        Ok(if last == Some(SubscriptionState::Subscribed) {
            Ok(())
        } else {
            Err(last)
        })
    })
    .await
}

/// Waits for somebody whose genuine message came after forged ones: when it is there, those would be.
pub(crate) async fn who_writes_is_there_and_nobody_else(world: &World, who: &str, other: &str) -> anyhow::Result<()> {
    entries_of(world, &phone(who), 1).await?;
    ensure!(
        customer_of(&world.connection, phone(other)).await?.is_none(),
        "a forged call made a customer"
    );
    Ok(())
}

async fn a_text_becomes_a_customer_by_phone(world: &World) -> anyhow::Result<()> {
    let written = world.smsc.writes("84912000101", SHORT_CODE, "Còn hàng không shop?")?;
    let entries = entries_of(world, &phone("84912000101"), 1).await?;
    ensure!(words(&entries[0]) == "Còn hàng không shop?", "{entries:?}");
    let number = written.deliveries[0];
    let kept = world
        .smsc
        .wait_for(|view| view.settled_as(number).is_some(), wait::PATIENCE);
    kept.await?;
    let status = world
        .smsc
        .look(|view| view.settled_as(number).and_then(|settled| settled.status));
    ensure!(status == Some(0), "acknowledged with {status:?}");
    Ok(())
}

async fn a_long_text_in_disorder_becomes_one_entry(world: &World) -> anyhow::Result<()> {
    const FROM: &str = "84912000102";
    let text = "Mình muốn đặt hai cái áo màu xanh cỡ vừa và một cái quần đen. ".repeat(3);
    let text = text.trim_end();
    let written = world.smsc.write(&Writes {
        from: FROM.to_owned(),
        to: SHORT_CODE.to_owned(),
        text: text.to_owned(),
        reversed: true,
        twice: vec![2],
        ..Writes::default()
    })?;
    ensure!(written.pieces >= 3, "{} pieces", written.pieces);
    let entries = entries_of(world, &phone(FROM), 1).await?;
    ensure!(words(&entries[0]) == text, "another text: {:?}", entries);
    world.smsc.writes(FROM, SHORT_CODE, "vậy thôi")?;
    let entries = entries_of(world, &phone(FROM), 2).await?;
    let said: Vec<String> = entries.iter().map(words).collect();
    ensure!(said == [text, "vậy thôi"], "{said:?}");
    Ok(())
}

async fn who_opts_out_is_told_once_and_gets_no_advertising(world: &World) -> anyhow::Result<()> {
    const FROM: &str = "84912000103";
    world.smsc.writes(FROM, SHORT_CODE, " tc ")?;
    let entries = entries_of(world, &phone(FROM), 2).await?;
    let told = wishes(&entries);
    ensure!(words(&entries[0]).trim() == "tc" && told.len() == 1, "{entries:?}");
    ensure!(told[0].state() == SubscriptionState::Unsubscribed, "{told:?}");
    ensure!(told[0].topic == "marketing", "{told:?}");
    let confirmed = world
        .smsc
        .wait_for(|view| view.texts_to(FROM).count() == 1, wait::PATIENCE);
    confirmed.await?;
    // Once more: the wish holds already, and is not confirmed again.
    world.smsc.writes(FROM, SHORT_CODE, "TC")?;
    let again = wait::until("the second wish", async || {
        let entries = entries_of(world, &phone(FROM), 1).await?;
        let told = wishes(&entries).len();
        Ok(if told == 2 { Ok(()) } else { Err(told) })
    });
    again.await?;
    let refused = send(world, to_phone("ad-1", SMS, FROM, advertising("Giảm giá 50%"))).await?;
    let refused = reaches(world, &refused.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&refused) == "opted_out", "{:?}", refused.error);
    let service = send(world, to_phone("service-1", SMS, FROM, message("Ma OTP: 1234"))).await?;
    reaches(world, &service.message_id, &[DeliveryState::Delivered]).await?;
    world.smsc.writes(FROM, SHORT_CODE, "DK QC")?;
    is_back(world, FROM).await?;
    let welcome = send(world, to_phone("ad-2", SMS, FROM, advertising("Giảm giá 30%"))).await?;
    reaches(world, &welcome.message_id, &[DeliveryState::Delivered]).await?;
    let texts: Vec<String> = world
        .smsc
        .texts_to(FROM)
        .into_iter()
        .filter_map(|one| one.text)
        .collect();
    ensure!(texts.len() == 3, "{texts:?}");
    ensure!(texts[0].contains("da nhan yeu cau tu choi"), "{texts:?}");
    ensure!(texts[1] == "Ma OTP: 1234", "{texts:?}");
    ensure!(texts[2].starts_with("[QC]") && texts[2].contains("30%"), "{texts:?}");
    Ok(())
}

async fn a_receipt_moves_the_delivery(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000104";
    let sent = send(world, to_phone("short", SMS, TO, message("Don hang da gui"))).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    ensure!(sent.pieces.len() == 1 && sent.attempts == 1, "{sent:?}");
    let failing = ReceiptRule {
        destination: Some("84912000105".to_owned()),
        times: None,
        plan: ReceiptPlan {
            state: omnigate_sandbox::smsc::State::Undeliverable,
            error: "001".to_owned(),
            ..ReceiptPlan::default()
        },
    };
    world.smsc.receipts(failing);
    let lost = send(world, to_phone("lost-1", SMS, "84912000105", message("Khong toi"))).await?;
    let lost = reaches(world, &lost.message_id, &[DeliveryState::Failed]).await?;
    ensure!(lost.error.is_some(), "{lost:?}");
    world.smsc.clear_receipts();
    Ok(())
}

async fn a_long_message_is_delivered_when_all_of_it_is(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000106";
    let text = "Cửa hàng xin thông báo đơn hàng của bạn đã được giao cho đơn vị vận chuyển. ".repeat(2);
    let text = text.trim_end();
    let rule = |times, after_ms| ReceiptRule {
        destination: Some(TO.to_owned()),
        times,
        plan: ReceiptPlan {
            after_ms,
            ..ReceiptPlan::default()
        },
    };
    // Receipts of the later pieces come first; that of the first one is late.
    world.smsc.receipts(rule(Some(1), 60_000));
    world.smsc.receipts(rule(None, 0));
    let sent = send(world, to_phone("long", SMS, TO, message(text))).await?;
    let whole = wait::until("all receipts", async || {
        let delivery = delivery(&world.connection, &sent.message_id).await?;
        let arrived = |state| matches!(state, DeliveryState::Delivered);
        let pieces = delivery.pieces.iter().filter(|piece| arrived(piece.state())).count();
        let all = delivery.pieces.len() >= 3 && pieces == delivery.pieces.len();
        ensure_whole(&delivery, all);
        Ok(if all && arrived(delivery.state()) {
            Ok(delivery)
        } else {
            Err((delivery.state(), pieces))
        })
    });
    let whole = whole.await?;
    ensure!(whole.pieces.len() == 3, "{} pieces", whole.pieces.len());
    let got = world.smsc.texts_to(TO);
    ensure!(got.len() == 1 && got[0].text.as_deref() == Some(text), "{got:?}");
    world.smsc.clear_receipts();
    Ok(())
}

/// Whatever is seen at whatever moment: the whole is never further than its pieces.
fn ensure_whole(delivery: &Delivery, all: bool) {
    assert!(
        all || delivery.state() != DeliveryState::Delivered,
        "delivered before all of its pieces: {delivery:?}"
    );
}

async fn throttled_messages_leave_later(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000107";
    world.smsc.fault(FaultRule {
        times: 3,
        destination: Some(TO.to_owned()),
        ..FaultRule::once(Operation::Submit, Fault::throttled())
    });
    all_leave_once(world, "throttled", TO, 6).await?;
    ensure!(world.smsc.counters().faults >= 3, "{:?}", world.smsc.counters());
    Ok(())
}

/// Sends some messages and waits until each arrived, in order and once.
async fn all_leave_once(world: &World, name: &str, to: &str, count: usize) -> anyhow::Result<()> {
    let texts: Vec<String> = (0..count).map(|number| format!("{name} {number}")).collect();
    let mut ids = Vec::new();
    for text in &texts {
        ids.push(send(world, to_phone(text, SMS, to, message(text))).await?.message_id);
    }
    for id in &ids {
        reaches(world, id, &[DeliveryState::Delivered]).await?;
    }
    got_once(world, to, &texts)
}

fn got_once(world: &World, to: &str, texts: &[String]) -> anyhow::Result<()> {
    let got = world.smsc.texts_to(to);
    let read: Vec<&str> = got.iter().filter_map(|text| text.text.as_deref()).collect();
    ensure!(read == texts, "got {read:?}");
    Ok(())
}

async fn nothing_is_lost_while_the_smsc_is_away(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000108";
    const COUNT: usize = 5;
    world.smsc.away(true);
    world.smsc.disconnect();
    let gone = world.smsc.wait_for(|view| view.connected() == 0, wait::PATIENCE);
    gone.await?;
    let texts: Vec<String> = (0..COUNT).map(|number| format!("away {number}")).collect();
    let mut ids = Vec::new();
    for text in &texts {
        ids.push(send(world, to_phone(text, SMS, TO, message(text))).await?.message_id);
    }
    // What people write meanwhile waits at the SMSC.
    world.smsc.writes(TO, SHORT_CODE, "có ai không?")?;
    let tried = wait::until("an attempt", async || {
        let delivery = delivery(&world.connection, &ids[0]).await?;
        Ok(if delivery.attempts > 0 {
            Ok(())
        } else {
            Err(delivery.state())
        })
    });
    tried.await?;
    world.smsc.away(false);
    for id in &ids {
        reaches(world, id, &[DeliveryState::Delivered]).await?;
    }
    got_once(world, TO, &texts)?;
    let entries = entries_of(world, &phone(TO), COUNT + 1).await?;
    let asked = entries.iter().filter(|entry| words(entry) == "có ai không?").count();
    ensure!(asked == 1, "{asked} entries");
    Ok(())
}

async fn a_cut_connection_doubles_nothing(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000109";
    const COUNT: usize = 8;
    world.smsc.fault(FaultRule {
        destination: Some(TO.to_owned()),
        after: 3,
        ..FaultRule::once(Operation::Submit, Fault::CutAfter)
    });
    let texts: Vec<String> = (0..COUNT).map(|number| format!("cut {number}")).collect();
    let mut ids = Vec::new();
    for text in &texts {
        ids.push(send(world, to_phone(text, SMS, TO, message(text))).await?.message_id);
    }
    let mut unknown = 0;
    for id in &ids {
        let ended = reaches(world, id, &[DeliveryState::Delivered, DeliveryState::Unknown]).await?;
        if ended.state() == DeliveryState::Unknown {
            let class = ended.error.context("no error")?.class();
            ensure!(class == ErrorClass::Ambiguous, "{class:?}");
            unknown += 1;
        }
    }
    ensure!(unknown == 1, "{unknown} of one answer that was lost");
    got_once(world, TO, &texts)
}

/// The answer to each of two submits of a message is lost, and the caller allowed one repetition.
async fn what_may_be_repeated_is_repeated_once(world: &World) -> anyhow::Result<()> {
    const TO: &str = "84912000113";
    world.smsc.fault(FaultRule {
        destination: Some(TO.to_owned()),
        times: 2,
        ..FaultRule::once(Operation::Submit, Fault::CutAfter)
    });
    let request = SendMessageRequest {
        on_unknown: UnknownPolicy::ResendOnce.into(),
        ..to_phone("repeat", SMS, TO, message("Ma OTP: 99"))
    };
    let sent = send(world, request).await?;
    let ended = reaches(world, &sent.message_id, &[DeliveryState::Unknown]).await?;
    // An attempt while the bind is being made again does not leave, and counts as one nevertheless.
    ensure!(ended.possible_duplicate && ended.attempts >= 2, "{ended:?}");
    got_once(world, TO, &["Ma OTP: 99".to_owned(), "Ma OTP: 99".to_owned()])
}
