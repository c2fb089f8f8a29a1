//! Messages into calls.

mod button;
pub(super) mod failure;
mod meaning;
mod plan;
mod request;
mod target;
mod upload;

use super::api::{self, Answer, Server};
use super::limits;
use super::settings::OaSettings;
use super::templates;
use super::wire::{Text, said};
use failure::{content_error, error};
use omnigate_core::port::adapter::{
    AccessToken, Channel, ChannelHost, HttpRequest, HttpResponse, NoAccessToken, Outgoing,
};
use omnigate_proto::v1::{Capabilities, ErrorClass, Message, ProviderTemplate, ReceiptState, SendAccepted, SendError};
use plan::{Piece, plan};
use serde::Deserialize;
use std::time::Duration;
use target::Target;

/// How long to wait for a token that is being fetched.
const TOKEN_WAIT: Duration = Duration::from_secs(2);

/// One Official Account, ready for sending.
pub(super) struct OaChannel {
    settings: OaSettings,
}

/// What names a sent message.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent<'a> {
    #[serde(borrow, alias = "msg_id")]
    message_id: Option<Text<'a>>,
}

/// Beside it, and read by itself: whatever it looks like, the message was sent.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Beside<'a> {
    #[serde(borrow)]
    quota: Option<Quota<'a>>,
}

/// What is left of what an OA may send, where Zalo tells.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Quota<'a> {
    #[serde(borrow)]
    quota_type: Option<Text<'a>>,
    /// A number or a string of one.
    #[serde(borrow)]
    remain: Option<Text<'a>>,
}

impl Quota<'_> {
    /// Free answers to this person; other quotas are the OA's.
    fn free_replies_left(&self) -> Option<u32> {
        let is_of_person = said(self.quota_type.as_ref()) == "reply";
        is_of_person.then(|| said(self.remain.as_ref()).parse().ok()).flatten()
    }
}

impl OaChannel {
    pub(super) fn new(settings: OaSettings) -> Self {
        Self { settings }
    }

    fn outcome(&self, response: &HttpResponse, of: Server, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        let answer = Answer::read(response);
        let accepted = answer
            .as_ref()
            .filter(|answer| answer.code() == Some(0) && response.status / 100 == 2);
        let Some(answer) = accepted else {
            return Err(failure::classify(
                answer.as_ref(),
                response,
                of,
                &self.settings,
                host.now(),
            ));
        };
        let sent: Sent<'_> = answer.data().unwrap_or_default();
        let beside: Beside<'_> = answer.data().unwrap_or_default();
        match said(sent.message_id.as_ref()) {
            "" => Err(error(ErrorClass::Ambiguous, "zalo accepted without naming the message")),
            id => Ok(SendAccepted {
                provider_message_id: id.to_owned(),
                state: ReceiptState::Accepted.into(),
                free_replies_left: beside.quota.as_ref().and_then(Quota::free_replies_left),
            }),
        }
    }
}

#[async_trait::async_trait]
impl Channel for OaChannel {
    fn capabilities(&self) -> Capabilities {
        limits::capabilities(&self.settings)
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        let pieces = plan(message).map_err(content_error)?;
        u32::try_from(pieces.len()).map_err(|_| content_error("too many pieces"))
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        let pieces = plan(&outgoing.message).map_err(content_error)?;
        let index = usize::try_from(outgoing.piece).unwrap_or(usize::MAX);
        let piece: Piece<'_> = pieces
            .into_iter()
            .nth(index)
            .ok_or_else(|| content_error("the message has no such piece"))?;
        let target = Target::of(outgoing)?;
        let place = request::place(&self.settings, &piece, &target).map_err(content_error)?;
        let uploads = upload::of(&piece);
        // Beside the submission there may be an upload, and one of them a second time with another token; all share the
        // time of the call.
        let time_limit = outgoing.time_limit / (2 + u32::from(uploads.is_some()));
        let mut token = Token::first(host).await?;
        let handle = match uploads {
            Some(upload) => {
                let uploaded = upload.call(&self.settings, &mut token, host, time_limit).await;
                Some(uploaded.map_err(|error| token.redacted(error))?)
            }
            None => None,
        };
        let body = request::body(&self.settings, &piece, &target, handle.as_deref(), outgoing);
        let submission = |token: &AccessToken| api::post(place.url.clone(), token, &body, time_limit);
        let response = token.call(host, submission).await?;
        let outcome = self.outcome(&response, place.server, host);
        outcome.map_err(|error| token.redacted(error))
    }

    async fn look_up_template(
        &self,
        template_id: &str,
        host: &dyn ChannelHost,
    ) -> Result<Option<Vec<ProviderTemplate>>, SendError> {
        templates::look_up(&self.settings, host, template_id).await.map(Some)
    }
}

/// The token of some calls; it is replaced once.
pub(super) struct Token {
    token: AccessToken,
    replaced: bool,
}

impl Token {
    /// The token as it stands.
    pub(super) async fn first(host: &dyn ChannelHost) -> Result<Self, SendError> {
        let token = host.access_token(None).await.map_err(no_token)?;
        Ok(Self { token, replaced: false })
    }

    /// An error whose words can be shown.
    pub(super) fn redacted(&self, error: SendError) -> SendError {
        failure::without_secrets(error, &self.token.0)
    }

    /// Calls, and once more with another token where this one is refused: a refusal proves that nothing was done.
    pub(super) async fn call(
        &mut self,
        host: &dyn ChannelHost,
        request: impl Fn(&AccessToken) -> HttpRequest + Send + Sync,
    ) -> Result<HttpResponse, SendError> {
        loop {
            let answered = host.transport().call(request(&self.token)).await;
            let response = answered.map_err(failure::not_answered)?;
            let code = Answer::read(&response).and_then(|answer| answer.code());
            if self.replaced || !code.is_some_and(api::refuses_token) {
                return Ok(response);
            }
            self.replaced = true;
            self.token = host.access_token(Some(&self.token.0)).await.map_err(no_token)?;
        }
    }
}

fn no_token(problem: NoAccessToken) -> SendError {
    match problem {
        NoAccessToken::Unauthorized(_) => error(ErrorClass::Account, &problem.to_string()),
        NoAccessToken::NotReady(_) => SendError {
            retry_after_ms: u64::try_from(TOKEN_WAIT.as_millis()).unwrap_or(u64::MAX),
            ..error(ErrorClass::NotSent, &problem.to_string())
        },
    }
}

#[cfg(test)]
mod tests;
