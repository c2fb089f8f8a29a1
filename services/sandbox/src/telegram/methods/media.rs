//! Messages with files, and files themselves.

use super::send::{caption, object};
use crate::telegram::{
    answer::ApiError,
    bot::{Bot, Draft},
    clock::Now,
    files::{self, DOWNLOAD_LIMIT, MediaKind, NewFile, PHOTO_LIMIT, StoredFile, UPLOAD_LIMIT, VOICE_LIMIT},
    params::{Params, Upload},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const ALBUM: std::ops::RangeInclusive<usize> = 2..=10;

impl Bot {
    pub(super) fn send_media(&mut self, method: &str, params: &Params, now: Now) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let kind = kind_of(method);
        let caption = if kind == MediaKind::Sticker {
            Map::new()
        } else {
            caption(params)?
        };
        let mut content = self.media(kind, params.text(kind.field()), kind.field(), params)?;
        content.extend(caption);
        self.send(method, chat, content, params, now)
    }

    /// The content for the media that `source` (or an upload named `field`) gives.
    fn media(
        &mut self,
        kind: MediaKind,
        source: Option<String>,
        field: &str,
        params: &Params,
    ) -> Result<Map<String, Value>, ApiError> {
        let file = self.input_file(kind, source, field, params)?;
        // A voice message over its limit arrives as a plain file.
        let shown = if kind == MediaKind::Voice && file.size > VOICE_LIMIT {
            MediaKind::Document
        } else {
            kind
        };
        let mut content = object(shown.field(), files::in_message(shown, &file));
        if shown == MediaKind::Animation {
            content.insert("document".to_owned(), files::in_message(MediaKind::Document, &file));
        }
        Ok(content)
    }

    fn input_file(
        &mut self,
        kind: MediaKind,
        source: Option<String>,
        field: &str,
        params: &Params,
    ) -> Result<Arc<StoredFile>, ApiError> {
        let attached = source.as_deref().and_then(|source| source.strip_prefix("attach://"));
        if let Some(upload) = params.uploads.get(attached.unwrap_or(field)) {
            return self.uploaded(kind, upload);
        }
        let name = field.replace('_', " ");
        let source = source.ok_or_else(|| ApiError::bad_request(format!("there is no {name} in the request")))?;
        if let Some(file) = self.files.by_id(&source) {
            return Ok(file);
        }
        let wrong = || ApiError::bad_request("wrong file identifier/HTTP URL specified");
        let address = url::Url::parse(&source).map_err(|_| wrong())?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(wrong());
        }
        // The sandbox dials nobody: an address is taken as fetched, but for names that exist nowhere by definition.
        if address.host_str().is_some_and(|host| host.ends_with(".invalid")) {
            return Err(ApiError::bad_request("failed to get HTTP URL content"));
        }
        let name = address
            .path_segments()
            .and_then(|mut path| path.next_back())
            .filter(|name| !name.is_empty());
        Ok(self.files.add(
            kind,
            NewFile {
                name: name.map(str::to_owned),
                ..NewFile::default()
            },
        ))
    }

    fn uploaded(&mut self, kind: MediaKind, upload: &Upload) -> Result<Arc<StoredFile>, ApiError> {
        let size = upload.bytes.len();
        if size == 0 {
            return Err(ApiError::bad_request("file must be non-empty"));
        }
        if size > UPLOAD_LIMIT {
            return Err(ApiError::too_large());
        }
        if kind == MediaKind::Photo && size > PHOTO_LIMIT {
            return Err(ApiError::bad_request(format!(
                "file of size {size} bytes is too big for a photo; the maximum size is {PHOTO_LIMIT} bytes"
            )));
        }
        let new = NewFile {
            bytes: upload.bytes.clone(),
            size: None,
            mime_type: upload.mime_type.clone(),
            name: Some(upload.name.clone()).filter(|name| !name.is_empty()),
        };
        Ok(self.files.add(kind, new))
    }

    pub(super) fn send_media_group(&mut self, params: &Params, now: Now) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let Some(Value::Array(items)) = params.nested("media")? else {
            return Err(ApiError::bad_request("expected an Array of InputMedia"));
        };
        if !ALBUM.contains(&items.len()) {
            return Err(ApiError::bad_request("must be 2-10 items in the album"));
        }
        let mut contents = Vec::new();
        for item in &items {
            contents.push(self.album_item(item, params)?);
        }
        let reply_to = self.reply_target(chat, params)?;
        self.admit(chat, contents.len(), now)?;
        let album = self.new_album();
        let mut sent = Vec::new();
        for mut content in contents {
            content.insert("media_group_id".to_owned(), json!(album));
            let reply_to = reply_to.clone();
            let draft = Draft {
                chat,
                method: "sendmediagroup".to_owned(),
                content,
                reply_to,
                markup: None,
            };
            sent.push(Value::clone(&*self.post(draft, now)));
        }
        Ok(Value::Array(sent))
    }

    fn album_item(&mut self, item: &Value, params: &Params) -> Result<Map<String, Value>, ApiError> {
        let kind = match item["type"].as_str().unwrap_or_default() {
            "photo" => MediaKind::Photo,
            "video" => MediaKind::Video,
            "audio" => MediaKind::Audio,
            "document" => MediaKind::Document,
            _ => {
                return Err(ApiError::bad_request(
                    "Can't use the media of the specified type in the album",
                ));
            }
        };
        let own = Params {
            fields: item.as_object().cloned().unwrap_or_default(),
            uploads: params.uploads.clone(),
        };
        let caption = caption(&own)?;
        let mut content = self.media(kind, own.text("media"), "media", &own)?;
        content.extend(caption);
        Ok(content)
    }

    pub(super) fn get_file(&mut self, params: &Params) -> Result<Value, ApiError> {
        let id = params
            .text("file_id")
            .ok_or_else(|| ApiError::bad_request("file_id not specified"))?;
        let file = self.files.by_id(&id).ok_or_else(|| {
            ApiError::bad_request("invalid file_id: wrong file_id or the file is temporarily unavailable")
        })?;
        if file.size > DOWNLOAD_LIMIT {
            return Err(ApiError::bad_request("file is too big"));
        }
        let mut value = file.json();
        value["file_path"] = json!(file.path);
        Ok(value)
    }
}

fn kind_of(method: &str) -> MediaKind {
    match method {
        "sendphoto" => MediaKind::Photo,
        "sendvideo" => MediaKind::Video,
        "sendaudio" => MediaKind::Audio,
        "sendvoice" => MediaKind::Voice,
        "sendanimation" => MediaKind::Animation,
        "sendsticker" => MediaKind::Sticker,
        "sendvideonote" => MediaKind::VideoNote,
        _ => MediaKind::Document,
    }
}
