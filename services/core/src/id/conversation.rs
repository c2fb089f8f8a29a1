//! Ids of conversations.

use super::{ConversationId, CustomerId, ThreadId, hash};
use crate::time::Moment;

/// Names a conversation in its home: 6 bytes of the time it was opened in milliseconds, 6 bytes of a hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConversationKey(pub [u8; 12]);

impl ConversationKey {
    /// The conversation that a cause opens in a thread: the same however often that is decided.
    #[must_use]
    pub fn new(opened: Moment, thread: ThreadId, cause: &[u8]) -> Self {
        let mut key = [0; 12];
        key[..6].copy_from_slice(&opened.to_key()[2..]);
        key[6..].copy_from_slice(&hash("conversation", &[&thread.0, cause])[..6]);
        Self(key)
    }

    /// The key in stored bytes; `None` when the length is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The key as bytes to store.
    #[must_use]
    pub fn to_bytes(self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.0)
    }

    /// When the conversation was opened.
    #[must_use]
    pub fn opened(self) -> Moment {
        let mut time = [0; 8];
        time[2..].copy_from_slice(&self.0[..6]);
        Moment::from_key(time)
    }
}

impl ConversationId {
    /// The conversation of this key in a home.
    #[must_use]
    pub fn new(home: CustomerId, key: ConversationKey) -> Self {
        let mut id = [0; 28];
        id[..16].copy_from_slice(&home.0);
        id[16..].copy_from_slice(&key.0);
        Self(id)
    }

    /// Home of the conversation.
    #[must_use]
    pub fn home(self) -> CustomerId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        CustomerId(id)
    }

    /// Its key there.
    #[must_use]
    pub fn key(self) -> ConversationKey {
        let mut key = [0; 12];
        key.copy_from_slice(&self.0[16..]);
        ConversationKey(key)
    }
}
