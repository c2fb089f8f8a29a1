//! Files that people and the bot sent, kept within a bound.

use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

/// Above this `getFile` refuses.
pub(super) const DOWNLOAD_LIMIT: u64 = 20 << 20;
/// Above this a file cannot be sent.
pub(super) const UPLOAD_LIMIT: usize = 50 << 20;
/// Above this a photo cannot be sent.
pub(super) const PHOTO_LIMIT: usize = 10 << 20;
/// Above this a voice message becomes a document.
pub(super) const VOICE_LIMIT: u64 = 1 << 20;

/// What a file is in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaKind {
    Photo,
    Audio,
    Voice,
    Video,
    VideoNote,
    Animation,
    Document,
    Sticker,
}

impl MediaKind {
    /// The message's field and, in `send…`, the parameter.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::VideoNote => "video_note",
            Self::Animation => "animation",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Photo => "photos",
            Self::Audio => "music",
            Self::Voice => "voice",
            Self::Video => "videos",
            Self::VideoNote => "video_notes",
            Self::Animation => "animations",
            Self::Document => "documents",
            Self::Sticker => "stickers",
        }
    }

    fn usual_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Photo => ("image/jpeg", "jpg"),
            Self::Audio => ("audio/mpeg", "mp3"),
            Self::Voice => ("audio/ogg", "oga"),
            Self::Video | Self::VideoNote | Self::Animation => ("video/mp4", "mp4"),
            Self::Document => ("application/octet-stream", "bin"),
            Self::Sticker => ("image/webp", "webp"),
        }
    }
}

/// A file to be kept.
#[derive(Clone, Debug, Default)]
pub(super) struct NewFile {
    pub(super) bytes: Bytes,
    /// Said size where it differs from the bytes kept, to play large files without large memory.
    pub(super) size: Option<u64>,
    pub(super) mime_type: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) unique_id: String,
    pub(super) path: String,
    pub(super) bytes: Bytes,
    pub(super) size: u64,
    pub(super) mime_type: String,
    pub(super) name: Option<String>,
}

impl StoredFile {
    pub(super) fn json(&self) -> Value {
        json!({"file_id": self.id, "file_unique_id": self.unique_id, "file_size": self.size})
    }
}

/// Files of one bot: a `file_id` means nothing to another one.
#[derive(Debug)]
pub(super) struct Files {
    bot: i64,
    by_id: HashMap<String, Arc<StoredFile>>,
    ids_by_path: HashMap<String, String>,
    order: VecDeque<String>,
    held: usize,
    limit: usize,
    made: u64,
}

/// However small they are, no more files than this.
const MOST_FILES: usize = 20_000;

impl Files {
    pub(super) fn new(bot: i64, limit: usize) -> Self {
        Self {
            bot,
            by_id: HashMap::new(),
            ids_by_path: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            limit,
            made: 0,
        }
    }

    pub(super) fn by_id(&self, id: &str) -> Option<Arc<StoredFile>> {
        self.by_id.get(id).cloned()
    }

    pub(super) fn by_path(&self, path: &str) -> Option<Arc<StoredFile>> {
        self.by_id(self.ids_by_path.get(path)?)
    }

    pub(super) fn add(&mut self, kind: MediaKind, new: NewFile) -> Arc<StoredFile> {
        self.made += 1;
        let (usual_type, usual_extension) = kind.usual_type();
        let extension = new
            .name
            .as_deref()
            .and_then(|name| name.rsplit_once('.'))
            .map_or(usual_extension, |(_, end)| end);
        let extension = if extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            extension
        } else {
            "bin"
        };
        let mut hasher = DefaultHasher::new();
        (&new.bytes, new.size, self.bot).hash(&mut hasher);
        let file = Arc::new(StoredFile {
            id: format!("AgAD{:x}Q{}_{}", self.bot, kind.field().replace('_', "-"), self.made),
            unique_id: format!("AQAD{:016x}", hasher.finish()),
            path: format!("{}/file_{}.{extension}", kind.folder(), self.made),
            size: new.size.unwrap_or(new.bytes.len() as u64),
            mime_type: new.mime_type.unwrap_or_else(|| usual_type.to_owned()),
            name: new.name,
            bytes: new.bytes,
        });
        self.held += file.bytes.len();
        self.order.push_back(file.id.clone());
        self.ids_by_path.insert(file.path.clone(), file.id.clone());
        self.by_id.insert(file.id.clone(), Arc::clone(&file));
        while self.held > self.limit || self.order.len() > MOST_FILES {
            let Some(oldest) = self.order.pop_front().and_then(|id| self.by_id.remove(&id)) else {
                break;
            };
            self.ids_by_path.remove(&oldest.path);
            self.held -= oldest.bytes.len();
        }
        file
    }
}

/// The field of a message that shows `file`.
pub(super) fn in_message(kind: MediaKind, file: &StoredFile) -> Value {
    let mut value = file.json();
    match kind {
        MediaKind::Photo => {
            let mut large = value.clone();
            set(&mut large, json!({"width": 1280, "height": 960}));
            // Sizes ascend; whoever takes the first one gets the thumbnail.
            set(
                &mut value,
                json!({"width": 90, "height": 67, "file_size": file.size.min(1_500)}),
            );
            return json!([value, large]);
        }
        MediaKind::Sticker => {
            let drawn =
                json!({"type": "regular", "width": 512, "height": 512, "is_animated": false, "is_video": false});
            set(&mut value, drawn);
            return value;
        }
        MediaKind::Audio | MediaKind::Voice => set(&mut value, json!({"duration": 5})),
        MediaKind::Video | MediaKind::Animation => {
            set(&mut value, json!({"duration": 5, "width": 640, "height": 360}));
        }
        MediaKind::VideoNote => {
            set(&mut value, json!({"duration": 5, "length": 240}));
            return value;
        }
        MediaKind::Document => {}
    }
    set(&mut value, json!({"mime_type": file.mime_type}));
    if let (Some(name), true) = (&file.name, kind != MediaKind::Voice) {
        set(&mut value, json!({"file_name": name}));
    }
    value
}

fn set(value: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (value.as_object_mut(), more) {
        object.extend(more);
    }
}
