//! Consent, codes, and tokens that rotate.

use super::*;
use crate::zalo::{AppOptions, OaOptions};

async fn token(zalo: &ZaloHandle, secret: &str, fields: &[(&str, &str)]) -> Value {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let url = format!("{}/v4/oa/access_token", zalo.base_url());
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("secret_key", secret),
    ];
    let (status, _, body) = http("POST", &url, &headers, form).await.unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

async fn refreshed(zalo: &ZaloHandle, refresh_token: &str) -> Value {
    let app_id = zalo.app_id();
    let fields = [
        ("app_id", app_id.as_str()),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    token(zalo, &zalo.app_secret(), &fields).await
}

async fn exchanged(zalo: &ZaloHandle, code: &str, verifier: &str) -> Value {
    let app_id = zalo.app_id();
    let fields = [
        ("app_id", app_id.as_str()),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", verifier),
    ];
    token(zalo, &zalo.app_secret(), &fields).await
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_the_next_one_comes_with_it() {
    let zalo = quick().await;
    let (first_access, first) = zalo.tokens().unwrap();
    let second = refreshed(&zalo, &first).await;
    assert_eq!(second["expires_in"], "90000", "a string");
    let reused = refreshed(&zalo, &first).await;
    assert_eq!(reused["error"], -14_014);
    assert!(
        reused["access_token"].is_null() && reused["error_name"].is_string(),
        "{reused}"
    );
    assert_eq!(zalo.counters().refresh_reuse, 1);
    let third = refreshed(&zalo, second["refresh_token"].as_str().unwrap()).await;
    let pair = zalo.tokens().unwrap();
    assert_eq!(third["access_token"], pair.0);
    assert_ne!(pair.0, first_access);
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), 0);
    zalo.advance(Duration::from_hours(90 * 24));
    assert_eq!(
        error(&refreshed(&zalo, &pair.1).await),
        -14_014,
        "three months are over"
    );
}

#[tokio::test]
async fn access_tokens_live_25_hours() {
    let zalo = quick().await;
    zalo.advance(Duration::from_secs(89_999));
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), 0);
    zalo.advance(Duration::from_secs(1));
    let expired = get(&zalo, "/v2.0/oa/getoa", json!({})).await;
    assert_eq!(expired, json!({"error": -216, "message": "Access token has expired"}));
    assert_eq!(error(&get(&zalo, "/message/quota", json!({})).await), -124);
    refreshed(&zalo, &zalo.tokens().unwrap().1).await;
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), 0);
    zalo.expire_access_tokens();
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), -216);
    zalo.revoke();
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), -220);
    assert_eq!(error(&refreshed(&zalo, &zalo.tokens().unwrap().1).await), -14_014);
}

#[tokio::test]
async fn a_code_is_good_once_for_ten_minutes_and_for_its_verifier() {
    let zalo = quick().await;
    // The verifier and challenge of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let code = zalo.authorize(challenge);
    assert_eq!(error(&exchanged(&zalo, &code, "wrong").await), -14_005);
    let pair = exchanged(&zalo, &code, verifier).await;
    assert!(pair["access_token"].is_string() && pair["error"].is_null(), "{pair}");
    assert_eq!(error(&exchanged(&zalo, &code, verifier).await), -14_005, "spent");
    let late = zalo.authorize(None);
    zalo.advance(Duration::from_secs(600));
    assert_eq!(error(&exchanged(&zalo, &late, "").await), -14_005);
    assert_eq!(error(&exchanged(&zalo, "nonsense", "").await), -14_005);
}

#[tokio::test]
async fn the_app_its_secret_and_the_grant_are_checked() {
    let zalo = quick().await;
    let (app_id, secret, refresh) = (zalo.app_id(), zalo.app_secret(), zalo.tokens().unwrap().1);
    let ask = |app: String, secret: String, grant: &'static str| {
        let (zalo, refresh) = (zalo.clone(), refresh.clone());
        async move {
            let fields = [
                ("app_id", app.as_str()),
                ("grant_type", grant),
                ("refresh_token", &refresh),
            ];
            error(&token(&zalo, &secret, &fields).await)
        }
    };
    assert_eq!(ask("5".to_owned(), secret.clone(), "refresh_token").await, -14_002);
    assert_eq!(ask(app_id.clone(), "x".to_owned(), "refresh_token").await, -14_004);
    assert_eq!(ask(app_id, secret, "password").await, -14_001);
    assert!(
        refreshed(&zalo, &refresh).await["access_token"].is_string(),
        "nothing was spent"
    );
}

#[tokio::test]
async fn the_permission_page_sends_the_browser_back_with_a_code() {
    let app = AppOptions {
        redirect_uri: Some("http://127.0.0.1:9/back".to_owned()),
        code_challenge: Some("c".to_owned()),
        oas: vec![OaOptions {
            access_token: None,
            ..OaOptions::default()
        }],
        ..AppOptions::default()
    };
    let zalo = start(Options {
        apps: vec![app],
        ..quick_options()
    })
    .await;
    assert!(zalo.tokens().is_none());
    let ask = |query: &str| format!("{}/v4/oa/permission?app_id={}&{query}", zalo.base_url(), zalo.app_id());
    let right = "redirect_uri=http://127.0.0.1:9/back&code_challenge=c&state=s";
    let (status, headers, _) = http("GET", &ask(right), &[], "").await.unwrap();
    assert_eq!(status, 302);
    let location = url::Url::parse(headers["location"].to_str().unwrap()).unwrap();
    let back: std::collections::HashMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!(
        (back["oa_id"].as_str(), back["state"].as_str()),
        (zalo.oa_id().as_str(), "s")
    );
    assert_eq!(back["code_challenge"], "c");
    assert_eq!(back["code"].len(), 43);
    for wrong in [
        "redirect_uri=http://127.0.0.1:9/&code_challenge=c",
        "redirect_uri=http://127.0.0.1:9/back",
    ] {
        let (status, _, body) = http("GET", &ask(wrong), &[], "").await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status.as_u16(), error(&body)), (200, -14_003));
    }
}
