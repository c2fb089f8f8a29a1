//! Book-keeping of what is in hand: which thread may go on, and which messages of the broker are done. Pure.

use crate::intake::{Item, Work};
use std::collections::{HashMap, VecDeque};

/// Events of one thread that are one decision and one commit.
const MAX_RUN: usize = 256;

/// Everything in hand of one partition. `S` settles a message of the broker.
#[derive(Debug)]
pub(crate) struct Lines<S> {
    messages: VecDeque<Open<S>>,
    /// Number of the first of `messages`.
    first: u64,
    lines: HashMap<String, Line>,
    /// Lines with work that nobody does.
    ready: VecDeque<String>,
    events: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Open<S> {
    left: usize,
    bytes: usize,
    settle: S,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(Item, u64)>,
    busy: bool,
}

/// Events of one line that are worked on now.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) items: Vec<Item>,
    pub(crate) done: Done,
}

/// What is over when a run is.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    line: String,
    messages: Vec<u64>,
}

impl<S> Default for Lines<S> {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            first: 0,
            lines: HashMap::new(),
            ready: VecDeque::new(),
            events: 0,
            bytes: 0,
        }
    }
}

impl<S> Lines<S> {
    /// Takes a message in; gives back what can be settled, in order.
    pub(crate) fn add(&mut self, settle: S, items: Vec<Item>) -> Vec<S> {
        let number = self.first + u64::try_from(self.messages.len()).unwrap_or(u64::MAX);
        let bytes = items.iter().map(|item| item.stamped.event.len()).sum();
        self.messages.push_back(Open {
            left: items.len(),
            bytes,
            settle,
        });
        self.events += items.len();
        self.bytes += bytes;
        for item in items {
            let line = self.lines.entry(item.line.clone()).or_default();
            if line.waiting.is_empty() && !line.busy {
                self.ready.push_back(item.line.clone());
            }
            line.waiting.push_back((item, number));
        }
        self.settled()
    }

    /// The next run, if there is one: consecutive events to append, or one of another kind.
    pub(crate) fn start(&mut self) -> Option<Run> {
        let name = self.ready.pop_front()?;
        let line = self.lines.get_mut(&name)?;
        line.busy = true;
        let mut done = Done {
            line: name,
            messages: Vec::new(),
        };
        let mut items = Vec::new();
        while let Some((item, number)) = line.waiting.pop_front() {
            let alone = item.suspicious || !matches!(item.work, Work::Append(_));
            if alone && !items.is_empty() {
                line.waiting.push_front((item, number));
                break;
            }
            items.push(item);
            done.messages.push(number);
            if alone || items.len() == MAX_RUN {
                break;
            }
        }
        Some(Run { items, done })
    }

    /// A run is over; gives back what can be settled, in order.
    pub(crate) fn end(&mut self, done: Done) -> Vec<S> {
        self.events -= done.messages.len();
        for number in done.messages {
            let position = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            if let Some(message) = self.messages.get_mut(position) {
                message.left -= 1;
            }
        }
        if let Some(line) = self.lines.get_mut(&done.line) {
            line.busy = false;
            if line.waiting.is_empty() {
                self.lines.remove(&done.line);
            } else {
                self.ready.push_back(done.line);
            }
        }
        self.settled()
    }

    fn settled(&mut self) -> Vec<S> {
        let mut settled = Vec::new();
        while self.messages.front().is_some_and(|message| message.left == 0) {
            let Some(message) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= message.bytes;
            settled.push(message.settle);
            self.first += 1;
        }
        settled
    }

    /// Events in hand.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Bytes of messages in hand: each is held until all its events are done.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing is in hand.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::append::Arrival;
    use omnigate_core::id::EventId;
    use omnigate_core::time::Moment;
    use omnigate_proto::state::v1::Stamped;

    fn item(line: &str, receipt: bool, suspicious: bool) -> Item {
        let arrival = Arrival {
            event: omnigate_proto::v1::Event::default(),
            bytes: bytes::Bytes::new(),
            id: EventId([0; 16]),
            received_at: Moment(0),
        };
        Item {
            line: line.to_owned(),
            stamped: Stamped::default(),
            work: if receipt {
                Work::Receipt(arrival)
            } else {
                Work::Append(arrival)
            },
            suspicious,
        }
    }

    fn plain(lines: &[&str]) -> Vec<Item> {
        lines.iter().map(|line| item(line, false, false)).collect()
    }

    #[test]
    fn a_thread_waits_for_itself_and_for_nobody_else() {
        let mut lines = Lines::default();
        lines.add(1, plain(&["a", "b", "a"]));
        let a = lines.start().unwrap();
        assert_eq!(a.items.len(), 2);
        lines.add(2, plain(&["a"]));
        let b = lines.start().unwrap();
        assert_eq!(b.items[0].line, "b");
        assert!(lines.start().is_none(), "the second run of a must wait");
        assert_eq!(lines.end(a.done), Vec::<i32>::new());
        assert_eq!(lines.start().unwrap().items[0].line, "a");
    }

    #[test]
    fn messages_are_settled_in_order_and_whole() {
        let mut lines = Lines::default();
        lines.add(1, plain(&["a", "b"]));
        lines.add(2, plain(&["c"]));
        let runs: Vec<Run> = std::iter::from_fn(|| lines.start()).collect();
        let mut dones = runs.into_iter().map(|run| run.done);
        let (a, b, c) = (dones.next().unwrap(), dones.next().unwrap(), dones.next().unwrap());
        assert_eq!(lines.end(c), Vec::<i32>::new());
        assert_eq!(lines.end(a), Vec::<i32>::new());
        assert_eq!(lines.end(b), vec![1, 2]);
        assert!(lines.is_empty() && lines.events() == 0);
    }

    #[test]
    fn the_bytes_of_a_message_are_in_hand_until_it_is_settled() {
        let mut lines = Lines::default();
        let sized = |line, bytes: usize| {
            let mut item = item(line, false, false);
            item.stamped.event = vec![0; bytes].into();
            item
        };
        lines.add(1, vec![sized("a", 10), sized("b", 5)]);
        lines.add(2, vec![sized("c", 100)]);
        let runs: Vec<Run> = std::iter::from_fn(|| lines.start()).collect();
        let mut left = Vec::new();
        for run in runs.into_iter().rev() {
            lines.end(run.done);
            left.push(lines.bytes());
        }
        assert_eq!(left, [115, 115, 0]);
    }

    #[test]
    fn an_empty_message_is_settled_at_once_when_it_is_its_turn() {
        let mut lines = Lines::default();
        assert_eq!(lines.add(1, Vec::new()), vec![1]);
        lines.add(2, plain(&["a"]));
        assert_eq!(lines.add(3, Vec::new()), Vec::<i32>::new());
        let run = lines.start().unwrap();
        assert_eq!(lines.end(run.done), vec![2, 3]);
    }

    #[test]
    fn receipts_and_suspicious_events_go_alone_and_in_their_order() {
        let mut lines = Lines::default();
        let items = vec![
            item("a", false, false),
            item("a", true, false),
            item("a", false, true),
            item("a", false, true),
            item("a", false, false),
        ];
        lines.add(1, items);
        let mut lengths = Vec::new();
        while let Some(run) = lines.start() {
            lengths.push(run.items.len());
            lines.end(run.done);
        }
        assert_eq!(lengths, vec![1; 5]);
    }
}
