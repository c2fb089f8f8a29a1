//! People, and how each stands to each OA.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, VecDeque};

pub(super) const HOUR_MS: i64 = 3_600_000;
/// Within this after the last interaction, consultation messages are free.
pub(super) const FREE_WINDOW_MS: i64 = 48 * HOUR_MS;
/// After this, consultation messages are refused.
pub(super) const WINDOW_MS: i64 = 7 * 24 * HOUR_MS;

/// Somebody to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewPerson {
    /// What the OA sees.
    pub name: String,
    /// `84…`, digits only. ZNS reaches people by it.
    pub phone: Option<String>,
    /// Whether the person follows the OA at the start, without an event.
    pub follows: bool,
    /// Whether the person has just interacted with the OA, which opens the window, without an event.
    pub interacted: bool,
    /// A visitor of the OA's web widget, who has no Zalo account.
    pub anonymous: bool,
}

impl Default for NewPerson {
    fn default() -> Self {
        Self {
            name: "Lan".to_owned(),
            phone: None,
            follows: false,
            interacted: true,
            anonymous: false,
        }
    }
}

/// Why the OA API cannot reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// `-217`.
    Blocked,
    /// `-227`: banned, or away for more than 45 days.
    Inactive,
    /// `-244`: restricted this kind of message from the OA.
    Restricted,
    /// `-218`: received as much as Zalo lets anybody receive.
    Saturated,
}

impl Unreachable {
    pub(super) fn code(self) -> i32 {
        match self {
            Self::Blocked => -217,
            Self::Inactive => -227,
            Self::Restricted => -244,
            Self::Saturated => -218,
        }
    }
}

/// Why ZNS cannot reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZnsRefusal {
    /// `-118`: the account was never there, or is no more.
    NotOnZalo,
    /// `-110`.
    OldVersion,
    /// `-114`.
    Inactive,
    /// `-119`.
    CannotReceive,
    /// `-139`.
    RefusesType,
    /// `-140`.
    NotEligible,
    /// `-141`.
    RefusesOa,
}

impl ZnsRefusal {
    pub(super) fn code(self) -> i32 {
        match self {
            Self::NotOnZalo => -118,
            Self::OldVersion => -110,
            Self::Inactive => -114,
            Self::CannotReceive => -119,
            Self::RefusesType => -139,
            Self::NotEligible => -140,
            Self::RefusesOa => -141,
        }
    }
}

#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) anonymous: bool,
    pub(super) zns_refusal: Option<ZnsRefusal>,
    /// By OA.
    pub(super) standings: HashMap<usize, Standing>,
}

/// A button of a message.
#[derive(Clone, Debug)]
pub(super) struct Button {
    pub(super) kind: String,
    pub(super) payload: Value,
}

/// One message between a person and an OA.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) of_person: bool,
    pub(super) at_ms: i64,
    /// As a conversation's listing calls it: `text`, `photo`, `GIF`, `link`…
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) url: Option<String>,
    pub(super) buttons: Vec<Button>,
    pub(super) reactions: u32,
}

/// How a person stands to one OA.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) follows: bool,
    /// Since the person left, nothing was heard of them.
    pub(super) left: bool,
    pub(super) last_interaction_ms: Option<i64>,
    /// Free messages sent since then.
    pub(super) free_used: u32,
    pub(super) unreachable: Option<Unreachable>,
    pub(super) chatted: bool,
    pub(super) tags: BTreeSet<String>,
    pub(super) shared_info: Option<Value>,
    pub(super) conversation: VecDeque<Stored>,
}

/// What a message may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// Free until then.
    Free { until_ms: i64 },
    /// To be paid for until then.
    Billable { until_ms: i64 },
}

impl Standing {
    /// An interaction: opens the window anew.
    pub(super) fn interacted(&mut self, now_ms: i64) {
        self.last_interaction_ms = Some(now_ms);
        self.free_used = 0;
        self.left = false;
    }

    /// The window in which `now_ms` falls, or the error's code.
    ///
    /// Zalo says what the codes mean, not how they exclude each other. Here: `-213` for who unfollowed and was not heard of
    /// since, `-232` for who never interacted, `-230` for who did, but more than 7 days ago.
    pub(super) fn window(&self, now_ms: i64) -> Result<Window, i32> {
        if let Some(unreachable) = self.unreachable {
            return Err(unreachable.code());
        }
        if self.left {
            return Err(-213);
        }
        let last = self.last_interaction_ms.ok_or(-232)?;
        if now_ms <= last + FREE_WINDOW_MS {
            Ok(Window::Free {
                until_ms: last + FREE_WINDOW_MS,
            })
        } else if now_ms <= last + WINDOW_MS {
            Ok(Window::Billable {
                until_ms: last + WINDOW_MS,
            })
        } else {
            Err(-230)
        }
    }

    pub(super) fn message(&self, id: &str) -> Option<&Stored> {
        self.conversation.iter().rev().find(|stored| stored.id == id)
    }

    pub(super) fn message_mut(&mut self, id: &str) -> Option<&mut Stored> {
        self.conversation.iter_mut().rev().find(|stored| stored.id == id)
    }
}

impl Stored {
    /// As a conversation's listing shows it.
    pub(super) fn in_list(&self, user_id: &str, name: &str, oa_id: &str, oa_name: &str) -> Value {
        let ((from, from_name), (to, to_name)) = if self.of_person {
            ((user_id, name), (oa_id, oa_name))
        } else {
            ((oa_id, oa_name), (user_id, name))
        };
        let mut listed = json!({
            "src": i32::from(self.of_person), "time": self.at_ms, "type": self.kind, "message": self.text,
            "message_id": self.id, "from_id": from, "to_id": to, "from_display_name": from_name,
            "to_display_name": to_name, "from_avatar": "", "to_avatar": "",
        });
        if let Some(url) = &self.url {
            listed["url"] = json!(url);
        }
        listed
    }
}
