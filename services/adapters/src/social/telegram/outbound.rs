//! Messages into calls.

mod failure;
mod markup;
mod plan;
mod request;

use super::api::{Answer, Api};
use super::limits;
use failure::{content_error, error};
use omnigate_core::port::adapter::{Channel, ChannelHost, HttpResponse, Outgoing};
use omnigate_proto::v1::{Capabilities, ErrorClass, Message, ReceiptState, SendAccepted, SendError};
use plan::{Piece, plan};
use request::Target;
use serde::Deserialize;

/// One bot, ready for sending.
pub(super) struct BotChannel {
    api: Api,
}

/// The part of a sent `Message` that matters.
#[derive(Deserialize)]
struct Sent {
    message_id: i64,
}

/// Something a call can do without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Optional {
    /// Mark-up of the text.
    Markup,
    /// The link to the message it answers.
    Reply,
}

impl BotChannel {
    pub(super) fn new(api: Api) -> Self {
        Self { api }
    }

    fn outcome(&self, response: &HttpResponse) -> Result<SendAccepted, SendError> {
        let answer = Answer::read(response);
        let success = (200..300).contains(&response.status);
        match &answer {
            Some(answer) if success && answer.ok => {
                let sent = answer.result.map(|result| serde_json::from_str::<Sent>(result.get()));
                let Some(Ok(sent)) = sent else {
                    return Err(error(
                        ErrorClass::Ambiguous,
                        "telegram accepted without naming the message",
                    ));
                };
                Ok(SendAccepted {
                    provider_message_id: sent.message_id.to_string(),
                    // Telegram sends no receipts; acceptance is all that is ever known.
                    state: ReceiptState::Sent.into(),
                    ..SendAccepted::default()
                })
            }
            _ => Err(failure::classify(answer.as_ref(), response, &self.api)),
        }
    }
}

#[async_trait::async_trait]
impl Channel for BotChannel {
    fn capabilities(&self) -> Capabilities {
        limits::capabilities()
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        let pieces = plan(message).map_err(content_error)?;
        u32::try_from(pieces.len()).map_err(|_| content_error("too many pieces"))
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        let pieces = plan(&outgoing.message).map_err(content_error)?;
        let index = usize::try_from(outgoing.piece).unwrap_or(usize::MAX);
        let mut piece: Piece<'_> = pieces
            .into_iter()
            .nth(index)
            .ok_or_else(|| content_error("the message has no such piece"))?;
        let target = Target::of(outgoing)?;
        // A 400 proves that nothing was sent, so the same submission may go on without what the server could not take.
        // All tries share the time of the call.
        let tries = 1 + u32::from(piece.has_markup()) + u32::from(piece.reply_to.is_some());
        let time_limit = outgoing.time_limit / tries;
        loop {
            let request = request::request(&self.api, &piece, &target, &outgoing.message.choices, time_limit);
            let response = host.transport().call(request).await.map_err(failure::not_answered)?;
            match dispensable(&response) {
                Some(Optional::Markup) if piece.has_markup() => piece.drop_markup(),
                Some(Optional::Reply) if piece.reply_to.is_some() => piece.reply_to = None,
                _ => return self.outcome(&response),
            }
        }
    }
}

/// What a refused call could do without.
fn dispensable(response: &HttpResponse) -> Option<Optional> {
    let answer = Answer::read(response).filter(|answer| !answer.ok && answer.code(response) == 400)?;
    let words = answer.words().to_lowercase();
    if words.contains("can't parse entities") || words.contains("entity_") {
        return Some(Optional::Markup);
    }
    let no_target = [
        "message to be replied not found",
        "replied message not found",
        "message to reply not found",
    ];
    no_target
        .iter()
        .any(|text| words.contains(text))
        .then_some(Optional::Reply)
}
