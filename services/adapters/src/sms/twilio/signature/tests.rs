//! The expected signatures were computed with Twilio's own library, `twilio.request_validator` 9.13.0.

use super::*;
use bytes::Bytes;
use omnigate_core::time::Moment;

const TOKEN: &str = "a-token-of-no-account";

fn refused(url: &str, query: &str, body: &str, signature: &str) -> Option<&'static str> {
    refused_by(url, query, body, signature, &[TOKEN.to_owned()])
}

fn refused_by(url: &str, query: &str, body: &str, signature: &str, tokens: &[String]) -> Option<&'static str> {
    let request = WebhookRequest {
        method: "POST".into(),
        query: query.into(),
        headers: vec![(HEADER.into(), Bytes::copy_from_slice(signature.as_bytes()))],
        body: Bytes::copy_from_slice(body.as_bytes()),
        remote: None,
        received_at: Moment(0),
    };
    let parameters = if body.starts_with('{') {
        Parameters::of_query(&request)
    } else {
        Parameters::of(&request)
    };
    refuse(&request, &parameters, url, tokens)
}

const URL: &str = "https://gw.example/v1/webhooks/shop";
const FORM: &str =
    "From=%2B84912345678&To=%2B14155550100&Body=Xin+ch%C3%A0o+%26+h%E1%BA%B9n+g%E1%BA%B7p&AccountSid=AC1&NumMedia=0";

#[test]
fn a_form_is_signed_with_its_parameters() {
    let signature = "OZLH9RyOe9FunlYI5aKx0BEQF8I=";
    assert_eq!(refused(URL, "", FORM, signature), None);
    assert_eq!(
        refused("https://gw.example:443/v1/webhooks/shop", "", FORM, signature),
        None
    );
    assert!(refused(URL, "a=b", FORM, signature).is_some());
    assert!(refused("http://gw.example/v1/webhooks/shop", "", FORM, signature).is_some());
    assert!(refused(URL, "", &FORM.replace("NumMedia=0", "NumMedia=1"), signature).is_some());
    assert!(refused(URL, "", &format!("{FORM}&New="), signature).is_some());
}

#[test]
fn the_address_may_be_signed_with_its_port() {
    let signature = "XOb8tqXp7W+Yj/3FbdwQ1TQgN9g=";
    assert_eq!(refused(URL, "send_key=K&b=%C4%91", FORM, signature), None);
    assert!(
        refused(URL, "b=%C4%91&send_key=K", FORM, signature).is_some(),
        "the query is signed as it stands"
    );
}

#[test]
fn each_distinct_value_is_signed_once_in_order() {
    let form = "a=2&A=z&a=1&a=2";
    assert_eq!(
        refused("http://gw.example:8080/x", "", form, "c9NqJtLqrP0s8Qd5Bm4d1nQaIWw="),
        None
    );
    // Without its port, which is not the usual one.
    assert_eq!(
        refused("http://gw.example:8080/x", "", form, "zY9OsrySB/17F+4Ybz1t0Qz0J2Q="),
        None
    );
}

#[test]
fn a_body_that_is_no_form_is_signed_by_its_digest() {
    let query = "bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    let (url, signature) = ("https://user:pw@gw.example/x", "d1TXEQh/4SPE4IrP3N63b0NsLv0=");
    assert_eq!(refused(url, query, "{\"a\":1}", signature), None);
    assert!(refused(url, query, "{\"a\":2}", signature).is_some());
}

#[test]
fn a_get_is_signed_with_its_query() {
    let (url, query) = ("https://gw.example/x", "Body=a+b&From=%2B84912345678");
    assert_eq!(refused(url, query, "", "3xh5px+saT4sCTkAaxKj97jeJnc="), None);
}

#[test]
fn both_tokens_sign_during_a_rotation() {
    let signature = "OZLH9RyOe9FunlYI5aKx0BEQF8I=";
    let tokens = ["another".to_owned(), TOKEN.to_owned()];
    assert_eq!(refused_by(URL, "", FORM, signature, &tokens), None);
    assert!(refused_by(URL, "", FORM, signature, &tokens[..1]).is_some());
    assert!(refused_by(URL, "", FORM, signature, &[]).is_some());
}

#[test]
fn ports_are_told_from_addresses_and_user_information() {
    for (url, bare, full) in [
        ("https://a", "https://a", "https://a:443"),
        ("http://a:1/b?c=d:2", "http://a/b?c=d:2", "http://a:1/b?c=d:2"),
        ("https://u:p@a/b", "https://u:p@a/b", "https://u:p@a:443/b"),
        ("https://[::1]/b", "https://[::1]/b", "https://[::1]:443/b"),
        ("https://[::1]:8443/b", "https://[::1]/b", "https://[::1]:8443/b"),
        ("https://a?b", "https://a?b", "https://a:443?b"),
    ] {
        assert_eq!(
            (without_port(url).as_str(), with_port(url).as_str()),
            (bare, full),
            "{url}"
        );
    }
}
