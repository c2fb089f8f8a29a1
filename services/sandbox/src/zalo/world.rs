//! Everything the sandbox knows: apps, OAs, people, tokens, files. All of it is synchronous, under one lock.

use super::{
    answer::Refused,
    app::{App, Group, Oa},
    fault::Faults,
    files::{FileKind, Files, StoredFile},
    journal::{EventRecord, Journal},
    oauth::Tokens,
    options::{Options, Switches},
    person::{NewPerson, Person, Standing, Stored},
    schedule::{Event, EventServer},
};
use crate::clock::Now;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

pub(super) struct World {
    pub(super) options: Arc<Options>,
    pub(super) switches: Switches,
    pub(super) base_url: String,
    pub(super) apps: Vec<App>,
    pub(super) oas: Vec<Oa>,
    /// Numbered from 1.
    people: Vec<Person>,
    by_phone: HashMap<String, u64>,
    by_phone_hash: HashMap<String, u64>,
    pub(super) tokens: Tokens,
    pub(super) files: Files,
    pub(super) zns_sent: super::zns::Sent,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    /// How far the sandbox's clock is ahead of the options'.
    pub(super) ahead_ms: i64,
    made: u64,
}

/// An event in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) oa: usize,
    pub(super) server: EventServer,
    pub(super) name: String,
    pub(super) body: Map<String, Value>,
    /// Whose first attempts do not overlap.
    pub(super) subject: Option<String>,
    pub(super) delay: Duration,
}

impl Draft {
    /// `body` has to be an object.
    pub(super) fn new(oa: usize, name: impl Into<String>, body: Value) -> Self {
        Self {
            oa,
            server: EventServer::OaOpenApi,
            name: name.into(),
            body: match body {
                Value::Object(body) => body,
                _ => Map::new(),
            },
            subject: None,
            delay: Duration::ZERO,
        }
    }

    pub(super) fn zns(mut self) -> Self {
        self.server = EventServer::Zns;
        self
    }

    pub(super) fn of(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl World {
    pub(super) fn new(options: Arc<Options>, base_url: String) -> Self {
        let mut world = Self {
            switches: options.switches.clone(),
            base_url,
            apps: Vec::new(),
            oas: Vec::new(),
            people: Vec::new(),
            by_phone: HashMap::new(),
            by_phone_hash: HashMap::new(),
            tokens: Tokens::default(),
            files: Files::new(options.file_bytes),
            zns_sent: super::zns::Sent::new(options.journal),
            faults: Faults::default(),
            journal: Journal::new(options.journal, options.contents),
            ahead_ms: 0,
            made: 0,
            options: Arc::clone(&options),
        };
        let now_ms = options.clock.now().unix_ms;
        for (app, identity) in options.apps.iter().enumerate() {
            world.apps.push(App::new(identity.clone(), &options));
            for identity in &identity.oas {
                world.oas.push(Oa::new(app, identity.clone()));
                world.grant_at_start(world.oas.len() - 1, now_ms);
            }
        }
        world
    }

    /// Both clocks, the sandbox's own with what it was advanced by.
    pub(super) fn now(&self) -> Now {
        let mut now = self.options.clock.now();
        now.unix_ms += self.ahead_ms;
        now.unix += self.ahead_ms / 1000;
        now
    }

    /// A number that was never drawn before, and one that looks as if it were drawn by chance.
    fn draw(&mut self) -> (u64, u64) {
        self.made += 1;
        let mut mixed = self
            .options
            .seed
            .wrapping_add(self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (self.made, mixed ^ (mixed >> 31))
    }

    /// 20 hex digits or more.
    pub(super) fn new_id(&mut self) -> String {
        let (number, mixed) = self.draw();
        format!("{mixed:016x}{number:04x}")
    }

    /// 43 characters that `PKCE` and URLs allow.
    pub(super) fn new_secret(&mut self) -> String {
        let (number, first) = self.draw();
        let (_, second) = self.draw();
        format!("{first:016x}{second:016x}{number:011}")
    }

    pub(super) fn oa_index(&self, oa_id: &str) -> Option<usize> {
        self.oas.iter().position(|oa| oa.identity.oa_id == oa_id)
    }

    pub(super) fn oa_id(&self, oa: usize) -> String {
        self.oas[oa].identity.oa_id.clone()
    }

    pub(super) fn add_person(&mut self, oa: usize, new: NewPerson) -> u64 {
        let id = self.people.len() as u64 + 1;
        let now_ms = self.now().unix_ms;
        let mut standing = Standing {
            follows: new.follows,
            ..Standing::default()
        };
        if new.interacted {
            standing.interacted(now_ms);
        }
        if let Some(phone) = &new.phone {
            self.by_phone.insert(phone.clone(), id);
            self.by_phone_hash.insert(super::zns::phone_hash(phone), id);
        }
        self.people.push(Person {
            name: new.name,
            phone: new.phone,
            anonymous: new.anonymous,
            zns_refusal: None,
            standings: HashMap::from([(oa, standing)]),
        });
        id
    }

    pub(super) fn person(&self, id: u64) -> Option<&Person> {
        self.people.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(super) fn person_mut(&mut self, id: u64) -> Option<&mut Person> {
        self.people.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(super) fn people(&self) -> impl Iterator<Item = (u64, &Person)> {
        (1..).zip(&self.people)
    }

    pub(super) fn person_of_phone(&self, phone: &str) -> Option<u64> {
        self.by_phone.get(phone).copied()
    }

    pub(super) fn person_of_hash(&self, hash: &str) -> Option<u64> {
        self.by_phone_hash.get(hash).copied()
    }

    /// The id under which `person` is known to `oa`: another one at every OA.
    pub(super) fn user_id(&self, oa: usize, person: u64) -> String {
        format!("7{:06}{person:012}", oa + 1)
    }

    /// The id under which `person` is known to all OAs of an app.
    pub(super) fn user_id_by_app(&self, app: usize, person: u64) -> String {
        format!("5{:06}{person:012}", app + 1)
    }

    /// The conversation of a visitor of the widget.
    pub(super) fn conversation_id(&self, oa: usize, person: u64) -> String {
        format!("9{:06}{person:012}", oa + 1)
    }

    /// Who `user_id` is to `oa`; nobody where it is another OA's id of them, or they were never there.
    pub(super) fn person_of(&self, oa: usize, user_id: &str) -> Option<u64> {
        let person = user_id.get(7..)?.parse().ok()?;
        let known = self.person(person)?.standings.contains_key(&oa);
        (known && self.user_id(oa, person) == user_id).then_some(person)
    }

    pub(super) fn standing(&self, oa: usize, person: u64) -> Option<&Standing> {
        self.person(person)?.standings.get(&oa)
    }

    /// How `person` stands to `oa`, who need not have met before.
    pub(super) fn standing_mut(&mut self, oa: usize, person: u64) -> Option<&mut Standing> {
        Some(self.person_mut(person)?.standings.entry(oa).or_default())
    }

    /// Remembers a message within the conversation's bound.
    pub(super) fn remember(&mut self, oa: usize, person: u64, stored: Stored) {
        let limit = self.options.conversation;
        if let Some(standing) = self.standing_mut(oa, person) {
            crate::contents::keep(&mut standing.conversation, stored, limit);
        }
    }

    pub(super) fn add_group(&mut self, oa: usize, name: &str, members: BTreeSet<u64>) -> String {
        let id = self.new_id();
        let group = Group {
            name: name.to_owned(),
            members,
            disabled: false,
        };
        self.oas[oa].groups.insert(id.clone(), group);
        id
    }

    pub(super) fn add_file(
        &mut self,
        oa: usize,
        kind: FileKind,
        (name, mime): (String, String),
        bytes: Bytes,
    ) -> Arc<StoredFile> {
        let (id, now_ms) = (self.new_secret(), self.now().unix_ms);
        let size = bytes.len() as u64;
        self.files.add(StoredFile {
            id,
            kind,
            oa,
            name,
            mime_type: mime,
            bytes,
            size,
            made_ms: now_ms,
        })
    }

    /// Where a file can be fetched.
    pub(super) fn url_of(&self, file: &StoredFile) -> String {
        format!("{}{}", self.base_url, file.path())
    }

    /// An upload of `oa` that may still be used.
    pub(super) fn upload(
        &self,
        oa: usize,
        id: &str,
        kinds: &[FileKind],
        field: &str,
    ) -> Result<Arc<StoredFile>, Refused> {
        let file = self
            .files
            .get(id)
            .filter(|file| file.oa == oa && kinds.contains(&file.kind))
            .ok_or_else(|| Refused::invalid(field))?;
        let life = i64::try_from(self.options.upload_life.as_millis()).unwrap_or(i64::MAX);
        if self.now().unix_ms > file.made_ms.saturating_add(life) {
            return Err(Refused::oa(-100));
        }
        Ok(file)
    }

    /// Makes an event for the app's webhook; answers its number, or none where it is not wanted.
    pub(super) fn emit(&mut self, draft: Draft) -> Option<u64> {
        let now = self.now();
        let oa = &self.oas[draft.oa];
        let (app, oa_id) = (oa.app, oa.identity.oa_id.clone());
        let text = draft.body.get("message").and_then(|message| message["text"].as_str());
        if !oa.granted || !self.apps[app].webhook.wants(&draft.name, text) {
            self.journal.counters.unwanted += 1;
            return None;
        }
        let delay = self.options.scaled(draft.delay);
        let at_ms = now.unix_ms + i64::try_from(delay.as_millis()).unwrap_or_default();
        let timestamp = at_ms.to_string();
        let mut body = draft.body;
        body.entry("app_id")
            .or_insert_with(|| json!(self.apps[app].identity.app_id));
        body.entry("event_name").or_insert_with(|| json!(draft.name));
        body.insert("timestamp".to_owned(), json!(timestamp));
        self.journal.counters.events += 1;
        let number = self.journal.counters.events;
        // Zalo escapes otherwise than most JSON libraries do: who verifies what they wrote anew themselves is caught.
        let body: Arc<str> = Value::Object(body).to_string().replace('/', "\\/").into();
        self.journal.event(EventRecord {
            number,
            name: draft.name,
            oa_id: oa_id.clone(),
            server: draft.server,
            body: Arc::clone(&body),
        });
        let event = Event {
            number,
            oa_id,
            server: draft.server,
            timestamp,
            body,
        };
        self.queue(app, event, draft.subject, now.at + delay);
        Some(number)
    }

    fn queue(&mut self, app: usize, event: Event, subject: Option<String>, at: Instant) {
        let reorder = self.switches.reorder;
        let webhook = &mut self.apps[app].webhook;
        if reorder > 1 {
            webhook.held.push((event, subject));
            if webhook.held.len() >= reorder {
                self.release(app);
            }
            return;
        }
        if !webhook.schedule.add(event, subject.as_deref(), at) {
            self.journal.counters.dropped += 1;
        }
    }

    /// Lets go what was held to be reordered: the last first, one after the other.
    pub(super) fn release(&mut self, app: usize) {
        let now = self.now().at;
        let webhook = &mut self.apps[app].webhook;
        for (event, _) in std::mem::take(&mut webhook.held).into_iter().rev() {
            if !webhook.schedule.add(event, Some("reordered"), now) {
                self.journal.counters.dropped += 1;
            }
        }
    }
}
