//! One attempt at telling an endpoint one event, as Standard Webhooks describe it.

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_core::{
    customer_event,
    event_webhook::{Endpoint, SigningKey},
    port::adapter::{HttpBody, HttpRequest, HttpResponse, Transport, TransportError},
    time::Moment,
};
use omnigate_proto::v1::CustomerEvent;
use serde::Serialize;
use sha2::Sha256;
use std::time::Duration;

/// Largest body that is sent.
const MAX_BODY: usize = 1024 * 1024;
/// Longest pause that a receiver may ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The receiver took it.
    Delivered,
    /// The receiver wants nothing more, ever.
    Gone,
    /// It did not take it.
    Failed {
        /// What happened; no address, nothing of the body.
        what: String,
        /// It asked for this long a pause.
        pause: Duration,
    },
    /// It cannot be sent at all.
    Unsendable(&'static str),
}

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'a str,
    timestamp: Option<&'a pbjson_types::Timestamp>,
    data: &'a CustomerEvent,
}

/// Tells an endpoint an event.
pub(super) async fn attempt(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    event: Bytes,
    now: Moment,
    time_limit: Duration,
) -> Outcome {
    let request = match request(endpoint, event, now, time_limit) {
        Ok(request) => request,
        Err(problem) => return Outcome::Unsendable(problem),
    };
    match transport.call(request).await {
        Ok(response) => judge(&response, now),
        Err(error) => Outcome::Failed {
            what: match &error {
                TransportError::Forbidden(_) => format!("{error}; allow_private lets it"),
                _ => error.to_string(),
            },
            pause: Duration::ZERO,
        },
    }
}

fn request(endpoint: &Endpoint, event: Bytes, now: Moment, time_limit: Duration) -> Result<HttpRequest, &'static str> {
    let kind = customer_event::kind_name(&event);
    let event = customer_event::read(event).map_err(|_| "it cannot be read")?;
    let payload = Payload {
        r#type: kind,
        timestamp: event.at.as_ref(),
        data: &event,
    };
    let body = serde_json::to_vec(&payload).map_err(|_| "it cannot be written as JSON")?;
    if body.len() > MAX_BODY {
        return Err("it is larger than 1 MiB");
    }
    let seconds = now.0.div_euclid(1000);
    let signatures = endpoint
        .keys
        .iter()
        .map(|key| sign(key, &event.event_id, seconds, &body));
    let headers = vec![
        ("webhook-signature", signatures.collect::<Vec<String>>().join(" ")),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-id", event.event_id),
    ];
    Ok(HttpRequest {
        method: "POST",
        url: endpoint.url.clone(),
        headers,
        body: HttpBody::Json(body.into()),
        time_limit,
    })
}

/// The signature of a message under one key.
fn sign(key: &SigningKey, id: &str, seconds: i64, body: &[u8]) -> String {
    let keyed = Hmac::<Sha256>::new_from_slice(&key.0).map(|keyed| {
        let signed = keyed.chain_update(format!("{id}.{seconds}.")).chain_update(body);
        BASE64.encode(&signed.finalize().into_bytes())
    });
    // Keys of any length are taken.
    format!("v1,{}", keyed.unwrap_or_default())
}

fn judge(response: &HttpResponse, now: Moment) -> Outcome {
    match response.status {
        200..300 => Outcome::Delivered,
        410 => Outcome::Gone,
        status => {
            let asked = retry_after(response, now).filter(|_| matches!(status, 429 | 503));
            Outcome::Failed {
                what: format!("status {status}"),
                pause: asked.unwrap_or_default().min(MAX_PAUSE),
            }
        }
    }
}

/// The pause in a response: seconds or a date.
fn retry_after(response: &HttpResponse, now: Moment) -> Option<Duration> {
    let header = response.headers.iter().find(|(name, _)| name == "retry-after");
    let value = header?.1.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(Moment(date.timestamp().as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(secret: &str) -> SigningKey {
        SigningKey::read(secret).unwrap()
    }

    /// From the reference implementations' own tests.
    #[test]
    fn a_known_message_has_its_known_signature() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    fn endpoint() -> Endpoint {
        let secrets = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2VjcmV0LW9mLWEtcm90YXRlZC1lbmRwb2ludA==",
        ];
        Endpoint {
            id: "crm".to_owned(),
            tenant_id: "t".to_owned(),
            url: "https://crm.example/hooks?key=secret".to_owned(),
            shown_url: "https://crm.example/hooks".to_owned(),
            keys: secrets.map(key).to_vec(),
            kinds: BTreeSet::new(),
            description: String::new(),
        }
    }

    fn event() -> Bytes {
        let event = CustomerEvent {
            event_id: "cus_1/7".to_owned(),
            customer_id: "cus_1".to_owned(),
            home_seq: 7,
            at: Some(Moment(1_800_000_000_000).to_timestamp()),
            kind: Some(omnigate_proto::v1::customer_event::Kind::CustomerCreated(
                omnigate_proto::v1::CustomerCreated::default(),
            )),
            ..CustomerEvent::default()
        };
        prost::Message::encode_to_vec(&event).into()
    }

    #[test]
    fn a_request_is_signed_with_every_key_and_names_the_kind() {
        let endpoint = endpoint();
        let request = request(&endpoint, event(), Moment(1_800_000_000_999), Duration::from_secs(1)).unwrap();
        let HttpBody::Json(body) = request.body else {
            panic!("it has a body");
        };
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"type":"customer_created","timestamp":"2027-01-15T08:00:00+00:00","data":{"eventId":"cus_1/7","customerId":"cus_1","homeSeq":"7","at":"2027-01-15T08:00:00+00:00","customerCreated":{}}}"#
        );
        let header = |name: &str| &request.headers.iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!(
            (header("webhook-id").as_str(), header("webhook-timestamp").as_str()),
            ("cus_1/7", "1800000000")
        );
        let expected: Vec<String> = endpoint
            .keys
            .iter()
            .map(|key| sign(key, "cus_1/7", 1_800_000_000, &body))
            .collect();
        assert_eq!(*header("webhook-signature"), expected.join(" "));
        assert_ne!(expected[0], expected[1]);
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Outcome {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let response = HttpResponse {
            status,
            headers: headers.collect(),
            body: Bytes::new(),
        };
        judge(&response, Moment(1_800_000_000_000))
    }

    #[test]
    fn answers_are_judged_by_their_status_and_pauses_are_bounded() {
        assert_eq!((answer(200, &[]), answer(204, &[]), answer(410, &[])), {
            (Outcome::Delivered, Outcome::Delivered, Outcome::Gone)
        });
        let failed = |status: u16, seconds| Outcome::Failed {
            what: format!("status {status}"),
            pause: Duration::from_secs(seconds),
        };
        assert_eq!(answer(302, &[("location", "http://elsewhere")]), failed(302, 0));
        assert_eq!(answer(429, &[("retry-after", "120")]), failed(429, 120));
        assert_eq!(answer(503, &[("retry-after", "999999999")]), failed(503, 3600));
        let date = "Fri, 15 Jan 2027 08:01:00 GMT";
        assert_eq!(answer(503, &[("retry-after", date)]), failed(503, 60));
        assert_eq!(answer(503, &[("retry-after", "soon")]), failed(503, 0));
        assert_eq!(answer(500, &[("retry-after", "60")]), failed(500, 0));
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        let large = CustomerEvent {
            trace_id: "x".repeat(MAX_BODY),
            ..CustomerEvent::default()
        };
        let large = prost::Message::encode_to_vec(&large).into();
        let sent = |event| request(&endpoint(), event, Moment(0), Duration::from_secs(1));
        assert_eq!(sent(large).unwrap_err(), "it is larger than 1 MiB");
        assert_eq!(sent(Bytes::from_static(b"\xff")).unwrap_err(), "it cannot be read");
    }
}
