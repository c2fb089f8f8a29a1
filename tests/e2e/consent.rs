//! Who may be sent what: wishes, consents, a customer's word, the suppression list.

use crate::external::push;
use crate::outbound::{message, reaches, send};
use crate::{KIOSK, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::get_consent_request::Of;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::split_customer_request::What;
use omnigate_proto::v1::{
    Consent, ConsentDecision, ConsentLayerKind, ConsentStatus, Delivery, DeliveryState, EffectiveConsent, ErrorClass,
    Event, Evidence, ExplainMessageRequest, GetConsentRequest, GetSuppressionRequest, Identifier, IdentifierEvidence,
    LegalBasis, ListConsentsRequest, ListSuppressionsRequest, MergeCustomersRequest, Message, Purpose,
    SendMessageRequest, SetConsentRequest, SetMarketingRefusalRequest, SplitCustomerRequest, Subscription,
    SubscriptionState, SuppressRequest, SuppressionReason, UndoneMerge, UnsuppressRequest, get_suppression_request,
    unsuppress_request,
};
use omnigate_tests::reading::{arrived, customer_of};
use omnigate_tests::wait;
use tonic::Code;

/// The channel of the kiosk.
const CHANNEL: &str = "kiosk";

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    a_wish_holds_at_the_moment_of_sending_until_it_is_taken_back(world).await?;
    what_is_recorded_is_answered_alike_and_kept(world).await?;
    a_customers_word_goes_through_merges(world).await?;
    nothing_leaves_for_whom_is_on_the_list(world).await?;
    what_makes_no_sense_is_refused(world).await
}

fn phone(value: &str) -> Identifier {
    Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: value.to_owned(),
    }
}

async fn does(world: &World, who: &Identifier, id: &str, kind: Kind) -> anyhow::Result<()> {
    let event = Event {
        account_id: KIOSK.to_owned(),
        peer: Some(who.clone()),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(who.clone()),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        provider_message_id: id.to_owned(),
        kind: Some(kind),
        ..Event::default()
    };
    push(world, event).await
}

async fn wishes(world: &World, who: &Identifier, id: &str, state: SubscriptionState) -> anyhow::Result<()> {
    let wish = Subscription {
        state: state.into(),
        ..Subscription::default()
    };
    does(world, who, id, Kind::Subscription(wish)).await
}

async fn advertising(world: &World, who: &Identifier) -> anyhow::Result<EffectiveConsent> {
    let answers = asked(world, Of::Identifier(who.clone())).await?;
    answers.into_iter().next().context("no answer")
}

async fn asked(world: &World, of: Of) -> anyhow::Result<Vec<EffectiveConsent>> {
    let request = GetConsentRequest {
        of: Some(of),
        channel: CHANNEL.to_owned(),
        purpose: Purpose::Marketing.into(),
        ..GetConsentRequest::default()
    };
    let answer = world.connection.consents().get_consent(request).await?;
    Ok(answer.into_inner().consents)
}

/// Waits until an answer has this code, which is empty for what is allowed.
async fn comes_to(world: &World, who: &Identifier, code: &str) -> anyhow::Result<EffectiveConsent> {
    wait::until("an effective consent", async || {
        let answer = advertising(world, who).await?;
        Ok(if answer.code == code { Ok(answer) } else { Err(answer) })
    })
    .await
}

async fn sends(world: &World, who: &Identifier, request_id: &str, purpose: Purpose) -> anyhow::Result<Delivery> {
    let request = SendMessageRequest {
        request_id: request_id.to_owned(),
        target: Some(Target::Identifier(who.clone())),
        account_id: KIOSK.to_owned(),
        message: Some(Message {
            purpose: purpose.into(),
            ..message(request_id)
        }),
        ..SendMessageRequest::default()
    };
    let accepted = send(world, request).await?;
    let states = [DeliveryState::Accepted, DeliveryState::Skipped];
    reaches(world, &accepted.message_id, &states).await
}

async fn is_refused(world: &World, delivery: &Delivery, code: &str) -> anyhow::Result<()> {
    let error = delivery.error.clone().unwrap_or_default();
    ensure!(
        delivery.state() == DeliveryState::Skipped
            && error.class() == ErrorClass::Refused
            && error.provider_code == code
            && delivery.attempts == 0,
        "{code}: {delivery:?}"
    );
    let asked = ExplainMessageRequest {
        message_id: delivery.message_id.clone(),
    };
    let story = world.connection.messages().explain_message(asked).await?.into_inner();
    let last = story.steps.last().context("no story")?;
    ensure!(
        last.what == "refused" && last.detail.contains(code),
        "{:?}",
        story.steps
    );
    Ok(())
}

fn has_left(delivery: &Delivery) -> anyhow::Result<()> {
    ensure!(delivery.state() == DeliveryState::Accepted, "{delivery:?}");
    Ok(())
}

async fn a_wish_holds_at_the_moment_of_sending_until_it_is_taken_back(world: &World) -> anyhow::Result<()> {
    let lan = phone("+84900000881");
    does(world, &lan, "lan-1", Kind::Message(message("chào"))).await?;
    arrived(&world.connection, &lan).await?;
    has_left(&sends(world, &lan, "lan-ad-1", Purpose::Marketing).await?)?;
    wishes(world, &lan, "lan-2", SubscriptionState::Unsubscribed).await?;
    // The thread has it a moment before the ledger.
    let answer = wait::until("a refusal in the ledger", async || {
        let answer = advertising(world, &lan).await?;
        let is_recorded = answer.consent.is_some();
        Ok(if is_recorded { Ok(answer) } else { Err(answer) })
    })
    .await?;
    let deciding = answer
        .layers
        .iter()
        .find(|layer| layer.decides)
        .context("nothing decides")?;
    ensure!(
        answer.code == "opted_out"
            && answer.decision() == ConsentDecision::Refused
            && deciding.kind() == ConsentLayerKind::Denial,
        "{answer:?}"
    );
    ensure!(answer.layers.len() == 6, "{:?}", answer.layers);
    is_refused(
        world,
        &sends(world, &lan, "lan-ad-2", Purpose::Marketing).await?,
        "opted_out",
    )
    .await?;
    has_left(&sends(world, &lan, "lan-answer", Purpose::Service).await?)?;
    wishes(world, &lan, "lan-3", SubscriptionState::Subscribed).await?;
    comes_to(world, &lan, "").await?;
    has_left(&sends(world, &lan, "lan-ad-3", Purpose::Marketing).await?)?;
    let told = history(world, &lan).await?;
    let told: Vec<_> = told
        .iter()
        .map(|fact| (fact.status(), fact.event_id.is_empty()))
        .collect();
    let expected = [(ConsentStatus::Unknown, false), (ConsentStatus::Denied, false)];
    ensure!(told == expected, "{told:?}");
    Ok(())
}

/// All facts, read in pages of one.
async fn history(world: &World, who: &Identifier) -> anyhow::Result<Vec<Consent>> {
    let mut facts = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListConsentsRequest {
            identifier: Some(who.clone()),
            page_size: 1,
            page_token,
        };
        let page = world.connection.consents().list_consents(asked).await?.into_inner();
        facts.extend(page.consents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(facts);
        }
    }
}

fn fact(who: &Identifier, request_id: &str, status: ConsentStatus) -> SetConsentRequest {
    SetConsentRequest {
        identifier: Some(who.clone()),
        channel: CHANNEL.to_owned(),
        purpose: Purpose::Marketing.into(),
        status: status.into(),
        basis: LegalBasis::Consent.into(),
        source: "form".to_owned(),
        text_version: "v1".to_owned(),
        request_id: request_id.to_owned(),
        ..SetConsentRequest::default()
    }
}

async fn what_is_recorded_is_answered_alike_and_kept(world: &World) -> anyhow::Result<()> {
    // Nobody has this number yet.
    let hoa = phone("+84900000882");
    let granted = fact(&hoa, "hoa-1", ConsentStatus::Granted);
    let set = async |request: &SetConsentRequest| world.connection.consents().set_consent(request.clone()).await;
    let first = set(&granted).await?.into_inner();
    set(&fact(&hoa, "hoa-2", ConsentStatus::Denied)).await?;
    let again = set(&granted).await?.into_inner();
    ensure!(first == again, "{first:?} {again:?}");
    let other = SetConsentRequest {
        text_version: "v2".to_owned(),
        ..granted.clone()
    };
    ensure!(
        set(&other)
            .await
            .is_err_and(|status| status.code() == Code::AlreadyExists)
    );
    // What was said before is kept, and does not stand.
    let before = SetConsentRequest {
        at: first.consent.and_then(|fact| fact.at),
        ..fact(&hoa, "hoa-3", ConsentStatus::Granted)
    };
    let late = set(&before).await?.into_inner().consent.context("no fact")?;
    ensure!(!late.stood && late.number == 3, "{late:?}");
    let told: Vec<u64> = history(world, &hoa).await?.iter().map(|fact| fact.number).collect();
    ensure!(told == [3, 2, 1], "{told:?}");
    let answer = advertising(world, &hoa).await?;
    let stands = answer.consent.context("no fact stands")?;
    ensure!(answer.code == "opted_out" && stands.number == 2, "{stands:?}");
    is_refused(
        world,
        &sends(world, &hoa, "hoa-ad", Purpose::Marketing).await?,
        "opted_out",
    )
    .await
}

async fn refuses(world: &World, customer_id: &str, request_id: &str, refuses: bool) -> anyhow::Result<()> {
    let request = SetMarketingRefusalRequest {
        customer_id: customer_id.to_owned(),
        refuses,
        source: "call".to_owned(),
        request_id: request_id.to_owned(),
        ..SetMarketingRefusalRequest::default()
    };
    let answer = world
        .connection
        .consents()
        .set_marketing_refusal(request)
        .await?
        .into_inner();
    ensure!(answer.refuses == refuses, "{answer:?}");
    Ok(())
}

async fn a_customers_word_goes_through_merges(world: &World) -> anyhow::Result<()> {
    let (one, other) = (phone("+84900000883"), phone("+84900000884"));
    for who in [&one, &other] {
        does(world, who, &format!("{}-1", who.value), Kind::Message(message("chào"))).await?;
        arrived(&world.connection, who).await?;
    }
    let older = customer_of(&world.connection, one.clone())
        .await?
        .context("no customer")?
        .customer_id;
    let younger = customer_of(&world.connection, other.clone())
        .await?
        .context("no customer")?
        .customer_id;
    refuses(world, &younger, "word-1", true).await?;
    ensure!(advertising(world, &one).await?.code.is_empty());
    let merge = MergeCustomersRequest {
        customer_id: older.clone(),
        other_customer_id: younger.clone(),
        request_id: "word-merge".to_owned(),
        ..MergeCustomersRequest::default()
    };
    let merged = world.connection.customers().merge_customers(merge).await?.into_inner();
    let merged = merged.customer.context("no customer")?;
    let both = asked(world, Of::CustomerId(younger.clone())).await?;
    let codes: Vec<&str> = both.iter().map(|answer| answer.code.as_str()).collect();
    ensure!(codes == ["customer_opted_out"; 2], "{both:?}");
    let ad = sends(world, &one, "word-ad-1", Purpose::Marketing).await?;
    is_refused(world, &ad, "customer_opted_out").await?;
    has_left(&sends(world, &one, "word-answer", Purpose::Service).await?)?;
    let undo = SplitCustomerRequest {
        customer_id: younger.clone(),
        request_id: "word-split".to_owned(),
        what: Some(What::Undo(UndoneMerge {
            merge_id: merged.merged[0].merge_id.clone(),
            identifiers: Vec::new(),
        })),
    };
    world.connection.customers().split_customer(undo).await?;
    has_left(&sends(world, &one, "word-ad-2", Purpose::Marketing).await?)?;
    ensure!(advertising(world, &other).await?.code == "customer_opted_out");
    refuses(world, &younger, "word-2", false).await?;
    has_left(&sends(world, &other, "word-ad-3", Purpose::Marketing).await?)
}

async fn nothing_leaves_for_whom_is_on_the_list(world: &World) -> anyhow::Result<()> {
    let mai = phone("+84900000885");
    let request = SuppressRequest {
        identifier: Some(mai.clone()),
        reason: SuppressionReason::Complaint.into(),
        request_id: "mai-1".to_owned(),
        source: "desk".to_owned(),
        ..SuppressRequest::default()
    };
    let answer = world
        .connection
        .consents()
        .suppress(request.clone())
        .await?
        .into_inner();
    let id = answer.suppression.context("nothing on the list")?.suppression_id;
    for (request_id, purpose) in [("mai-answer", Purpose::Service), ("mai-ad", Purpose::Marketing)] {
        is_refused(world, &sends(world, &mai, request_id, purpose).await?, "suppressed").await?;
    }
    let page = world
        .connection
        .consents()
        .list_suppressions(ListSuppressionsRequest::default())
        .await?
        .into_inner();
    let listed = page.suppressions.iter().find(|one| one.suppression_id == id);
    ensure!(listed.is_some_and(|one| one.holds && one.source == "desk"), "{page:?}");
    ensure!(!format!("{page:?}").contains("900000885"), "the list names somebody");
    let lift = UnsuppressRequest {
        of: Some(unsuppress_request::Of::SuppressionId(id.clone())),
        reason: SuppressionReason::Complaint.into(),
        request_id: "mai-2".to_owned(),
        ..UnsuppressRequest::default()
    };
    world.connection.consents().unsuppress(lift).await?;
    // The first request, repeated, puts nobody back.
    let again = world.connection.consents().suppress(request).await?.into_inner();
    ensure!(again.suppression.is_some_and(|one| !one.holds));
    let of = get_suppression_request::Of::Identifier(mai.clone());
    let asked = GetSuppressionRequest { of: Some(of) };
    let left = world.connection.consents().get_suppression(asked).await?.into_inner();
    ensure!(left.suppression_id == id && left.suppressions.len() == 1, "{left:?}");
    has_left(&sends(world, &mai, "mai-answer-2", Purpose::Service).await?)
}

async fn what_makes_no_sense_is_refused(world: &World) -> anyhow::Result<()> {
    let who = phone("+84900000886");
    let good = fact(&who, "bad", ConsentStatus::Granted);
    let ahead = Some(pbjson_types::Timestamp {
        seconds: 4_000_000_000,
        nanos: 0,
    });
    let bad = [
        SetConsentRequest {
            purpose: Purpose::Service.into(),
            ..good.clone()
        },
        SetConsentRequest {
            channel: "S M S".to_owned(),
            ..good.clone()
        },
        SetConsentRequest {
            status: ConsentStatus::Expired.into(),
            ..good.clone()
        },
        SetConsentRequest {
            basis: LegalBasis::Unspecified.into(),
            ..good.clone()
        },
        SetConsentRequest {
            source: String::new(),
            ..good.clone()
        },
        SetConsentRequest {
            proof: "x".repeat(513),
            ..good.clone()
        },
        SetConsentRequest {
            at: ahead,
            ..good.clone()
        },
        SetConsentRequest {
            expires_at: ahead,
            status: ConsentStatus::Denied.into(),
            ..good.clone()
        },
        SetConsentRequest {
            request_id: String::new(),
            ..good.clone()
        },
        SetConsentRequest {
            identifier: None,
            ..good.clone()
        },
    ];
    for request in bad {
        let refused = world.connection.consents().set_consent(request.clone()).await;
        ensure!(
            refused.is_err_and(|status| status.code() == Code::InvalidArgument),
            "{request:?}"
        );
    }
    ensure!(history(world, &who).await?.is_empty(), "something was recorded");
    Ok(())
}
