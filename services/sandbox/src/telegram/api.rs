//! The Bot API's HTTP face: tokens, faults, and the answer.

use super::{
    answer::{self, ApiError},
    bot::Bot,
    connection::Cut,
    fault::Fault,
    journal::JournalEntry,
    params::Params,
    poll,
    server::{Cell, Shared},
};
use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{Method, Request},
    response::Response,
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;

/// Serves everything but `/control`.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request<Body>,
) -> Response {
    // Some clients send the token's colon as %3A.
    let path = percent_decode_str(request.uri().path())
        .decode_utf8_lossy()
        .into_owned();
    if let Some(rest) = path.strip_prefix("/file/bot") {
        return download(&shared, rest).unwrap_or_else(ApiError::into_response);
    }
    let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
        return ApiError::not_found().into_response();
    };
    let cell = match shared.cell(token) {
        Ok(cell) => cell,
        Err(error) => return error.into_response(),
    };
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return ApiError::not_found().into_response();
    }
    let method = method.trim_end_matches('/').to_ascii_lowercase();
    let fault = cell.lock().faults.strike(&method);
    let call = Call {
        shared: &shared,
        cell: &cell,
        method,
    };
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(error) => return call.finish(&Params::default(), None, Err(error)),
    };
    match fault {
        None => call.process(&params, None).await,
        Some(fault) if fault.is_processed() => {
            let answered = call.process(&params, Some(fault.clone())).await;
            call.spoil(fault, answered, &cut).await
        }
        Some(fault) => call.strike(&params, fault, &cut).await,
    }
}

/// One call of a known bot.
struct Call<'a> {
    shared: &'a Shared,
    cell: &'a Cell,
    method: String,
}

impl Call<'_> {
    async fn process(&self, params: &Params, fault: Option<Fault>) -> Response {
        match self.method.as_str() {
            "getupdates" => match poll::run(self.shared, self.cell, params).await {
                Ok(list) => {
                    self.cell.lock().journal.counters.requests += 1;
                    answer::raw(200, "application/json", format!(r#"{{"ok":true,"result":{list}}}"#))
                }
                Err(error) => self.finish(params, fault, Err(error)),
            },
            "setwebhook" | "deletewebhook" => {
                let done = self.cell.lock().set_webhook(params, self.method == "deletewebhook");
                self.cell.arrived();
                let description = done.as_ref().copied().unwrap_or_default();
                let response = self.finish(params, fault, done.map(|_| json!(true)));
                if response.status().is_success() {
                    answer::success_with(description)
                } else {
                    response
                }
            }
            _ => {
                let result = self.cell.lock().call(&self.method, params, self.shared.now());
                self.finish(params, fault, result)
            }
        }
    }

    /// Records the call, and answers it.
    fn finish(&self, params: &Params, fault: Option<Fault>, result: Result<Value, ApiError>) -> Response {
        let unix = self.shared.now().unix;
        record(&mut self.cell.lock(), &self.method, params, &result, (unix, fault));
        self.cell.changed();
        match result {
            Ok(result) => answer::success(&result),
            Err(error) => error.into_response(),
        }
    }

    /// A fault before the call was processed.
    async fn strike(&self, params: &Params, fault: Fault, cut: &Cut) -> Response {
        let error = match &fault {
            Fault::TooManyRequests { retry_after } => ApiError::retry_after(*retry_after),
            Fault::InternalError => ApiError::new(500, "Internal Server Error"),
            Fault::BadGateway => ApiError::new(502, "Bad Gateway"),
            Fault::Refused { code, description } => ApiError::new(*code, description.clone()),
            _ => ApiError::new(0, "no answer"),
        };
        let response = self.finish(params, Some(fault.clone()), Err(error));
        self.spoil(fault, response, cut).await
    }

    /// What becomes of `response` on its way.
    async fn spoil(&self, fault: Fault, response: Response, cut: &Cut) -> Response {
        match fault {
            Fault::BadGateway => answer::raw(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>"),
            Fault::Garbled => answer::raw(200, "application/json", r#"{"ok":true,"result":{"message_id":"#),
            Fault::SilenceBefore | Fault::SilenceAfter => {
                tokio::select! {
                    () = tokio::time::sleep(self.shared.options.silence) => {}
                    () = self.shared.cancel.cancelled() => {}
                }
                cut.cut();
                response
            }
            Fault::ResetBefore | Fault::ResetAfter => {
                cut.cut();
                response
            }
            Fault::TooManyRequests { .. } | Fault::InternalError | Fault::Refused { .. } => response,
        }
    }
}

/// Counts and journals one call.
pub(super) fn record(
    bot: &mut Bot,
    method: &str,
    params: &Params,
    result: &Result<Value, ApiError>,
    (unix, fault): (i64, Option<Fault>),
) {
    let counters = &mut bot.journal.counters;
    counters.requests += 1;
    counters.faults += u64::from(fault.is_some());
    if let Err(error) = result {
        counters.refused += 1;
        counters.throttled += u64::from(error.code == 429);
    }
    if !bot.journal.remembers() {
        return;
    }
    let silent = matches!(fault, Some(Fault::SilenceAfter | Fault::ResetAfter));
    let status = if silent {
        0
    } else {
        result.as_ref().err().map_or(200, |error| error.code)
    };
    let error = result.as_ref().err().map(|error| error.description.clone());
    let params = journal_params(params);
    bot.journal.call(JournalEntry {
        number: 0,
        unix,
        method: method.to_owned(),
        params,
        status,
        error,
        fault,
    });
}

fn journal_params(params: &Params) -> Value {
    let mut fields = params.fields.clone();
    for (name, upload) in &params.uploads {
        fields.insert(
            name.clone(),
            json!({"file_name": upload.name, "size": upload.bytes.len()}),
        );
    }
    Value::Object(fields)
}

/// `<token>/<path>` under `/file/bot`.
fn download(shared: &Shared, rest: &str) -> Result<Response, ApiError> {
    let (token, path) = rest.split_once('/').ok_or_else(ApiError::not_found)?;
    let cell = shared.cell(token)?;
    let mut bot = cell.lock();
    let file = bot.files.by_path(path).ok_or_else(ApiError::not_found)?;
    bot.journal.counters.downloads += 1;
    Ok(answer::raw(200, "application/octet-stream", file.bytes.clone()))
}
