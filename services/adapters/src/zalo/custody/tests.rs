use super::super::settings;
use super::*;
use omnigate_core::account::{Account, AdapterRef, App, Limits, Settings};
use omnigate_core::port::adapter::{AccessToken, NoAccessToken, TransportError};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ErrorClass, ProviderTemplateState};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Plays answers in order and keeps the calls.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Result<HttpResponse, TransportError>>>,
    calls: Mutex<Vec<HttpRequest>>,
}

fn response(status: u16, body: &str) -> Result<HttpResponse, TransportError> {
    Ok(HttpResponse {
        status,
        headers: Vec::new(),
        body: body.to_owned().into(),
    })
}

fn script(answers: impl IntoIterator<Item = Result<HttpResponse, TransportError>>) -> Script {
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.reverse();
    Script {
        answers: Mutex::new(answers),
        calls: Mutex::default(),
    }
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.calls.lock().unwrap().push(request);
        self.answers.lock().unwrap().pop().expect("a call too many")
    }
}

#[async_trait::async_trait]
impl ChannelHost for Script {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn now(&self) -> Moment {
        Moment(1_767_323_045_678)
    }

    async fn access_token(&self, refused: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        Ok(AccessToken(
            if refused.is_some() { "second" } else { "first" }.to_owned(),
        ))
    }
}

fn custodian() -> OaCustodian {
    let value = json!({
        "oa_id": "3", "app_id": "100", "app_secret": "APPSECRET", "refresh_token": "REFRESH0",
        "redirect_url": "https://shop.example/zalo?x=1", "code_challenge": "c".repeat(43),
    });
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    let app = App {
        id: "oa".into(),
        tenant_id: "t".into(),
        channel: "zalo".into(),
        provider: String::new(),
        settings: Settings(map.clone()),
        implicit: true,
    };
    let account = Account {
        id: "oa".into(),
        tenant_id: "t".into(),
        channel: "zalo".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "oa".into(),
        settings: Settings(map),
        limits: Limits::default(),
    };
    let credentials = settings::credentials(&app, &account).unwrap().unwrap();
    OaCustodian::new(credentials, OaSettings::read(&app, &account).unwrap())
}

async fn fetched(
    grant: Grant,
    answer: Result<HttpResponse, TransportError>,
) -> (Result<TokenPair, NoTokens>, HttpRequest) {
    let script = script([answer]);
    let outcome = custodian().fetch(&grant, &script).await;
    let call = script.calls.lock().unwrap().pop().unwrap();
    (outcome, call)
}

fn refresh() -> Grant {
    Grant::RefreshToken("REFRESH1".into())
}

#[test]
fn the_address_of_consent_says_what_the_console_holds() {
    let url = custodian().authorization_url().unwrap();
    let challenge = "c".repeat(43);
    assert_eq!(
        url,
        format!(
            "https://oauth.zaloapp.com/v4/oa/permission?app_id=100&redirect_uri=https%3A%2F%2Fshop.example%2Fzalo%3Fx%3D1&code_challenge={challenge}"
        )
    );
}

#[tokio::test]
async fn a_refresh_token_fetches_a_pair() {
    let body = r#"{"access_token":"A","refresh_token":"R","expires_in":"90000"}"#;
    let (outcome, call) = fetched(refresh(), response(200, body)).await;
    let pair = outcome.unwrap();
    assert_eq!((pair.access_token.as_str(), pair.refresh_token.as_str()), ("A", "R"));
    assert_eq!(pair.access_for, Some(Duration::from_hours(25)));
    assert_eq!(call.url, "https://oauth.zaloapp.com/v4/oa/access_token");
    assert_eq!(call.headers, [("secret_key", "APPSECRET".to_owned())]);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        call.body,
        HttpBody::Form(vec![
            field("grant_type", "refresh_token"),
            field("refresh_token", "REFRESH1"),
            field("app_id", "100"),
        ])
    );
}

#[tokio::test]
async fn a_code_fetches_a_pair_with_its_verifier() {
    let grant = |verifier: &str| Grant::AuthorizationCode {
        code: "CODE".into(),
        verifier: verifier.into(),
    };
    let body = r#"{"access_token":"A","refresh_token":"R","expires_in":90000}"#;
    let (outcome, call) = fetched(grant("VERIFIER"), response(200, body)).await;
    assert_eq!(outcome.unwrap().access_for, Some(Duration::from_hours(25)));
    let HttpBody::Form(fields) = call.body else {
        panic!("no form")
    };
    let names: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("grant_type", "authorization_code"),
            ("code", "CODE"),
            ("app_id", "100"),
            ("code_verifier", "VERIFIER")
        ]
    );
    let (_, call) = fetched(grant(""), response(200, body)).await;
    assert!(matches!(call.body, HttpBody::Form(fields) if fields.len() == 3));
}

#[tokio::test]
async fn only_a_refused_grant_is_dead() {
    let dead = [
        r#"{"error":-14014,"error_name":"Invalid refresh token","error_reason":"x"}"#,
        r#"{"error":"-14020","error_description":"Refresh token is expired"}"#,
        r#"{"error":-14005,"error_name":"Invalid authorization code"}"#,
        r#"{"error":-14030,"message":"refresh_token was used"}"#,
    ];
    for body in dead {
        let (outcome, _) = fetched(refresh(), response(200, body)).await;
        let Err(NoTokens::Dead(text)) = &outcome else {
            panic!("{body}: {outcome:?}")
        };
        assert!(!text.contains("REFRESH1") && !text.contains("APPSECRET"), "{text}");
    }
}

/// A refresh token must never be given up because of a network, a proxy or a setting of the app.
#[tokio::test]
async fn everything_else_may_pass() {
    let answers = [
        Err(TransportError::NotSent("no connection".into())),
        Err(TransportError::Ambiguous("time-out".into())),
        Err(TransportError::Forbidden("private".into())),
        response(200, ""),
        response(200, "<html>"),
        response(200, "{}"),
        response(200, "null"),
        response(200, "[1]"),
        response(200, r#"{"error":0}"#),
        response(
            200,
            r#"{"error":"invalid_grant","error_description":"refresh token invalid"}"#,
        ),
        response(200, r#"{"access_token":"","refresh_token":"R"}"#),
        response(200, r#"{"error":-14002,"error_name":"Invalid app id"}"#),
        response(200, r#"{"error":-14003,"error_name":"Invalid redirect uri"}"#),
        response(200, r#"{"error":-14004,"error_name":"Invalid app secret"}"#),
        response(200, r#"{"error":-14099,"error_name":"Something new"}"#),
        response(200, r#"{"error":-32,"error_name":"refresh token limit: invalid rate"}"#),
        response(429, r#"{"error":-14014,"error_name":"Invalid refresh token"}"#),
        response(500, r#"{"error":-14014,"error_name":"Invalid refresh token"}"#),
        response(503, "busy"),
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let (outcome, _) = fetched(refresh(), answer).await;
        let Err(NoTokens::Unavailable(text)) = &outcome else {
            panic!("{shown}: {outcome:?}")
        };
        assert!(!text.contains("REFRESH1") && !text.contains("APPSECRET"), "{text}");
    }
}

fn list(ids: std::ops::Range<usize>, status: &str) -> String {
    let templates: Vec<Value> = ids
        .map(|id| json!({ "templateId": 300_000 + id, "templateName": format!("Mẫu {id}"), "status": status, "templateQuality": "HIGH" }))
        .collect();
    json!({ "error": 0, "message": "Success", "data": templates, "metadata": { "total": 1 } }).to_string()
}

#[tokio::test]
async fn templates_are_copied_with_their_parameters() {
    let info = json!({ "error": 0, "data": {
        "templateId": "300000", "templateName": "Xác nhận", "status": "ENABLE", "templateTag": "TRANSACTION",
        "listParams": [
            { "name": "order_code", "require": true, "type": "STRING", "maxLength": 30, "minLength": 1, "acceptNull": false },
            { "name": "note", "require": "false", "type": "STRING", "max_length": "100", "accept_null": 1 },
        ],
    } });
    let script = script([response(200, &list(0..1, "ENABLE")), response(200, &info.to_string())]);
    let templates = custodian().templates(&script).await.unwrap().unwrap();
    let calls = script.calls.lock().unwrap().clone();
    let urls: Vec<_> = calls.iter().map(|call| (call.method, call.url.as_str())).collect();
    assert_eq!(
        urls,
        [
            (
                "GET",
                "https://business.openapi.zalo.me/template/all?offset=0&limit=100"
            ),
            (
                "GET",
                "https://business.openapi.zalo.me/template/info/v2?template_id=300000"
            ),
        ]
    );
    assert_eq!(calls[0].headers, [("access_token", "first".to_owned())]);
    let [template] = templates.as_slice() else {
        panic!("{templates:?}")
    };
    assert_eq!(template.state(), ProviderTemplateState::Approved);
    assert_eq!(
        (
            template.name.as_str(),
            template.purpose.as_str(),
            template.quality.as_str()
        ),
        ("Xác nhận", "TRANSACTION", "HIGH")
    );
    let shown: Vec<_> = template
        .parameters
        .iter()
        .map(|p| (p.name.as_str(), p.required, p.min_length, p.max_length, p.may_be_empty))
        .collect();
    assert_eq!(
        shown,
        [("order_code", true, 1, 30, false), ("note", false, 0, 100, true)]
    );
}

#[tokio::test]
async fn templates_come_in_pages_and_only_usable_ones_are_looked_at() {
    let script = script([
        response(200, &list(0..100, "REJECT")),
        response(200, &list(99..103, "PENDING_REVIEW")),
    ]);
    let templates = custodian().templates(&script).await.unwrap().unwrap();
    assert_eq!(templates.len(), 103);
    assert_eq!(templates[0].state(), ProviderTemplateState::Rejected);
    assert_eq!(templates[102].state(), ProviderTemplateState::Pending);
    assert!(script.calls.lock().unwrap()[1].url.ends_with("offset=100&limit=100"));
}

#[tokio::test]
async fn a_template_that_is_not_shown_is_not_said_to_be_usable() {
    let script = script([
        response(200, &list(0..1, "ENABLE")),
        response(200, r#"{"error":-109,"message":"template id invalid"}"#),
    ]);
    let templates = custodian().templates(&script).await.unwrap().unwrap();
    assert_eq!(templates[0].state(), ProviderTemplateState::Unspecified);
}

#[tokio::test]
async fn one_template_is_looked_up_or_it_is_not_there_or_nobody_knows() {
    let settings = OaSettings::for_tests();
    let info = json!({ "error": 0, "data": {
        "templateName": "Mới", "status": "ENABLE", "listParams": [{ "name": "code", "require": true }],
    } });
    let known = script([response(200, &info.to_string())]);
    let found = templates::look_up(&settings, &known, "300009").await.unwrap();
    let shown = (
        found[0].template_id.as_str(),
        found[0].state(),
        found[0].parameters.len(),
    );
    assert_eq!(shown, ("300009", ProviderTemplateState::Approved, 1));
    let url = known.calls.lock().unwrap()[0].url.clone();
    assert_eq!(
        url,
        "https://business.openapi.zalo.me/template/info/v2?template_id=300009"
    );
    let absent = script([response(200, r#"{"error":-109,"message":"template id invalid"}"#)]);
    assert_eq!(templates::look_up(&settings, &absent, "9").await.unwrap(), []);
    let away = script([Err(TransportError::NotSent("refused".into()))]);
    templates::look_up(&settings, &away, "300009").await.unwrap_err();
}

/// Half a copy would refuse good messages.
#[tokio::test]
async fn a_copy_that_fails_is_none() {
    for (answers, class) in [
        (vec![response(200, "<html>")], ErrorClass::Ambiguous),
        (
            vec![response(200, r#"{"error":0,"data":{"a":1}}"#)],
            ErrorClass::NotSent,
        ),
        (
            vec![response(200, r#"{"error":-32,"message":"limit"}"#)],
            ErrorClass::Throttled,
        ),
        (
            vec![
                response(200, &list(0..1, "ENABLE")),
                Err(TransportError::Ambiguous("time-out".into())),
            ],
            ErrorClass::Ambiguous,
        ),
        (
            vec![
                response(200, r#"{"error":-124,"message":"Access token invalid"}"#),
                response(200, r#"{"error":-124,"message":"Access token invalid"}"#),
            ],
            ErrorClass::Account,
        ),
    ] {
        let error = custodian().templates(&script(answers)).await.unwrap_err();
        assert_eq!(error.class(), class);
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_while_copying() {
    let script = script([
        response(200, r#"{"error":-124,"message":"Access token invalid"}"#),
        response(200, &list(0..0, "ENABLE")),
    ]);
    let templates = custodian().templates(&script).await.unwrap().unwrap();
    assert!(templates.is_empty());
    let calls = script.calls.lock().unwrap().clone();
    assert_eq!(calls[1].headers, [("access_token", "second".to_owned())]);
}
