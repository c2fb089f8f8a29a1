//! What is uploaded before a message that shows it.

use super::super::api::{self, Answer, Server};
use super::super::settings::OaSettings;
use super::super::wire::{Text, said};
use super::plan::{Content, Piece, Source};
use super::{Token, failure};
use crate::multipart::{file_name, mime_type};
use omnigate_core::port::adapter::{AccessToken, ChannelHost, FormPart, HttpBody};
use omnigate_proto::v1::{ErrorClass, Media, MediaKind, SendError};
use serde::Deserialize;
use std::time::Duration;

/// Bytes to upload.
pub(super) struct Upload<'a> {
    path: &'static str,
    otherwise: &'static str,
    media: &'a Media,
}

/// What an upload gives.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Uploaded<'a> {
    #[serde(borrow, alias = "token")]
    attachment_id: Option<Text<'a>>,
}

/// The upload that a piece needs.
pub(super) fn of<'a>(piece: &Piece<'a>) -> Option<Upload<'a>> {
    let (path, otherwise, media) = match &piece.content {
        Content::Media(shown) if matches!(shown.source, Source::Upload) => {
            if shown.media.kind() == MediaKind::Animation {
                ("/v2.0/oa/upload/gif", "image.gif", shown.media)
            } else {
                ("/v2.0/oa/upload/image", "image", shown.media)
            }
        }
        Content::File(media) if media.provider_media_id.is_empty() => ("/v2.0/oa/upload/file", "file", *media),
        _ => return None,
    };
    Some(Upload { path, otherwise, media })
}

impl Upload<'_> {
    /// Uploads; what the message then names. A failure here proves that no message left.
    pub(super) async fn call(
        &self,
        settings: &OaSettings,
        token: &mut Token,
        host: &dyn ChannelHost,
        time_limit: Duration,
    ) -> Result<String, SendError> {
        let url = format!("{}{}", settings.api_url, self.path);
        let request = |token: &AccessToken| {
            let form = HttpBody::Multipart(vec![self.field()]);
            api::call("POST", url.clone(), token, form, time_limit)
        };
        let unsent = |error: SendError| match error.class() {
            ErrorClass::Ambiguous => SendError {
                class: ErrorClass::NotSent.into(),
                text: format!("upload: {}", error.text),
                ..error
            },
            _ => error,
        };
        let response = token.call(host, request).await.map_err(unsent)?;
        let answer = Answer::read(&response);
        if let Some(answer) = answer.as_ref().filter(|answer| answer.code() == Some(0)) {
            let uploaded: Uploaded<'_> = answer.data().unwrap_or_default();
            let handle = said(uploaded.attachment_id.as_ref());
            if !handle.is_empty() {
                return Ok(handle.to_owned());
            }
            return Err(failure::error(
                ErrorClass::NotSent,
                "zalo took an upload without naming it",
            ));
        }
        let error = failure::classify(answer.as_ref(), &response, Server::OpenApi, settings, host.now());
        Err(unsent(error))
    }

    fn field(&self) -> FormPart {
        FormPart {
            name: "file".to_owned(),
            file_name: Some(file_name(&self.media.file_name, self.otherwise)),
            mime_type: mime_type(&self.media.mime_type),
            content: self.media.content.clone(),
        }
    }
}
