//! A Zalo Official Account: its tokens, what people write and do, and what is answered.

use crate::World;
use crate::outbound::{message, reaches, send};
use crate::sms::{entries_of, skipped_as, wishes};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    Account, AccountState, Alternative, AuthorizeAccountRequest, Delivery, DeliveryState, DiscardParkedRequest, Entry,
    Identifier, ListAccountsRequest, ListParkedRequest, ListProviderTemplatesRequest, MediaKind, Message, Part,
    ProviderTemplateState, ReplyWindow, SendMessageRequest, SubscriptionState, TemplateRef,
    authorize_account_request::Grant,
};
use omnigate_sandbox::zalo::{
    Action, ConsoleAction, FreeMessages, Media, NewPerson, Options, PersonHandle, SentMessage, Switches,
    TemplateStatus, Way, Zalo, ZaloHandle,
};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::{customer_of, delivery, words};
use omnigate_tests::wait;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::Code;

/// The account.
pub(crate) const OA: &str = "oa";
/// The sandbox's template of orders.
pub(crate) const ORDER: &str = "300001";
/// The sandbox's template that waits for its review.
const PENDING: &str = "300004";
/// Answers that are free until a person acts again.
const FREE_REPLIES: u32 = 8;
/// How long Zalo lets an account answer, and a day.
const PAST_THE_WINDOW: Duration = Duration::from_hours(8 * 24);

/// A Zalo of one Official Account, quick with what it delays.
pub(crate) async fn start() -> anyhow::Result<ZaloHandle> {
    let options = Options {
        speed: 20,
        switches: Switches {
            rate_per_minute: 0,
            free_messages: FreeMessages::PerWindow(FREE_REPLIES),
            ..Switches::default()
        },
        ..Options::default()
    };
    Ok(Zalo::start(TcpListener::bind("127.0.0.1:0").await?, options)?)
}

pub(crate) fn configure(keys: &mut Keys, zalo: &ZaloHandle) {
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{OA}.{key}"), value.to_owned());
    set("channel", "zalo");
    // Ids of digits alone would be read as numbers.
    set("settings.app_id", &format!("{:?}", zalo.app_id()));
    set("settings.oa_id", &format!("{:?}", zalo.oa_id()));
    set("settings.app_secret", &zalo.app_secret());
    set("settings.oa_secret_key", &zalo.oa_secret_key());
    let (_, refresh_token) = zalo.tokens().unwrap_or_default();
    set("settings.refresh_token", &refresh_token);
    for key in ["api_url", "zns_url", "oauth_url"] {
        set(&format!("settings.{key}"), &zalo.base_url());
    }
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    // The sandbox saves the address only if its unsigned probe is answered 200.
    world.zalo.set_webhook(&world.gateway.webhook(OA)).await?;
    the_refresh_token_is_exchanged_once(world).await?;
    templates_are_copied_and_checked(world).await?;
    a_person_becomes_a_customer(world).await?;
    a_template_is_checked_whoever_is_named(world).await?;
    an_answer_quotes_and_is_read(world).await?;
    a_forged_call_changes_nothing(world).await?;
    following_is_noted(world).await?;
    an_unknown_official_account_is_parked(world).await?;
    a_window_that_we_know_closed(world).await?;
    an_expired_token_is_replaced(world).await?;
    a_window_that_only_zalo_knows_closed(world).await?;
    a_person_brings_a_dead_account_back(world).await
}

fn peer(world: &World, user_id: &str) -> Identifier {
    Identifier {
        r#type: "zalo_uid".to_owned(),
        scope: world.zalo.oa_id(),
        value: user_id.to_owned(),
    }
}

/// A request to write to a person.
fn to_person(world: &World, request_id: &str, person: &PersonHandle, message: Message) -> SendMessageRequest {
    SendMessageRequest {
        request_id: request_id.to_owned(),
        target: Some(Target::Identifier(peer(world, &person.user_id()))),
        account_id: OA.to_owned(),
        message: Some(message),
        ..SendMessageRequest::default()
    }
}

/// Somebody whom a template reaches too, and who has written.
async fn known(world: &World, name: &str, phone: &str) -> anyhow::Result<PersonHandle> {
    let person = world.zalo.new_person(NewPerson {
        name: name.to_owned(),
        phone: Some(phone.to_owned()),
        ..NewPerson::default()
    });
    person.writes("chào shop")?;
    entries(world, &person, 1).await?;
    Ok(person)
}

async fn entries(world: &World, person: &PersonHandle, count: usize) -> anyhow::Result<Vec<Entry>> {
    entries_of(world, &peer(world, &person.user_id()), count).await
}

/// What was sent to somebody, by user id or by phone.
fn sent_to(world: &World, to: &str) -> Vec<SentMessage> {
    let sent = world.zalo.sent().into_iter();
    sent.filter(|sent| sent.to == to).collect()
}

fn order(parameters: &[(&str, &str)]) -> TemplateRef {
    let parameters = parameters.iter();
    TemplateRef {
        template_id: ORDER.to_owned(),
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..TemplateRef::default()
    }
}

/// A text, with a template to a phone in its place.
fn with_alternative(text: &str, phone: &str) -> Message {
    Message {
        alternative: Some(Alternative {
            template: Some(order(&[("customer_name", "Lan"), ("order_code", "DH-17")])),
            phone: format!("+{phone}"),
        }),
        ..message(text)
    }
}

async fn account(world: &World) -> anyhow::Result<Account> {
    let answer = world
        .connection
        .accounts()
        .list_accounts(ListAccountsRequest {})
        .await?;
    let mut accounts = answer.into_inner().accounts.into_iter();
    accounts.find(|account| account.account_id == OA).context("not listed")
}

/// Waits until the account stands like this.
async fn stands(world: &World, what: &str, like: impl Fn(&Account) -> bool) -> anyhow::Result<Account> {
    wait::until(what, async || {
        let account = account(world).await?;
        Ok(if like(&account) { Ok(account) } else { Err(account) })
    })
    .await
}

async fn the_refresh_token_is_exchanged_once(world: &World) -> anyhow::Result<()> {
    let active = |account: &Account| account.state() == AccountState::Active && account.token_expires_at.is_some();
    stands(world, "an account with a token", active).await?;
    let counters = world.zalo.counters();
    ensure!((counters.tokens, counters.refresh_reuse) == (1, 0), "{counters:?}");
    Ok(())
}

async fn templates_are_copied_and_checked(world: &World) -> anyhow::Result<()> {
    let listed = wait::until("templates", async || {
        let asked = ListProviderTemplatesRequest {
            account_id: OA.to_owned(),
        };
        let answer = world
            .connection
            .accounts()
            .list_provider_templates(asked)
            .await?
            .into_inner();
        Ok(if answer.synced_at.is_some() {
            Ok(answer.templates)
        } else {
            Err("not copied")
        })
    });
    let listed = listed.await?;
    let state = |id: &str| {
        let found = listed.iter().find(|template| template.template_id == id);
        found.map(|template| template.state())
    };
    ensure!(state(ORDER) == Some(ProviderTemplateState::Approved), "{listed:?}");
    ensure!(state(PENDING) == Some(ProviderTemplateState::Pending), "{listed:?}");
    let incomplete = order(&[("customer_name", "Lan")]);
    let part = Message {
        parts: vec![Part {
            content: Some(Content::Template(incomplete.clone())),
        }],
        ..Message::default()
    };
    let alternative = Message {
        alternative: Some(Alternative {
            template: Some(incomplete),
            phone: "+84912000301".to_owned(),
        }),
        ..message("đơn của bạn")
    };
    let nobody = world.zalo.subscriber("84912000301");
    for (number, message) in [part, alternative].into_iter().enumerate() {
        let request = to_person(world, &format!("incomplete-{number}"), &nobody, message);
        let refused = world.connection.messages().send_message(request).await.err();
        let refused = refused.context("a template without a parameter was accepted")?;
        ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
        ensure!(refused.message().contains("order_code"), "{refused:?}");
    }
    ensure!(world.zalo.counters().sent == 0, "something was sent");
    Ok(())
}

/// The account whose templates count is that of the thread which the message goes to; and a template that was approved after
/// they were copied is known at once.
async fn a_template_is_checked_whoever_is_named(world: &World) -> anyhow::Result<()> {
    let person = known(world, "Mẫu", "84912000302").await?;
    let customer = customer_of(&world.connection, peer(world, &person.user_id())).await?;
    let customer = customer.context("nobody")?.customer_id;
    let to_customer = |request_id: &str, template: TemplateRef| SendMessageRequest {
        request_id: request_id.to_owned(),
        target: Some(Target::CustomerId(customer.clone())),
        message: Some(Message {
            parts: vec![Part {
                content: Some(Content::Template(template)),
            }],
            ..Message::default()
        }),
        ..SendMessageRequest::default()
    };
    let promotion = |template_id: &str| TemplateRef {
        template_id: template_id.to_owned(),
        ..order(&[("customer_name", "Lan")])
    };
    for (request_id, template, words) in [
        ("customer-incomplete", order(&[("customer_name", "Lan")]), "order_code"),
        ("customer-unknown", promotion("309999"), "no template"),
    ] {
        let request = to_customer(request_id, template);
        let refused = world.connection.messages().send_message(request).await.err();
        let refused = refused.context("a template that cannot be sent was accepted")?;
        ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
        ensure!(refused.message().contains(words), "{refused:?}");
    }
    world.zalo.console(&ConsoleAction::TemplateStatus {
        template_id: PENDING.to_owned(),
        status: TemplateStatus::Enable,
        reason: String::new(),
    })?;
    let accepted = send(world, to_customer("customer-approved", promotion(PENDING))).await?;
    ensure!(accepted.account_id == OA, "{accepted:?}");
    wait::until("the template at Zalo", async || {
        let sent = sent_to(world, &person.user_id()).len();
        Ok(if sent == 1 { Ok(()) } else { Err(sent) })
    })
    .await
}

async fn a_person_becomes_a_customer(world: &World) -> anyhow::Result<()> {
    let mai = world.zalo.person("Mai");
    let first = mai.writes("Áo này còn không?")?;
    mai.does(Action::Image(Media {
        text: Some("cái này".to_owned()),
        content: "/9j/AAEC".to_owned(),
        ..Media::default()
    }))?;
    mai.quotes(&first, "shop ơi")?;
    let entries = entries(world, &mai, 3).await?;
    ensure!(words(&entries[0]) == "Áo này còn không?", "{entries:?}");
    let shown = entries[1].event.as_ref().and_then(|event| event.kind.clone());
    let Some(Kind::Message(shown)) = shown else {
        anyhow::bail!("no message: {shown:?}");
    };
    let Some(Content::Media(picture)) = shown.parts.first().and_then(|part| part.content.clone()) else {
        anyhow::bail!("no picture: {shown:?}");
    };
    ensure!(
        picture.kind() == MediaKind::Image && picture.caption == "cái này",
        "{picture:?}"
    );
    let fetched = reqwest::get(&picture.url).await?;
    ensure!(
        fetched.status().is_success(),
        "the picture was answered {}",
        fetched.status()
    );
    let quoting = entries[2].event.as_ref().and_then(|event| event.kind.clone());
    let quoted = matches!(quoting, Some(Kind::Message(quoting)) if quoting.reply_to_provider_message_id == first);
    ensure!(quoted, "{:?}", entries[2]);
    let by_user = customer_of(&world.connection, peer(world, &mai.user_id())).await?;
    let by_app = Identifier {
        r#type: "zalo_uid_by_app".to_owned(),
        scope: world.zalo.app_id(),
        value: mai.user_id_by_app(),
    };
    let by_app = customer_of(&world.connection, by_app).await?;
    let ids = (by_user.map(|one| one.customer_id), by_app.map(|one| one.customer_id));
    ensure!(ids.0.is_some() && ids.0 == ids.1, "two customers: {ids:?}");
    Ok(())
}

async fn an_answer_quotes_and_is_read(world: &World) -> anyhow::Result<()> {
    let hoa = world.zalo.person("Hoa");
    let asked = hoa.writes("giá bao nhiêu?")?;
    entries(world, &hoa, 1).await?;
    let quoting = Message {
        reply_to_provider_message_id: asked.clone(),
        ..message("200 nghìn ạ")
    };
    let sent = send(world, to_person(world, "quoting", &hoa, quoting)).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    let theirs = sent_to(world, &hoa.user_id());
    ensure!(theirs.len() == 1, "{theirs:?}");
    ensure!(
        theirs[0].body["message"]["quote_message_id"] == asked.as_str(),
        "{theirs:?}"
    );
    hoa.does(Action::See {
        message_ids: vec![sent.pieces[0].provider_message_id.clone()],
    })?;
    reaches(world, &sent.message_id, &[DeliveryState::Read]).await?;
    // Zalo showed us our own answer before; by the time of something later it would be there a second time.
    let shown = world.zalo.events().into_iter();
    ensure!(
        shown.filter(|event| event.name == "oa_send_text").count() == 1,
        "no echo came"
    );
    let window = window(world, &hoa).await?;
    ensure!(
        window.free_replies_left == Some(FREE_REPLIES - 1) && !window.template_needed,
        "{window:?}"
    );
    hoa.writes("đắt quá")?;
    let entries = wait::until("the last word", async || {
        let entries = entries(world, &hoa, 3).await?;
        let said: Vec<String> = entries.iter().map(words).collect();
        Ok(if said.iter().any(|said| said == "đắt quá") {
            Ok(said)
        } else {
            Err(said)
        })
    });
    let mut said = entries.await?;
    said.sort();
    ensure!(said == ["200 nghìn ạ", "giá bao nhiêu?", "đắt quá"], "{said:?}");
    let opened = self::window(world, &hoa).await?;
    ensure!(
        opened.free_replies_left.is_none() && opened.opened_at != window.opened_at,
        "{opened:?}"
    );
    Ok(())
}

/// The window in which somebody can be answered.
async fn window(world: &World, person: &PersonHandle) -> anyhow::Result<ReplyWindow> {
    let peer = peer(world, &person.user_id());
    let customer = customer_of(&world.connection, peer.clone()).await?.context("nobody")?;
    let thread = customer
        .threads
        .into_iter()
        .find(|thread| thread.peer.as_ref() == Some(&peer));
    thread.and_then(|thread| thread.reply_window).context("no window")
}

/// A text of a person as Zalo writes it.
fn written(world: &World, oa_id: &str, user_id: &str, message_id: &str, at_ms: i64) -> String {
    json!({
        "app_id": world.zalo.app_id(), "event_name": "user_send_text", "timestamp": at_ms.to_string(),
        "sender": {"id": user_id}, "recipient": {"id": oa_id},
        "message": {"text": "chào", "msg_id": message_id},
    })
    .to_string()
}

async fn a_forged_call_changes_nothing(world: &World) -> anyhow::Result<()> {
    let (oa, user) = (world.zalo.oa_id(), "7000000000000000666");
    let body = written(world, &oa, user, "forged-1", world.zalo.unix_ms());
    for key in [None, Some("another-key"), Some("")] {
        let status = world.zalo.forge(key, &body).await?;
        ensure!(status == 401, "a forged call was answered {status}");
    }
    let later = world.zalo.person("Thật");
    later.writes("thật")?;
    entries(world, &later, 1).await?;
    let customer = customer_of(&world.connection, peer(world, user)).await?;
    ensure!(customer.is_none(), "a forged call made {customer:?}");
    Ok(())
}

async fn following_is_noted(world: &World) -> anyhow::Result<()> {
    let binh = world.zalo.person("Bình");
    binh.does(Action::Follow)?;
    binh.does(Action::Unfollow)?;
    let entries = entries(world, &binh, 2).await?;
    let states: Vec<SubscriptionState> = wishes(&entries).iter().map(|wish| wish.state()).collect();
    let expected = [SubscriptionState::Subscribed, SubscriptionState::Unsubscribed];
    ensure!(states == expected, "{entries:?}");
    Ok(())
}

async fn an_unknown_official_account_is_parked(world: &World) -> anyhow::Result<()> {
    let other = "3000000000000000777";
    let body = written(world, other, "7000000000000000777", "other-1", world.zalo.unix_ms());
    let status = world.zalo.forge(Some(&world.zalo.oa_secret_key()), &body).await?;
    ensure!(status == 200, "answered {status}");
    let parked = wait::until("a parked item", async || {
        let page = world
            .connection
            .parked()
            .list_parked(ListParkedRequest::default())
            .await?;
        let mut items = page.into_inner().items.into_iter();
        let named = format!("zalo-oa-{other}");
        Ok(items.find(|item| item.account_id == named).ok_or("not listed"))
    });
    let parked = parked.await?;
    ensure!(parked.reason == "unknown_account", "{parked:?}");
    let discard = DiscardParkedRequest {
        parked_id: parked.parked_id,
        request_id: "discard-zalo".to_owned(),
    };
    world.connection.parked().discard_parked(discard).await?;
    Ok(())
}

/// The person wrote more than a week ago.
async fn a_window_that_we_know_closed(world: &World) -> anyhow::Result<()> {
    const PHONE: &str = "84912000302";
    let person = world.zalo.new_person(NewPerson {
        name: "Xưa".to_owned(),
        phone: Some(PHONE.to_owned()),
        interacted: false,
        ..NewPerson::default()
    });
    let long_ago = world.zalo.unix_ms() - i64::try_from(PAST_THE_WINDOW.as_millis())?;
    let body = written(world, &world.zalo.oa_id(), &person.user_id(), "old-1", long_ago);
    let status = world.zalo.forge(Some(&world.zalo.oa_secret_key()), &body).await?;
    ensure!(status == 200, "answered {status}");
    entries(world, &person, 1).await?;
    let skipped = send(
        world,
        to_person(world, "closed-1", &person, message("còn nhớ shop không?")),
    )
    .await?;
    let skipped = reaches(world, &skipped.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&skipped) == "window_closed", "{:?}", skipped.error);
    ensure!(skipped.attempts == 0, "{} attempts", skipped.attempts);
    let window = window(world, &person).await?;
    ensure!(window.template_needed, "{window:?}");
    goes_out_as_its_alternative(world, "closed-2", &person, PHONE).await?;
    ensure!(
        sent_to(world, &person.user_id()).is_empty(),
        "Zalo was asked all the same"
    );
    Ok(())
}

async fn goes_out_as_its_alternative(
    world: &World,
    request_id: &str,
    person: &PersonHandle,
    phone: &str,
) -> anyhow::Result<Delivery> {
    let message = with_alternative("đơn của bạn đã tới", phone);
    let sent = send(world, to_person(world, request_id, person, message)).await?;
    let sent = reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    ensure!(sent.alternative_used, "{sent:?}");
    let theirs = sent_to(world, phone);
    ensure!(theirs.len() == 1 && theirs[0].way == Way::Zns, "{theirs:?}");
    ensure!(theirs[0].body["template_data"]["order_code"] == "DH-17", "{theirs:?}");
    ensure!(
        theirs[0].tracking_id.as_deref() == Some(&sent.pieces[0].send_key),
        "{theirs:?}"
    );
    Ok(sent)
}

async fn an_expired_token_is_replaced(world: &World) -> anyhow::Result<()> {
    let person = known(world, "Token", "84912000303").await?;
    let before = world.zalo.counters();
    world.zalo.expire_access_tokens();
    let sent = send(world, to_person(world, "expired", &person, message("vẫn tới"))).await?;
    reaches(world, &sent.message_id, &[DeliveryState::Delivered]).await?;
    let theirs = sent_to(world, &person.user_id());
    ensure!(theirs.len() == 1, "{theirs:?}");
    let after = world.zalo.counters();
    ensure!(
        after.tokens == before.tokens + 1 && after.refresh_reuse == 0,
        "{after:?}"
    );
    Ok(())
}

/// By our clock the person has just written; by Zalo's that is more than a week ago.
async fn a_window_that_only_zalo_knows_closed(world: &World) -> anyhow::Result<()> {
    const PHONE: &str = "84912000304";
    let person = known(world, "Lâu", PHONE).await?;
    world.zalo.advance(PAST_THE_WINDOW);
    let skipped = send(
        world,
        to_person(world, "closed-3", &person, message("còn nhớ shop không?")),
    )
    .await?;
    let skipped = reaches(world, &skipped.message_id, &[DeliveryState::Skipped]).await?;
    ensure!(skipped_as(&skipped) == "-230", "{:?}", skipped.error);
    goes_out_as_its_alternative(world, "closed-4", &person, PHONE).await?;
    ensure!(sent_to(world, &person.user_id()).is_empty(), "it went out twice");
    Ok(())
}

async fn a_person_brings_a_dead_account_back(world: &World) -> anyhow::Result<()> {
    let person = known(world, "Chờ", "84912000305").await?;
    world.zalo.revoke();
    let waiting = send(world, to_person(world, "dead", &person, message("sẽ tới"))).await?;
    let dead = |account: &Account| account.state() == AccountState::Unauthorized;
    let dead = stands(world, "an account without tokens", dead).await?;
    ensure!(!dead.problem.is_empty(), "{dead:?}");
    ensure!(sent_to(world, &person.user_id()).is_empty(), "sent without a token");
    authorize(world, "wrong-code", "no-code-of-zalos".to_owned()).await?;
    let refused = |account: &Account| !account.authorization_pending && !account.authorization_problem.is_empty();
    let refused = stands(world, "a refused code", refused).await?;
    ensure!(refused.state() == AccountState::Unauthorized, "{refused:?}");
    authorize(world, "right-code", world.zalo.authorize(None)).await?;
    let active = |account: &Account| account.state() == AccountState::Active && !account.authorization_pending;
    let active = stands(world, "an account with tokens again", active).await?;
    ensure!(active.authorization_problem.is_empty(), "{active:?}");
    // It is woken; how soon is the scheduler's own test's matter, since a slow machine takes its time.
    let left = wait::until("a message that waited", async || {
        let delivery = delivery(&world.connection, &waiting.message_id).await?;
        Ok(match delivery.state() {
            DeliveryState::Delivered => Ok(()),
            state => Err(state),
        })
    });
    left.await?;
    let theirs = sent_to(world, &person.user_id());
    ensure!(theirs.len() == 1, "{theirs:?}");
    person.writes("nhận rồi")?;
    let entries = entries(world, &person, 3).await?;
    ensure!(entries.iter().any(|entry| words(entry) == "nhận rồi"), "{entries:?}");
    Ok(())
}

async fn authorize(world: &World, request_id: &str, code: String) -> anyhow::Result<()> {
    let asked = AuthorizeAccountRequest {
        account_id: OA.to_owned(),
        grant: Some(Grant::AuthorizationCode(code)),
        request_id: request_id.to_owned(),
        ..AuthorizeAccountRequest::default()
    };
    world.connection.accounts().authorize_account(asked).await?;
    Ok(())
}
