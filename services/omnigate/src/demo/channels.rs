//! The same person on three channels.

use super::answers;
use super::sandboxes::{BEHIND, BRAND, OA, SHOP, SHORT_CODE, Sandboxes};
use super::story::PATIENCE;
use crate::commands::{customers, print, send};
use anyhow::Context as _;
use omnigate_proto::v1::{Alternative, Customer, Delivery, DeliveryState, Message, Purpose, TemplateRef};
use omnigate_rpc::client::Connection;
use omnigate_sandbox::smsc::Writes;
use omnigate_sandbox::telegram::{Action, UserHandle};
use omnigate_sandbox::zalo::{self, NewPerson, PersonHandle};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// An's number.
const AN: &str = "+84912345678";
/// Giang's number.
const GIANG: &str = "+84987654321";
/// Template of the sandbox Official Account that confirms an order.
const ORDER_TEMPLATE: &str = "300001";
/// Longer than one SMS of UCS-2.
const LONG_SMS: &str = "Chị An đây, chị nhắn từ số này cho tiện. Nhờ shop gói quà giúp chị, ghi thiệp là: Chúc mừng sinh \
    nhật mẹ, chúc mẹ luôn khoẻ và vui!";

/// What An is answered by SMS.
const BY_SMS: &str = "Da em goi qua va ghi thiep roi a.";

/// What came of it.
pub(super) struct Joined {
    /// The customer that An is.
    pub(super) customer: Customer,
    /// In how many pieces the long SMS came.
    pub(super) pieces: usize,
    /// Confirmations that An got of opting out.
    pub(super) confirmations: usize,
    /// Deliveries on Zalo and by SMS, with what each is.
    pub(super) deliveries: Vec<(&'static str, Delivery)>,
}

/// Plays it. `an` has written on Telegram before.
pub(super) async fn play(sandboxes: &Sandboxes, an: &UserHandle, connection: &Connection) -> anyhow::Result<Joined> {
    print::line("\na week ago Giang filled in the form of our Zalo Official Account:");
    let giang = on_zalo(sandboxes, "Giang Đỗ", GIANG);
    fills_in(&giang, "Giang Đỗ", GIANG)?;
    taken_from_zalo(sandboxes).await?;
    sandboxes.zalo.advance(BEHIND);

    print::line("An shares her own number on Telegram, which vouches for it:");
    an.does(Action::Contact {
        phone_number: AN.trim_start_matches('+').to_owned(),
        first_name: "An".to_owned(),
        own: true,
    })?;
    known_as(connection, "phone", AN).await?;

    print::line("An writes by SMS from that number; it comes in pieces, the last one first:");
    let written = sandboxes.smsc.write(&Writes {
        from: AN.to_owned(),
        to: SHORT_CODE.to_owned(),
        text: LONG_SMS.to_owned(),
        reversed: true,
        ..Writes::default()
    })?;

    print::line("An fills in the form on Zalo with that number, then writes there:");
    let an_on_zalo = on_zalo(sandboxes, "An Nguyễn", AN);
    fills_in(&an_on_zalo, "An Nguyễn", AN)?;
    an_on_zalo.writes("Mình theo dõi đơn trên Zalo cho tiện nhé")?;
    taken_from_zalo(sandboxes).await?;
    on_three_channels(connection).await?;

    print::line("An opts out of advertising by SMS, which is confirmed once:");
    sandboxes.smsc.writes(AN, SHORT_CODE, "TC")?;
    let confirmed = sandboxes.smsc.wait_for(
        |view| view.texts_to(AN).next().is_some() && view.pending() == 0,
        PATIENCE,
    );
    confirmed.await.context("the opt-out was not confirmed")?;

    print::line("we answer on Zalo and by SMS, try to advertise, and remind Giang, whose reply window has closed:");
    let deliveries = answer(connection).await?;
    let to_an = sandboxes.smsc.texts_to(AN);
    Ok(Joined {
        customer: on_three_channels(connection).await?,
        pieces: written.pieces,
        confirmations: to_an.iter().filter(|text| text.text.as_deref() != Some(BY_SMS)).count(),
        deliveries,
    })
}

async fn answer(connection: &Connection) -> anyhow::Result<Vec<(&'static str, Delivery)>> {
    let an = known_as(connection, "phone", AN).await?;
    let giang = known_as(connection, "phone", GIANG).await?;
    let advertising = Message {
        purpose: Purpose::Marketing.into(),
        ..answers::words("Giam gia 20%!")
    };
    let reminder = Message {
        alternative: Some(Alternative {
            template: Some(TemplateRef {
                template_id: ORDER_TEMPLATE.to_owned(),
                parameters: BTreeMap::from([
                    ("customer_name".to_owned(), "Giang".to_owned()),
                    ("order_code".to_owned(), "DH1234".to_owned()),
                ]),
                ..TemplateRef::default()
            }),
            phone: GIANG.to_owned(),
        }),
        ..answers::words("Chị Giang ơi, đơn DH1234 đã sẵn sàng ạ.")
    };
    let mut deliveries = Vec::new();
    for (what, customer, account, message) in [
        ("Zalo", &an, OA, answers::words("Dạ, đơn của chị đang giao ạ.")),
        ("SMS", &an, BRAND, answers::words(BY_SMS)),
        ("SMS, advertising", &an, BRAND, advertising),
        ("Zalo, window closed", &giang, OA, reminder),
    ] {
        let thread = customer.threads.iter().find(|thread| thread.account_id == account);
        let thread = thread.with_context(|| format!("no thread with account {account}"))?;
        let request_id = format!("demo-{what}");
        let delivery = answers::in_thread(connection, request_id, thread.thread_id.clone(), message).await?;
        deliveries.push((what, delivery));
    }
    for (_, delivery) in &mut deliveries {
        *delivery = received(connection, delivery.clone()).await?;
    }
    Ok(deliveries)
}

/// Waits until the delivery failed or the phone has the message, which both providers tell.
async fn received(connection: &Connection, delivery: Delivery) -> anyhow::Result<Delivery> {
    let begun = Instant::now();
    let mut delivery = send::wait(connection, delivery).await?;
    while delivery.state() == DeliveryState::Sent && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        delivery = send::get(connection, &delivery.message_id).await?;
    }
    Ok(delivery)
}

fn on_zalo(sandboxes: &Sandboxes, name: &str, phone: &str) -> PersonHandle {
    sandboxes.zalo.new_person(NewPerson {
        name: name.to_owned(),
        phone: Some(phone.trim_start_matches('+').to_owned()),
        interacted: false,
        ..NewPerson::default()
    })
}

fn fills_in(person: &PersonHandle, name: &str, phone: &str) -> anyhow::Result<()> {
    let form = json!({ "name": name, "phone": phone.trim_start_matches('+') });
    let info = form.as_object().cloned().unwrap_or_default();
    person.does(zalo::Action::SubmitInfo { info })?;
    Ok(())
}

/// Waits until the gateway has taken every event of Zalo's.
async fn taken_from_zalo(sandboxes: &Sandboxes) -> anyhow::Result<()> {
    let taken = sandboxes
        .zalo
        .wait_for(|view| view.pending_events() == 0 && view.in_flight() == 0, PATIENCE);
    taken.await.context("the gateway did not take every event of Zalo's")
}

/// Waits for the customer with an identifier.
async fn known_as(connection: &Connection, kind: &str, value: &str) -> anyhow::Result<Customer> {
    let is_it = |customer: &Customer| {
        let mut owned = customer
            .identifiers
            .iter()
            .filter_map(|owned| owned.identifier.as_ref());
        owned.any(|identifier| identifier.r#type == kind && identifier.value == value)
    };
    found(connection, is_it)
        .await
        .with_context(|| format!("of {kind} {value}"))
}

/// Waits for the customer who has written on all three channels.
async fn on_three_channels(connection: &Connection) -> anyhow::Result<Customer> {
    let is_it = |customer: &Customer| {
        let heard = customer
            .threads
            .iter()
            .filter(|thread| thread.last_inbound_at.is_some());
        let heard: BTreeSet<&str> = heard.map(|thread| thread.account_id.as_str()).collect();
        [SHOP, OA, BRAND].iter().all(|account| heard.contains(account))
    };
    found(connection, is_it).await.context("on three channels")
}

async fn found(connection: &Connection, is_it: impl Fn(&Customer) -> bool) -> anyhow::Result<Customer> {
    let begun = Instant::now();
    loop {
        let known = customers::list(connection, 1000, "").await?;
        if let Some(customer) = known.into_iter().find(&is_it) {
            return Ok(customer);
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the customer did not come to be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
