//! Files that people sent and that apps uploaded, kept within a bound.

use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// However small they are, no more files than this.
const MOST_FILES: usize = 20_000;

/// What an upload may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Image,
    Gif,
    /// A document; its id is called a token.
    Document,
    /// An image for ZNS templates.
    ZnsImage,
    /// Sent by a person; of no use in a call.
    OfPerson,
}

#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) kind: FileKind,
    /// Which OA uploaded it: an id means nothing to another one.
    pub(super) oa: usize,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) bytes: Bytes,
    /// Said size where it differs from the bytes kept, to play large files without large memory.
    pub(super) size: u64,
    pub(super) made_ms: i64,
}

impl StoredFile {
    /// Lower-case hex of the content's MD5, as events carry it.
    pub(super) fn checksum(&self) -> String {
        data_encoding::HEXLOWER.encode(&Md5::digest(&self.bytes))
    }

    /// Where it can be fetched, below the base address.
    pub(super) fn path(&self) -> String {
        let name = percent_encoding::utf8_percent_encode(&self.name, percent_encoding::NON_ALPHANUMERIC);
        format!("/media/{}/{name}", self.id)
    }
}

#[derive(Debug)]
pub(super) struct Files {
    by_id: HashMap<String, Arc<StoredFile>>,
    order: VecDeque<String>,
    held: usize,
    limit: usize,
}

impl Files {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            limit,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<StoredFile>> {
        self.by_id.get(id).cloned()
    }

    pub(super) fn add(&mut self, file: StoredFile) -> Arc<StoredFile> {
        let file = Arc::new(file);
        self.held += file.bytes.len();
        self.order.push_back(file.id.clone());
        self.by_id.insert(file.id.clone(), Arc::clone(&file));
        while self.held > self.limit || self.order.len() > MOST_FILES {
            let Some(oldest) = self.order.pop_front().and_then(|id| self.by_id.remove(&id)) else {
                break;
            };
            self.held -= oldest.bytes.len();
        }
        file
    }
}
