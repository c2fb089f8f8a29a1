//! Templates: made, changed, tried out on a customer, sent to those who test, archived.

use crate::identity::{at_kiosk, says};
use crate::outbound::reaches;
use crate::{KIOSK, World, sms};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::attribute_value::Kind as Value;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::preview_template_request::Of;
use omnigate_proto::v1::template_part::Content as Written;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content as Words;
use omnigate_proto::v1::{
    ArchiveTemplateRequest, AttributeChange, AttributeValue, CreateTemplateRequest, Delivery, DeliveryState,
    GetTemplateRequest, Identifier, ListTemplatesRequest, Message, PreviewTemplateRequest, PreviewTemplateResponse,
    Purpose, RichTemplate, SmsTemplate, StoredTemplate, Template, TemplateDefinition, TemplatePart, TemplateText,
    TemplateVariable, TemplateVariableType, TemplateVariant, TestSendRequest, UpdateCustomerRequest,
    UpdateTemplateRequest, WriterKind,
};
use omnigate_rpc::error::{reason, violations};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::arrived;
use tonic::{Code, Status};

/// Who may be sent tests.
const TESTER: &str = "+84900000990";

pub(crate) fn configure(keys: &mut Keys) {
    let recipients = format!("phone/{TESTER}, email/qa@example.vn");
    keys.insert("tenants.default.test_recipients".to_owned(), recipients);
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    mistakes_are_told_before_anything_is_stored(world).await?;
    let template = versions_are_made_once_and_stay(world).await?;
    what_it_says_to_a_customer_is_shown(world, &template).await?;
    a_test_goes_to_test_recipients_only(world, &template).await?;
    what_is_archived_is_not_used_any_more(world, &template).await
}

fn variable(name: &str, kind: TemplateVariableType, default: Option<&str>) -> TemplateVariable {
    TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        currency: if kind == TemplateVariableType::Money { "VND" } else { "" }.to_owned(),
        when_missing: Some(match default {
            Some(default) => WhenMissing::DefaultValue(default.to_owned()),
            None => WhenMissing::Required(true),
        }),
        ..TemplateVariable::default()
    }
}

fn definition(text: &str) -> TemplateDefinition {
    let sms = SmsTemplate {
        text: text.to_owned(),
        without_accents: true,
        max_segments: 2,
    };
    let rich = RichTemplate {
        parts: vec![TemplatePart {
            content: Some(Written::Text(TemplateText {
                text: text.to_owned(),
                ..TemplateText::default()
            })),
        }],
        ..RichTemplate::default()
    };
    let variant = |locale: &str, channel: &str, content: Words| TemplateVariant {
        locale: locale.to_owned(),
        channel: channel.to_owned(),
        content: Some(content),
    };
    TemplateDefinition {
        display_name: "Đơn đã gửi".to_owned(),
        purpose: Purpose::Service.into(),
        variables: vec![
            variable("city", TemplateVariableType::Text, None),
            variable("total", TemplateVariableType::Money, Some("0")),
        ],
        variants: vec![
            variant("vi", "sms", Words::Sms(sms)),
            variant("vi", KIOSK, Words::Rich(rich.clone())),
            variant("en", KIOSK, Words::Rich(rich)),
        ],
    }
}

const TEXT: &str = "Đơn về {{ city }}: {{ total }}";

fn is_refused<T: std::fmt::Debug>(answer: &Result<T, Status>, code: Code, why: &str) -> anyhow::Result<()> {
    let as_wanted = |status: &Status| status.code() == code && reason(status).as_deref() == Some(why);
    ensure!(answer.as_ref().is_err_and(as_wanted), "{why}: {answer:?}");
    Ok(())
}

async fn create(world: &World, request_id: &str, text: &str) -> Result<Template, Status> {
    let asked = CreateTemplateRequest {
        request_id: request_id.to_owned(),
        definition: Some(definition(text)),
    };
    let answer = world.connection.templates().create_template(asked).await?;
    answer
        .into_inner()
        .template
        .ok_or_else(|| Status::internal("no template"))
}

async fn update(world: &World, request_id: &str, template: &Template, text: &str) -> Result<Template, Status> {
    let asked = UpdateTemplateRequest {
        request_id: request_id.to_owned(),
        template_id: template.template_id.clone(),
        etag: template.etag.clone(),
        definition: Some(definition(text)),
    };
    let answer = world.connection.templates().update_template(asked).await?;
    answer
        .into_inner()
        .template
        .ok_or_else(|| Status::internal("no template"))
}

async fn get(world: &World, id: &str, version: u32) -> Result<Template, Status> {
    let asked = GetTemplateRequest {
        template_id: id.to_owned(),
        version,
    };
    let answer = world.connection.templates().get_template(asked).await?;
    answer
        .into_inner()
        .template
        .ok_or_else(|| Status::internal("no template"))
}

/// Ids of all that are listed, in pages of one.
async fn listed(world: &World, include_archived: bool) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListTemplatesRequest {
            page_size: 1,
            page_token,
            include_archived,
        };
        let page = world.connection.templates().list_templates(asked).await?.into_inner();
        ids.extend(page.templates.into_iter().map(|template| template.template_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(ids);
        }
    }
}

async fn mistakes_are_told_before_anything_is_stored(world: &World) -> anyhow::Result<()> {
    let refused = create(world, "templates-wrong", "Đơn về {{ citi }}: {{ total | mony }}").await;
    is_refused(&refused, Code::InvalidArgument, "TEMPLATE_INVALID")?;
    let told = violations(&refused.err().context("it was taken")?);
    let first = told.first().context("no mistake")?;
    ensure!(
        first.0 == "definition.variants[0].sms.text"
            && first.1 == "line 1, column 11: there is no variable \"citi\"; did you mean \"city\"?",
        "{told:?}"
    );
    ensure!(told.len() == 6, "each in each variant: {told:?}");
    ensure!(listed(world, true).await?.is_empty(), "something was stored");
    Ok(())
}

async fn versions_are_made_once_and_stay(world: &World) -> anyhow::Result<Template> {
    let one = create(world, "templates-1", "{{ city }}").await?;
    ensure!(one.version == 1 && one.template_id.starts_with("tpl_"), "{one:?}");
    ensure!(
        create(world, "templates-1", "{{ city }}").await? == one,
        "asked for again"
    );
    let other = create(world, "templates-1", TEXT).await;
    is_refused(&other, Code::AlreadyExists, "REQUEST_ID_REUSED")?;
    let two = update(world, "templates-2", &one, TEXT).await?;
    ensure!(two.version == 2 && two.newest_version == 2, "{two:?}");
    ensure!(
        update(world, "templates-2", &one, TEXT).await? == two,
        "asked for again"
    );
    let stale = update(world, "templates-3", &one, "x").await;
    is_refused(&stale, Code::Aborted, "ETAG_MISMATCH")?;
    let first = get(world, &one.template_id, 1).await?;
    ensure!(
        first.definition == one.definition && first.newest_version == 2,
        "{first:?}"
    );
    ensure!(get(world, &one.template_id, 0).await? == two, "the newest");
    is_refused(
        &get(world, &one.template_id, 3).await,
        Code::NotFound,
        "TEMPLATE_NOT_FOUND",
    )?;
    let another = create(world, "templates-4", TEXT).await?;
    let both = [one.template_id, another.template_id];
    ensure!(listed(world, false).await? == both, "the oldest first");
    Ok(two)
}

async fn preview(world: &World, request: PreviewTemplateRequest) -> anyhow::Result<PreviewTemplateResponse> {
    let answer = world.connection.templates().preview_template(request).await?;
    Ok(answer.into_inner())
}

fn words(message: Option<&Message>) -> &str {
    let first = message.and_then(|message| message.parts.first());
    match first.and_then(|part| part.content.as_ref()) {
        Some(Content::Text(text)) => &text.text,
        _ => "",
    }
}

async fn lives_in_hue(world: &World, customer_id: String) -> anyhow::Result<()> {
    let city = AttributeChange {
        name: "city".to_owned(),
        value: Some(AttributeValue {
            kind: Some(Value::Text("Huế".to_owned())),
        }),
    };
    let known = UpdateCustomerRequest {
        customer_id,
        set_attributes: vec![city],
        request_id: "templates-city".to_owned(),
        ..UpdateCustomerRequest::default()
    };
    world.connection.customers().update_customer(known).await?;
    Ok(())
}

async fn what_it_says_to_a_customer_is_shown(world: &World, template: &Template) -> anyhow::Result<()> {
    let peer = at_kiosk("mẫu");
    says(world, &peer, &[], "chào").await?;
    let customer = arrived(&world.connection, &peer).await?;
    let asked = PreviewTemplateRequest {
        of: Some(Of::Stored(StoredTemplate {
            template_id: template.template_id.clone(),
            version: 0,
        })),
        values: [("total".to_owned(), "1250000".to_owned())].into(),
        customer_id: customer.customer_id.clone(),
        account_id: sms::SMS.to_owned(),
        ..PreviewTemplateRequest::default()
    };
    let nobody = preview(world, asked.clone()).await?;
    let refusal = nobody.variants.first().and_then(|variant| variant.refusal.clone());
    let refusal = refusal.context("nothing was refused")?;
    ensure!(
        (refusal.reason.as_str(), refusal.variable.as_str()) == ("MISSING_DATA", "city"),
        "{refusal:?}"
    );
    lives_in_hue(world, customer.customer_id).await?;
    let shown = preview(world, asked.clone()).await?;
    let said: Vec<&str> = shown
        .variants
        .iter()
        .map(|variant| words(variant.message.as_ref()))
        .collect();
    let expected = [
        "Don ve Hue: 1.250.000 d",
        "Đơn về Huế: 1.250.000 ₫",
        "Đơn về Huế: ₫1,250,000",
    ];
    ensure!(said == expected, "{said:?}");
    let chosen: Vec<bool> = shown.variants.iter().map(|variant| variant.is_chosen).collect();
    ensure!(chosen == [true, true, false], "the tenant's language: {chosen:?}");
    ensure!(shown.variants.iter().all(|variant| variant.rendered_hash.len() == 32));
    let sms = shown.variants[0].sms.clone().context("no SMS segments")?;
    ensure!(
        (sms.encoding.as_str(), sms.segments, sms.cost.as_str()) == ("gsm7", 1, "850 VND"),
        "{sms:?}"
    );
    let draft = PreviewTemplateRequest {
        of: Some(Of::Definition(definition("{{ cty }}"))),
        ..asked
    };
    let mistaken = preview(world, draft).await?;
    ensure!(
        mistaken.mistakes.len() == 3 && mistaken.variants.is_empty(),
        "{mistaken:?}"
    );
    Ok(())
}

fn test(template: &Template, request_id: &str, to: &str, city: &str) -> TestSendRequest {
    TestSendRequest {
        request_id: request_id.to_owned(),
        template_id: template.template_id.clone(),
        recipient: Some(Identifier {
            r#type: "phone".to_owned(),
            scope: String::new(),
            value: to.to_owned(),
        }),
        account_id: KIOSK.to_owned(),
        values: [("city".to_owned(), city.to_owned())].into(),
        ..TestSendRequest::default()
    }
}

async fn send(world: &World, request: TestSendRequest) -> Result<Delivery, Status> {
    let answer = world.connection.templates().test_send(request).await?;
    answer
        .into_inner()
        .delivery
        .ok_or_else(|| Status::internal("no delivery"))
}

async fn a_test_goes_to_test_recipients_only(world: &World, template: &Template) -> anyhow::Result<()> {
    let stranger = send(world, test(template, "test-1", "+84900000991", "Huế")).await;
    is_refused(&stranger, Code::PermissionDenied, "NOT_A_TEST_RECIPIENT")?;
    let missing = send(world, test(template, "test-2", TESTER, " ")).await;
    is_refused(&missing, Code::FailedPrecondition, "MISSING_DATA")?;
    let sent_before = world.kiosk.sent().len();
    let asked = test(template, "test-3", "+84 900 000 990", "Huế");
    let accepted = send(world, asked.clone()).await?;
    ensure!(
        send(world, asked.clone()).await?.message_id == accepted.message_id,
        "asked for again"
    );
    let other = TestSendRequest {
        use_samples: true,
        ..asked
    };
    is_refused(&send(world, other).await, Code::AlreadyExists, "REQUEST_ID_REUSED")?;
    reaches(world, &accepted.message_id, &[DeliveryState::Accepted]).await?;
    let sent = world.kiosk.sent();
    let [sent] = &sent[sent_before..] else {
        anyhow::bail!("sent {} times", sent.len() - sent_before);
    };
    let message = sent.message.as_ref().context("no message")?;
    ensure!(words(Some(message)) == "Đơn về Huế: 0 ₫", "{message:?}");
    let writer = accepted
        .message
        .and_then(|message| message.writer)
        .context("no writer")?;
    let id = format!("test/{}/2", template.template_id);
    ensure!(writer.kind() == WriterKind::System && writer.id == id, "{writer:?}");
    Ok(())
}

async fn what_is_archived_is_not_used_any_more(world: &World, template: &Template) -> anyhow::Result<()> {
    let asked = |etag: &str| ArchiveTemplateRequest {
        request_id: format!("templates-archive-{etag}"),
        template_id: template.template_id.clone(),
        etag: etag.to_owned(),
    };
    let stale = world.connection.templates().archive_template(asked("v1")).await;
    is_refused(&stale, Code::Aborted, "ETAG_MISMATCH")?;
    for _ in 0..2 {
        let answer = world.connection.templates().archive_template(asked("v2")).await?;
        let archived = answer.into_inner().template.context("no template")?;
        ensure!(archived.archived_at.is_some() && archived.version == 2, "{archived:?}");
    }
    let late = update(world, "templates-5", template, "x").await;
    is_refused(&late, Code::FailedPrecondition, "TEMPLATE_ARCHIVED")?;
    let test = send(world, test(template, "test-4", TESTER, "Huế")).await;
    is_refused(&test, Code::FailedPrecondition, "TEMPLATE_ARCHIVED")?;
    ensure!(listed(world, false).await?.len() == 1 && listed(world, true).await?.len() == 2);
    ensure!(
        get(world, &template.template_id, 1).await?.version == 1,
        "still there to be read"
    );
    Ok(())
}
