//! What people do with a template: rate it, press its buttons.

use super::super::wire::{Answered, Beside, said};
use super::message::nfc;
use super::{Malformed, Translator, time, unsupported};
use omnigate_proto::v1::{Event, Postback, Rating, event::Kind};

/// The contract's limit of `Rating.answers`.
const MAX_ANSWERS: usize = 64;

impl Translator<'_> {
    /// `user_feedback`. It names no person; the id of the rated message does.
    pub(super) fn rating(&self) -> Result<Event, Malformed> {
        let answered: Answered<'_> = self.content()?;
        let score: f64 = said(answered.rate.as_ref()).parse().map_err(|_| Malformed)?;
        if !score.is_finite() {
            return Err(Malformed);
        }
        let chosen = answered.feedbacks.iter().flatten().chain(&answered.option);
        let answers = chosen.map(|text| nfc(said(Some(text)))).filter(|text| !text.is_empty());
        let mut event = self.about_message(&answered, said(answered.msg_id.as_ref()));
        event.kind = Some(Kind::Rating(Rating {
            score,
            // Zalo does not say it.
            max_score: 0.0,
            comment: nfc(said(answered.note.as_ref())),
            answers: answers.take(MAX_ANSWERS).collect(),
        }));
        Ok(event)
    }

    /// `user_click_response_button`. A press belongs to a person; where Zalo names none, it is kept beside its message.
    pub(super) fn pressed(&self, beside: &Beside<'_>) -> Result<Event, Malformed> {
        let answered: Answered<'_> = self.content()?;
        let inner = said(answered.msg_id.as_ref());
        let id = if inner.is_empty() {
            said(beside.msg_id.as_ref())
        } else {
            inner
        };
        let mut event = self.about_message(&answered, id);
        self.with_user(&mut event);
        event.kind = Some(if event.peer.is_some() {
            let data = said(answered.data.as_ref());
            let kind = said(answered.button_type.as_ref());
            Kind::Postback(Postback {
                payload: if data.is_empty() { kind } else { data }.to_owned(),
                ..Postback::default()
            })
        } else {
            unsupported(self.name(), self.raw, "")
        });
        Ok(event)
    }

    fn about_message(&self, answered: &Answered<'_>, id: &str) -> Event {
        let mut event = self.event();
        id.clone_into(&mut event.provider_message_id);
        event.stable_key = self.key(said(answered.tracking_id.as_ref()));
        time::set_own(&mut event, answered.submit_time.as_ref());
        event
    }
}
