//! What is written when somebody new comes to be, or gets an identifier: for one identifier, and for many of a shard at once.

use super::{Asking, Owner, expect_record, insert_outgoing, listed_claim, put, to_outbox};
use crate::customer_event::Happened;
use crate::id::{Birth, CustomerId, IdentifierKey};
use crate::identifier;
use crate::identity::log::{self, Note};
use crate::identity::stored::{put_claim, put_customer};
use crate::identity::{self, Named};
use crate::keys;
use crate::port::store::{Expect, Write};
use crate::protocol::context::{Context, Loaded};
use crate::protocol::outbox::Outgoing;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{Claim, CustomerRecord, HomeRecord};
use omnigate_proto::v1::{IdentifierEvidence, IdentityEventKind};

/// A customer who is born with an identifier, as one commit of the identifier's shard writes them.
pub(in crate::protocol) struct Born {
    /// Who it is.
    pub(in crate::protocol) owner: Owner,
    /// The claim as it is then.
    pub(in crate::protocol) claim: Claim,
    /// Customer, home and all that goes with them; not the claim.
    pub(in crate::protocol) write: Vec<Write>,
    /// What is told of it once it is written.
    pub(in crate::protocol) outgoing: Vec<Outgoing>,
}

impl Born {
    /// What has to hold, and the claim with everything else that is written then.
    pub(in crate::protocol) fn into_commit(
        self,
        tenant_id: &str,
        key: IdentifierKey,
        before: &Loaded<Claim>,
    ) -> (Expect, Vec<Write>, Vec<Outgoing>) {
        let mut write = self.write;
        write.extend(claim_writes(tenant_id, key, before, &self.claim));
        (expect_record(keys::claim(key), before.stamp), write, self.outgoing)
    }
}

/// A new customer whose first identifier nobody has.
pub(in crate::protocol) fn born(
    context: &Context<'_>,
    asking: &Asking<'_>,
    named: &Named,
    claim: &Loaded<Claim>,
) -> Born {
    let now = context.now();
    let birth = Birth(context.entropy.bytes());
    let shard = identifier::key(asking.tenant_id, &named.identifier).shard();
    let id = CustomerId::new(now, shard, context.entropy.bytes());
    let mut customer = identity::new_customer(asking.tenant_id, id, named, birth, now);
    let note = noted(asking, &mut customer, id, (IdentityEventKind::Created, birth), now);
    let news = vec![
        happened(asking, (id, 1), now).customer_created(None),
        attached(asking, named, (id, 2), now),
    ];
    let home = HomeRecord {
        tenant_id: asking.tenant_id.to_owned(),
        home_seq: 2,
        ..HomeRecord::default()
    };
    let mut write = vec![
        note,
        put_customer(id, &customer),
        put(keys::home(id), &home),
        Write::Insert {
            key: keys::customers(asking.tenant_id),
            member: id.to_bytes(),
            value: Bytes::new(),
        },
    ];
    let outgoing = outbox_writes(id, 1, news, &mut write);
    Born {
        owner: Owner {
            customer: id,
            home: id,
            birth,
        },
        claim: identity::new_claim(claim.value.as_ref(), &named.identifier, id, birth, Some(id)),
        write,
        outgoing,
    }
}

/// Writes a claim; lists one that was not there before.
pub(super) fn claim_writes(
    tenant_id: &str,
    key: IdentifierKey,
    before: &Loaded<Claim>,
    next: &Claim,
) -> impl Iterator<Item = Write> {
    let list = before.stamp.is_none().then(|| listed_claim(tenant_id, key));
    [put_claim(key, next)].into_iter().chain(list)
}

/// Notes in a customer's log what became of an identifier.
pub(super) fn noted(
    asking: &Asking<'_>,
    record: &mut CustomerRecord,
    id: CustomerId,
    (kind, birth): (IdentityEventKind, Birth),
    now: Moment,
) -> Write {
    let note = Note {
        births: vec![birth.to_bytes()],
        ..Note::new(kind, asking.trace_id)
    };
    log::note(record, id, note, now)
}

fn happened<'a>(asking: &Asking<'a>, (home, home_seq): (CustomerId, u64), at: Moment) -> Happened<'a> {
    Happened {
        tenant_id: asking.tenant_id,
        home,
        home_seq,
        at,
        trace_id: asking.trace_id,
    }
}

/// Tells that a customer got an identifier.
pub(super) fn attached(asking: &Asking<'_>, named: &Named, number: (CustomerId, u64), at: Moment) -> Bytes {
    happened(asking, number, at).identifier_attached(IdentifierEvidence {
        identifier: Some(named.identifier.clone()),
        evidence: named.evidence.into(),
        provider_form: named.provider_form.clone(),
    })
}

/// Numbers what is told from `first` on, and writes it to the outbox.
pub(super) fn outbox_writes(home: CustomerId, first: u64, news: Vec<Bytes>, write: &mut Vec<Write>) -> Vec<Outgoing> {
    let numbered = (first..).zip(news);
    let outgoing: Vec<Outgoing> = numbered.map(|(number, event)| to_outbox(home, number, event)).collect();
    write.extend(outgoing.iter().map(insert_outgoing));
    outgoing
}
