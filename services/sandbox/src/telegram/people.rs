//! Who there is: people, and the chats in which a bot meets them.

use super::{answer::ApiError, flood::Bucket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// The kind of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// With one person; the chat's id is the person's.
    Private,
    /// A small group; becomes a supergroup in time, with another id.
    Group,
    /// A large group.
    Supergroup,
}

impl ChatKind {
    fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
        }
    }
}

/// A person to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewUser {
    /// Chosen by the sandbox, above 32 bits, when absent.
    pub id: Option<i64>,
    /// Never empty.
    pub first_name: String,
    /// Shown after the first name.
    pub last_name: Option<String>,
    /// Without the `@`.
    pub username: Option<String>,
    /// IETF tag.
    pub language_code: Option<String>,
    /// Whether the person has written to the bot before, so that the bot may write to them.
    pub started: bool,
}

impl Default for NewUser {
    fn default() -> Self {
        Self {
            id: None,
            first_name: "Lan".to_owned(),
            last_name: None,
            username: None,
            language_code: Some("vi".to_owned()),
            started: true,
        }
    }
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) first_name: String,
    pub(super) last_name: Option<String>,
    pub(super) username: Option<String>,
    pub(super) language_code: Option<String>,
    pub(super) started: bool,
    pub(super) blocked: bool,
    pub(super) deactivated: bool,
}

impl User {
    pub(super) fn json(&self) -> Value {
        let mut user = json!({"id": self.id, "is_bot": false, "first_name": self.first_name});
        for (key, value) in [
            ("last_name", &self.last_name),
            ("username", &self.username),
            ("language_code", &self.language_code),
        ] {
            if let Some(value) = value {
                user[key] = json!(value);
            }
        }
        user
    }
}

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) kind: ChatKind,
    pub(super) title: String,
    pub(super) members: BTreeSet<i64>,
    /// The bot's own place in a group: `member`, `left` or `kicked`.
    pub(super) bot_status: &'static str,
    pub(super) migrated_to: Option<i64>,
    pub(super) last_message_id: i64,
    pub(super) per_second: Bucket,
    pub(super) per_minute: Bucket,
}

impl Chat {
    pub(super) fn next_message_id(&mut self) -> i64 {
        self.last_message_id += 1;
        self.last_message_id
    }
}

/// People and chats of one bot.
#[derive(Debug, Default)]
pub(super) struct People {
    users: HashMap<i64, User>,
    chats: HashMap<i64, Chat>,
    usernames: HashMap<String, i64>,
    made_users: i64,
    made_groups: i64,
}

/// Ids above 32 bits, so that a client that keeps them in 32 loses them in its first test.
const FIRST_USER: i64 = 5_000_000_001;
const FIRST_GROUP: i64 = -4_000_000_001;
const FIRST_SUPERGROUP: i64 = -1_002_000_000_001;

impl People {
    pub(super) fn add_user(&mut self, new: NewUser) -> i64 {
        let id = new.id.unwrap_or_else(|| {
            let id = FIRST_USER + self.made_users;
            self.made_users += 1;
            id
        });
        if let Some(username) = &new.username {
            self.usernames.insert(username.to_lowercase(), id);
        }
        let user = User {
            id,
            first_name: new.first_name,
            last_name: new.last_name,
            username: new.username,
            language_code: new.language_code,
            started: new.started,
            blocked: false,
            deactivated: false,
        };
        self.users.insert(id, user);
        id
    }

    pub(super) fn add_group(&mut self, kind: ChatKind, title: &str, members: BTreeSet<i64>) -> i64 {
        let first = if kind == ChatKind::Supergroup {
            FIRST_SUPERGROUP
        } else {
            FIRST_GROUP
        };
        let id = first - self.made_groups;
        self.made_groups += 1;
        self.chats.insert(id, empty_chat(kind, title.to_owned(), members));
        id
    }

    pub(super) fn user(&self, id: i64) -> Option<&User> {
        self.users.get(&id)
    }

    pub(super) fn user_mut(&mut self, id: i64) -> Option<&mut User> {
        self.users.get_mut(&id)
    }

    pub(super) fn chat(&self, id: i64) -> Option<&Chat> {
        self.chats.get(&id)
    }

    /// The chat, where a person's private chat comes to be at its first use.
    pub(super) fn chat_mut(&mut self, id: i64) -> Option<&mut Chat> {
        if self.users.contains_key(&id) {
            return Some(
                self.chats
                    .entry(id)
                    .or_insert_with(|| empty_chat(ChatKind::Private, String::new(), BTreeSet::from([id]))),
            );
        }
        self.chats.get_mut(&id)
    }

    /// `chat_id` of a call: a number, or `@username`.
    pub(super) fn find(&self, chat_id: &str) -> Result<i64, ApiError> {
        let id = match chat_id.strip_prefix('@') {
            Some(username) => self.usernames.get(&username.to_lowercase()).copied(),
            None => chat_id.parse::<i64>().ok(),
        };
        let id = id.ok_or_else(chat_not_found)?;
        let known = self.users.contains_key(&id) || self.chats.contains_key(&id);
        if known { Ok(id) } else { Err(chat_not_found()) }
    }

    /// Whether the bot may write to `chat`.
    pub(super) fn reachable(&self, chat: i64) -> Result<(), ApiError> {
        if let Some(user) = self.users.get(&chat) {
            return self.may_write_to(user);
        }
        let chat = self.chats.get(&chat).ok_or_else(chat_not_found)?;
        if let Some(to) = chat.migrated_to {
            return Err(ApiError::migrated(to));
        }
        match chat.bot_status {
            "kicked" => Err(ApiError::forbidden(format!(
                "bot was kicked from the {} chat",
                chat.kind.name()
            ))),
            "left" => Err(ApiError::forbidden(format!(
                "bot is not a member of the {} chat",
                chat.kind.name()
            ))),
            _ => Ok(()),
        }
    }

    fn may_write_to(&self, user: &User) -> Result<(), ApiError> {
        if user.deactivated {
            return Err(ApiError::forbidden("user is deactivated"));
        }
        if user.blocked {
            return Err(ApiError::forbidden("bot was blocked by the user"));
        }
        if user.started {
            return Ok(());
        }
        // A bot knows a person who never wrote only from a group that they share; anybody else does not exist for it.
        let met = self
            .chats
            .values()
            .any(|chat| chat.kind != ChatKind::Private && chat.members.contains(&user.id));
        Err(if met {
            ApiError::forbidden("bot can't initiate conversation with a user")
        } else {
            chat_not_found()
        })
    }

    pub(super) fn chat_json(&self, id: i64) -> Value {
        let user = self.users.get(&id);
        let chat = self.chats.get(&id);
        match (user, chat) {
            (Some(user), _) => {
                let mut value = user.json();
                if let Some(object) = value.as_object_mut() {
                    object.remove("is_bot");
                    object.remove("language_code");
                    object.insert("type".to_owned(), json!("private"));
                }
                value
            }
            (None, Some(chat)) => json!({"id": id, "type": chat.kind.name(), "title": chat.title}),
            (None, None) => json!({"id": id, "type": "private"}),
        }
    }
}

fn empty_chat(kind: ChatKind, title: String, members: BTreeSet<i64>) -> Chat {
    Chat {
        kind,
        title,
        members,
        bot_status: "member",
        migrated_to: None,
        last_message_id: 0,
        per_second: Bucket::default(),
        per_minute: Bucket::default(),
    }
}

fn chat_not_found() -> ApiError {
    ApiError::bad_request("chat not found")
}
