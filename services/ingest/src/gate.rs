//! Bounds what the process holds in memory: a push is let in whole or not at all.

use std::sync::{Arc, Mutex, PoisonError};

/// What is held, and how much may be.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: Load,
    held: Mutex<Load>,
}

/// An amount of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Load {
    /// Events, raw requests and parked items.
    pub(crate) events: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

impl Gate {
    pub(crate) fn new(limit: Load) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: Mutex::default(),
        })
    }

    /// Lets a load in, or nothing of it. One that is larger than the limit is let in when nothing else is held: refused
    /// once, it would be refused for ever.
    pub(crate) fn enter(self: &Arc<Self>, load: Load) -> Option<Permit> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = Load {
            events: held.events.saturating_add(load.events),
            bytes: held.bytes.saturating_add(load.bytes),
        };
        let fits = sum.events <= self.limit.events && sum.bytes <= self.limit.bytes;
        if !fits && *held != Load::default() {
            return None;
        }
        *held = sum;
        Some(Permit {
            gate: Arc::clone(self),
            load,
        })
    }

    /// True when nothing more would be let in.
    pub(crate) fn is_full(&self) -> bool {
        let held = self.held();
        held.events >= self.limit.events || held.bytes >= self.limit.bytes
    }

    /// What is held now.
    pub(crate) fn held(&self) -> Load {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that was let in. Dropping it makes room again.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    load: Load,
}

impl Permit {
    /// Takes a part of the load off into a permit of its own; at most what is left.
    pub(crate) fn split(&mut self, part: Load) -> Self {
        let part = Load {
            events: part.events.min(self.load.events),
            bytes: part.bytes.min(self.load.bytes),
        };
        self.load.events -= part.events;
        self.load.bytes -= part.bytes;
        Self {
            gate: Arc::clone(&self.gate),
            load: part,
        }
    }

    pub(crate) const fn load(&self) -> Load {
        self.load
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.gate.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.events = held.events.saturating_sub(self.load.events);
        held.bytes = held.bytes.saturating_sub(self.load.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn load(events: usize, bytes: usize) -> Load {
        Load { events, bytes }
    }

    #[test]
    fn a_load_is_let_in_whole_or_not_at_all() {
        let gate = Gate::new(load(10, 100));
        let first = gate.enter(load(6, 10)).unwrap();
        assert!(gate.enter(load(5, 1)).is_none());
        assert!(gate.enter(load(1, 91)).is_none());
        assert_eq!(gate.held(), load(6, 10));
        assert!(gate.enter(load(11, 1)).is_none());
        drop(first);
        let alone = gate.enter(load(11, 1)).unwrap();
        assert!(gate.enter(load(1, 1)).is_none());
        drop(alone);
        assert!(gate.enter(load(10, 100)).is_some());
    }

    #[test]
    fn every_part_gives_its_own_room_back() {
        let gate = Gate::new(load(10, 100));
        let mut whole = gate.enter(load(10, 100)).unwrap();
        let part = whole.split(load(4, 30));
        drop(whole);
        assert_eq!(gate.held(), load(4, 30));
        drop(part);
        assert_eq!(gate.held(), load(0, 0));
    }
}
