//! The HTTP face: which of the three hosts a path is of, tokens, rates, faults, and the answer.

use super::{
    answer::{self, Outcome, Refused},
    fault::Fault,
    journal::JournalEntry,
    oauth::{self, Closed},
    params::{Params, header},
    server::Shared,
    world::World,
};
use crate::connection::Cut;
use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderValue, Request, StatusCode, header::LOCATION},
    response::Response,
};
use std::{sync::Arc, time::Duration};

/// Zalo's hosts; no path is of two of them, so that one port serves all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// `openapi.zalo.me`
    Oa,
    /// `business.openapi.zalo.me`
    Zns,
    /// `oauth.zaloapp.com`
    OAuth,
}

impl Host {
    fn of(path: &str) -> Option<Self> {
        let first = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        if first(&["/v2.0/oa/", "/v3.0/oa/"]) {
            Some(Self::Oa)
        } else if first(&["/v4/oa/"]) {
            Some(Self::OAuth)
        } else if first(&[
            "/message/",
            "/template/",
            "/rating/",
            "/response/",
            "/upload/",
            "/rsa/",
            "/journey/",
        ]) || path == "/quality"
        {
            Some(Self::Zns)
        } else {
            None
        }
    }

    fn error(self, code: i32) -> Refused {
        match self {
            Self::Zns => Refused::zns(code),
            Self::Oa | Self::OAuth => Refused::oa(code),
        }
    }
}

/// Serves everything but `/control`.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request<Body>,
) -> Response {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    if let Some(rest) = path.strip_prefix("/media/") {
        return media(&shared, rest);
    }
    let Some(host) = Host::of(&path) else {
        return answer::raw(404, "text/plain", "no such page");
    };
    let method = request.method().as_str().to_owned();
    let [access_token, proof, secret_key] = ["access_token", "appsecret_proof", "secret_key"]
        .map(|name| header(request.headers(), name).map(str::to_owned));
    let call = Call {
        shared: &shared,
        host,
        method,
        path,
        access_token,
        proof,
        secret_key,
        params: Params::read(request).await,
    };
    let fault = {
        let mut world = shared.lock();
        let oa = call.access_token.as_deref().and_then(|token| world.tokens.oa(token));
        let oa_id = oa.map(|oa| world.oa_id(oa));
        world.faults.strike(&call.path, oa_id.as_deref())
    };
    match fault {
        None => call.process(None),
        Some(fault) => call.spoiled(fault, &cut).await,
    }
}

/// One call of a known host.
struct Call<'a> {
    shared: &'a Shared,
    host: Host,
    method: String,
    path: String,
    access_token: Option<String>,
    proof: Option<String>,
    secret_key: Option<String>,
    params: Params,
}

impl Call<'_> {
    fn process(&self, fault: Option<Fault>) -> Response {
        let mut world = self.shared.lock();
        let mut remain = None;
        let outcome = self.run(&mut world, &mut remain);
        let limit = world.switches.rate_per_minute;
        self.record(&mut world, &outcome, fault);
        drop(world);
        self.shared.arrived();
        let mut response = self.answer(&outcome);
        if let Some(remain) = remain {
            let headers = response.headers_mut();
            headers.insert("X-RateLimit-Limit", HeaderValue::from(limit));
            headers.insert("X-RateLimit-Remain", HeaderValue::from(remain));
        }
        response
    }

    fn answer(&self, outcome: &Outcome) -> Response {
        if self.host != Host::OAuth {
            return answer::envelope(outcome);
        }
        let location = outcome
            .as_ref()
            .ok()
            .and_then(|reply| reply.0.get("location")?.as_str());
        match location.and_then(|location| HeaderValue::from_str(location).ok()) {
            Some(location) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::FOUND;
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => answer::oauth(outcome),
        }
    }

    /// Runs the call; `remain` is what is left of the app's rate, where it has one.
    fn run(&self, world: &mut World, remain: &mut Option<u32>) -> Outcome {
        if self.host == Host::OAuth {
            return match (self.method.as_str(), self.path.as_str()) {
                ("GET", "/v4/oa/permission") => world.permission(&self.params),
                ("POST", "/v4/oa/access_token") => world.exchange(&self.params, self.secret_key.as_deref()),
                _ => Err(Refused::oa(-209)),
            };
        }
        let oa = self.authenticate(world)?;
        let app = world.oas[oa].app;
        let (limit, now_ms) = (world.switches.rate_per_minute, world.now().unix_ms);
        if limit > 0 && self.host == Host::Oa {
            let left = world.apps[app].admit(limit, now_ms);
            *remain = Some(left.unwrap_or(0));
            left.ok_or_else(|| Refused::oa(-32))?;
        }
        match self.host {
            Host::Zns => world.zns_call(oa, &self.method, &self.path, &self.params),
            Host::Oa | Host::OAuth => world.oa_call(oa, &self.method, &self.path, &self.params),
        }
    }

    /// The OA whose token the header `access_token` holds; `Authorization` is not looked at, as by Zalo.
    fn authenticate(&self, world: &World) -> Result<usize, Refused> {
        let token = self.access_token.as_deref().unwrap_or_default();
        let oa = world
            .tokens
            .open(token, world.now().unix_ms)
            .map_err(|closed| match (self.host, closed) {
                (Host::Zns, _) => Refused::zns(-124),
                (_, Closed::Unknown) => Refused::oa(-216),
                (_, Closed::Expired) => Refused::new(-216, "Access token has expired"),
                (_, Closed::Revoked) => Refused::oa(-220),
            })?;
        let identity = &world.apps[world.oas[oa].app].identity;
        if let Some(proof) = &self.proof
            && !oauth::is_proof(proof, &identity.app_secret, token)
        {
            return Err(self.host.error(if self.host == Host::Zns { -1241 } else { -242 }));
        }
        Ok(oa)
    }

    /// A call that meets `fault`.
    async fn spoiled(&self, fault: Fault, cut: &Cut) -> Response {
        if let Fault::Slow { milliseconds } = &fault {
            self.held(Duration::from_millis(*milliseconds)).await;
        }
        let response = if fault.is_processed() {
            self.process(Some(fault.clone()))
        } else {
            let refused = match &fault {
                Fault::Refused {
                    code,
                    message: Some(message),
                } => Refused::new(*code, message.clone()),
                Fault::Refused { code, message: None } => self.host.error(*code),
                _ => Refused::new(-1, "no answer"),
            };
            let outcome = Err(refused);
            self.record(&mut self.shared.lock(), &outcome, Some(fault.clone()));
            self.shared.changed();
            self.answer(&outcome)
        };
        match fault {
            Fault::Refused { .. } | Fault::Slow { .. } => return response,
            Fault::Status { code, body } => return answer::raw(code, "text/html", body),
            Fault::BadGateway => {
                return answer::raw(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>");
            }
            Fault::Garbled => {
                return answer::raw(200, "application/json", r#"{"data":{"message_id":"#);
            }
            Fault::SilenceBefore | Fault::SilenceAfter => self.held(self.shared.options.silence).await,
            Fault::ResetBefore | Fault::ResetAfter => {}
        }
        cut.cut();
        response
    }

    async fn held(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.shared.cancel.cancelled() => {}
        }
    }

    fn record(&self, world: &mut World, outcome: &Outcome, fault: Option<Fault>) {
        let oa = self.access_token.as_deref().and_then(|token| world.tokens.oa(token));
        let refused = outcome.as_ref().err();
        let status = match &fault {
            Some(Fault::SilenceBefore | Fault::SilenceAfter | Fault::ResetBefore | Fault::ResetAfter) => 0,
            Some(Fault::Status { code, .. }) => *code,
            Some(Fault::BadGateway) => 502,
            _ => 200,
        };
        let entry = JournalEntry {
            number: 0,
            unix_ms: world.now().unix_ms,
            oa_id: oa.map(|oa| world.oa_id(oa)),
            endpoint: self.path.clone(),
            method: self.method.clone(),
            params: self.params.in_journal(),
            status,
            error: refused.map_or(0, |refused| refused.code),
            message: refused.map(|refused| refused.message.clone()),
            fault,
        };
        world.journal.call(entry);
    }
}

/// Every avatar, sticker and QR code: one transparent pixel.
const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63, 0x64, 0xf8, 0xcf,
    0x50, 0x0f, 0, 3, 0x86, 1, 0x80, 0x5a, 0x34, 0x7d, 0x6b, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60,
    0x82,
];

/// `<id>/<name>` under `/media`.
fn media(shared: &Shared, rest: &str) -> Response {
    let id = rest.split('/').next().unwrap_or_default();
    if matches!(id, "avatar" | "sticker" | "qr") {
        return answer::raw(200, "image/png", PICTURE);
    }
    let mut world = shared.lock();
    let Some(file) = world.files.get(id) else {
        return answer::raw(404, "text/plain", "no such file");
    };
    world.journal.counters.downloads += 1;
    drop(world);
    shared.changed();
    let mut response = answer::raw(200, "application/octet-stream", file.bytes.clone());
    if let Ok(kind) = HeaderValue::from_str(&file.mime_type)
        && !file.mime_type.is_empty()
    {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
