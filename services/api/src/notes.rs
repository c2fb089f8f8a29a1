//! Notes that people of the company write about customers.

use crate::customers::Asked;
use crate::{Api, problems};
use omnigate_core::append::Arrival;
use omnigate_core::id::{CustomerId, EntryId, TransactionId};
use omnigate_core::note::{self, Written};
use omnigate_core::protocol::identity::{NotDone, known};
use omnigate_core::protocol::{entries, notes};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{CommandRecord, EntryRecord};
use omnigate_proto::v1::{AddNoteRequest, DeleteNoteRequest, EditNoteRequest, Entry, Event, event::Kind};
use omnigate_rpc::error::Problem;

/// Longest note, in characters.
const MAX_TEXT: usize = 10_000;
/// Longest name of an author, in characters.
const MAX_AUTHOR: usize = 128;

/// A note as it stands.
struct Found {
    id: EntryId,
    entry: Entry,
    record: EntryRecord,
    /// Command that wrote it.
    command: String,
}

impl Api {
    pub(crate) async fn add_note_to(&self, tenant_id: &str, mut request: AddNoteRequest) -> Result<Entry, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        check(Some(&request.text), &request.author)?;
        let asked = Asked::new(tenant_id, request_id, "add note", &request)?;
        let record = match self.decided(&asked).await? {
            Some(record) => record,
            None => {
                let whole = self.whole_customer(tenant_id, &request.customer_id).await?;
                // Wherever the customer goes meanwhile, the note is born in this record.
                let record = CommandRecord {
                    from: whole.id.to_bytes(),
                    ..asked.record(self)
                };
                self.remember(&asked, record).await?
            }
        };
        let home = CustomerId::from_bytes(&record.from).ok_or_else(Problem::internal)?;
        let command = name_of(&record)?;
        let written = written(&asked, home, &command, (&request.author, record.at_ms));
        self.write(tenant_id, home, note::added(&written, &request.text))
            .await?;
        let id = EntryId::new(home, note::note_id(tenant_id, home, &command));
        Ok(self.note(tenant_id, id).await?.entry)
    }

    pub(crate) async fn edit_note_of(&self, tenant_id: &str, mut request: EditNoteRequest) -> Result<Entry, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        check(Some(&request.text), &request.author)?;
        let asked = Asked::new(tenant_id, request_id, "edit note", &request)?;
        let id = problems::id("entry_id", &request.entry_id)?;
        let change = |written: &Written<'_>, note: &str| note::edited(written, note, &request.text);
        self.change_note(&asked, id, &request.author, false, change).await
    }

    pub(crate) async fn delete_note_of(
        &self,
        tenant_id: &str,
        mut request: DeleteNoteRequest,
    ) -> Result<Entry, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        check(None, &request.author)?;
        let asked = Asked::new(tenant_id, request_id, "delete note", &request)?;
        let id = problems::id("entry_id", &request.entry_id)?;
        self.change_note(&asked, id, &request.author, true, note::withdrawn)
            .await
    }

    async fn change_note(
        &self,
        asked: &Asked<'_>,
        id: EntryId,
        author: &str,
        also_withdrawn: bool,
        change: impl Fn(&Written<'_>, &str) -> Arrival,
    ) -> Result<Entry, Problem> {
        let found = self.note(asked.tenant_id, id).await?;
        let record = match self.decided(asked).await? {
            Some(record) => record,
            None if found.entry.deleted && !also_withdrawn => return Err(not_a_note("the note was withdrawn")),
            None => {
                let mut record = asked.record(self);
                // Later than the change that stands, also where that was made by a clock ahead of ours.
                record.at_ms = record.at_ms.max(found.record.edited_at_ms + 1);
                self.remember(asked, record).await?
            }
        };
        let command = name_of(&record)?;
        let written = written(asked, found.id.home(), &command, (author, record.at_ms));
        let arrival = change(&written, &found.command);
        self.write(asked.tenant_id, found.id.home(), arrival).await?;
        Ok(self.note(asked.tenant_id, found.id).await?.entry)
    }

    /// What was decided on under a request id before.
    pub(crate) async fn decided(&self, asked: &Asked<'_>) -> Result<Option<CommandRecord>, Problem> {
        let stands = known(&self.context(), asked.tenant_id, &asked.request_id, asked.body_hash).await;
        stands.map_err(|refused| problems::not_done(&refused))
    }

    async fn write(&self, tenant_id: &str, home: CustomerId, arrival: Arrival) -> Result<(), Problem> {
        let written = notes::write(&self.context(), tenant_id, home, arrival).await;
        let outgoing = written.map_err(|stop| problems::stop(&stop))?;
        let outgoing = outgoing.ok_or_else(|| problems::not_done(&NotDone::NoSuchCustomer))?;
        self.announcer.tell(outgoing, None).await;
        Ok(())
    }

    async fn note(&self, tenant_id: &str, id: EntryId) -> Result<Found, Problem> {
        let found = entries::entry(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let (entry, record) = found.ok_or_else(|| Problem::not_found("ENTRY_NOT_FOUND", "there is no such entry"))?;
        match &entry.event {
            Some(Event {
                kind: Some(Kind::Note(_)),
                provider_message_id,
                ..
            }) => Ok(Found {
                id,
                command: provider_message_id.clone(),
                entry,
                record,
            }),
            _ => Err(not_a_note("the entry is no note")),
        }
    }
}

fn not_a_note(why: &str) -> Problem {
    Problem::failed_precondition("NOT_A_NOTE", why)
}

fn name_of(record: &CommandRecord) -> Result<String, Problem> {
    let name = TransactionId::from_bytes(&record.name).ok_or_else(Problem::internal)?;
    Ok(name.to_string())
}

fn written<'a>(
    asked: &'a Asked<'_>,
    home: CustomerId,
    command: &'a str,
    (author, at_ms): (&'a str, i64),
) -> Written<'a> {
    Written {
        tenant_id: asked.tenant_id,
        home,
        command,
        author,
        at: Moment(at_ms),
        trace_id: &asked.trace_id,
    }
}

fn check(text: Option<&str>, author: &str) -> Result<(), Problem> {
    if text.is_some_and(|text| text.trim().is_empty() || text.chars().count() > MAX_TEXT) {
        return Err(Problem::invalid("text", "must have 1 to 10,000 characters"));
    }
    if author.trim().is_empty() || author.chars().count() > MAX_AUTHOR {
        return Err(Problem::invalid("author", "must have 1 to 128 characters"));
    }
    Ok(())
}
