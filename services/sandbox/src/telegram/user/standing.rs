//! Edits, reactions, and who belongs where.

use super::Done;
use crate::telegram::{backlog::Kind, bot::Bot, clock::Now, control::ControlError, people::ChatKind};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// Reactions remembered, to tell the old one with the new one.
const MOST_REACTIONS: usize = 50_000;

impl Bot {
    pub(super) fn edit_of_user(
        &mut self,
        user: i64,
        chat: i64,
        message_id: i64,
        text: &str,
        now: Now,
    ) -> Result<Done, ControlError> {
        let message = self
            .messages
            .get(chat, message_id)
            .ok_or(ControlError::UnknownMessage)?;
        if message.value["from"]["id"] != user || message.value.get("text").is_none() {
            return Err(ControlError::Impossible("not an own text"));
        }
        let mut edited = Value::clone(&message.value);
        edited["text"] = json!(text);
        edited["edit_date"] = json!(now.unix);
        let edited = Arc::new(edited);
        self.messages.replace(chat, message_id, Arc::clone(&edited));
        let updates = self
            .update(Kind::EditedMessage, &edited, chat, now)
            .into_iter()
            .collect();
        Ok(Done {
            updates,
            messages: vec![message_id],
            callback: None,
        })
    }

    pub(super) fn reaction(
        &mut self,
        user: i64,
        chat: i64,
        message_id: i64,
        emoji: Option<&str>,
        now: Now,
    ) -> Result<Done, ControlError> {
        let person = self.people.user(user).ok_or(ControlError::UnknownUser)?.json();
        self.messages
            .get(chat, message_id)
            .ok_or(ControlError::UnknownMessage)?;
        if self.reactions.len() >= MOST_REACTIONS {
            self.reactions.clear();
        }
        let key = (chat, message_id, user);
        let old = match emoji {
            Some(emoji) => self.reactions.insert(key, emoji.to_owned()),
            None => self.reactions.remove(&key),
        };
        let list = |emoji: Option<&str>| -> Vec<Value> {
            emoji
                .into_iter()
                .map(|emoji| json!({"type": "emoji", "emoji": emoji}))
                .collect()
        };
        let content = json!({
            "chat": self.people.chat_json(chat), "message_id": message_id, "user": person, "date": now.unix,
            "old_reaction": list(old.as_deref()), "new_reaction": list(emoji),
        });
        let updates = self
            .update(Kind::MessageReaction, &content, chat, now)
            .into_iter()
            .collect();
        Ok(Done {
            updates,
            ..Done::default()
        })
    }

    /// Joining or leaving a group: a message that says so, and `chat_member` for who asked for it.
    pub(super) fn membership(&mut self, user: i64, chat: i64, joins: bool, now: Now) -> Result<Done, ControlError> {
        let person = self.people.user(user).ok_or(ControlError::UnknownUser)?.json();
        let place = self.people.chat_mut(chat).ok_or(ControlError::UnknownChat)?;
        if place.kind == ChatKind::Private {
            return Err(ControlError::Impossible(
                "a private chat has no members to join or leave",
            ));
        }
        if place.members.contains(&user) == joins {
            return Err(ControlError::Impossible("that is so already"));
        }
        let mut done = Done::default();
        let (old, new) = if joins { ("left", "member") } else { ("member", "left") };
        if joins {
            place.members.insert(user);
            let content = Map::from_iter([("new_chat_members".to_owned(), json!([person]))]);
            self.write(user, chat, None, content, now, &mut done)?;
        } else {
            let content = Map::from_iter([("left_chat_member".to_owned(), person.clone())]);
            self.write(user, chat, None, content, now, &mut done)?;
            if let Some(place) = self.people.chat_mut(chat) {
                place.members.remove(&user);
            }
        }
        let change = self.change(chat, &person, &person, (old, new), now);
        done.updates.extend(self.update(Kind::ChatMember, &change, user, now));
        Ok(done)
    }

    /// A person blocks the bot, or a member throws it out of a group; and the way back.
    pub(super) fn block(&mut self, user: i64, chat: i64, blocks: bool, now: Now) -> Result<Done, ControlError> {
        let person = self.people.user_mut(user).ok_or(ControlError::UnknownUser)?;
        let (old, new) = if blocks {
            ("member", "kicked")
        } else {
            ("kicked", "member")
        };
        let sender = person.json();
        let already = if chat == user {
            let already = person.blocked == blocks;
            person.blocked = blocks;
            already
        } else {
            let place = self.people.chat_mut(chat).ok_or(ControlError::UnknownChat)?;
            let already = place.bot_status == new;
            place.bot_status = new;
            already
        };
        if already {
            return Err(ControlError::Impossible("that is so already"));
        }
        let bot = self.json(false);
        let change = self.change(chat, &sender, &bot, (old, new), now);
        let updates = self
            .update(Kind::MyChatMember, &change, chat, now)
            .into_iter()
            .collect();
        Ok(Done {
            updates,
            ..Done::default()
        })
    }

    /// A `ChatMemberUpdated`: `actor` changed the place of `member`.
    fn change(&self, chat: i64, actor: &Value, member: &Value, (old, new): (&str, &str), now: Now) -> Value {
        let side = |status: &str| {
            let mut side = json!({"user": member, "status": status});
            if status == "kicked" {
                // Zero: for ever.
                side["until_date"] = json!(0);
            }
            side
        };
        json!({
            "chat": self.people.chat_json(chat), "from": actor, "date": now.unix,
            "old_chat_member": side(old), "new_chat_member": side(new),
        })
    }

    /// A group becomes a supergroup: a last message in the old chat, a first one in the new.
    pub(in crate::telegram) fn migrate(&mut self, group: i64, now: Now) -> Result<i64, ControlError> {
        let place = self.people.chat_mut(group).ok_or(ControlError::UnknownChat)?;
        if place.kind != ChatKind::Group || place.migrated_to.is_some() {
            return Err(ControlError::Impossible("only a group that has not migrated can"));
        }
        let (title, members): (String, BTreeSet<i64>) = (place.title.clone(), place.members.clone());
        let new = self.people.add_group(ChatKind::Supergroup, &title, members);
        // Telegram sends these in the name of whoever did it; here it is Telegram's own account for such notices.
        let sender = json!({"id": 777_000, "is_bot": false, "first_name": "Telegram"});
        for (chat, field, other) in [(group, "migrate_to_chat_id", new), (new, "migrate_from_chat_id", group)] {
            let content = Map::from_iter([(field.to_owned(), json!(other))]);
            let (_, message) = self.append(chat, &sender, false, content, now);
            self.update(Kind::Message, &message, chat, now);
        }
        if let Some(place) = self.people.chat_mut(group) {
            place.migrated_to = Some(new);
        }
        Ok(new)
    }
}
