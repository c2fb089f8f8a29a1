//! What was sent twice, and rings of what is remembered.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher as _},
};

/// How often each content was seen, of the newest so many distinct ones.
#[derive(Debug, Default)]
pub(super) struct Contents {
    copies: HashMap<u64, u32>,
    order: VecDeque<u64>,
    limit: usize,
}

impl Contents {
    /// Counts at most `limit` distinct contents; 0 counts none.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts `content`, and answers how often it was seen, this time included; 1 where nothing is counted.
    pub(super) fn count(&mut self, content: impl Hash) -> u32 {
        if self.limit == 0 {
            return 1;
        }
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let key = hasher.finish();
        let copies = self.copies.entry(key).or_insert(0);
        *copies += 1;
        let copies = *copies;
        if copies == 1 {
            self.order.push_back(key);
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.copies.remove(&oldest);
            }
        }
        copies
    }
}

/// Appends to a ring of `limit` entries; 0 remembers none.
pub(super) fn keep<T>(ring: &mut VecDeque<T>, entry: T, limit: usize) {
    if limit == 0 {
        return;
    }
    if ring.len() == limit {
        ring.pop_front();
    }
    ring.push_back(entry);
}
