//! Finds or makes the owner of an identifier: claim, attach, confirm.
//!
//! First contact is one commit, because a customer is born in the shard of its first identifier. Every other identifier
//! takes three: reserve it in its own shard, have it accepted in the customer's, confirm its home in its own.

mod birth;

pub(super) use birth::born;

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use super::identity::{find, load, wait};
use super::outbox::Outgoing;
use crate::id::{Birth, CustomerId, IdentifierKey};
use crate::identifier;
use crate::identity::stored::{nobody, put_customer};
use crate::identity::{self, Attach, Claimed, Named, built_in};
use crate::keys;
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::time::Moment;
use birth::{attached, claim_writes, noted, outbox_writes};
use bytes::Bytes;
use omnigate_proto::state::v1::{Claim, CustomerState, HomeRecord};
use omnigate_proto::v1::{Identifier, IdentityEventKind};

/// Where an identifier belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Record from which the way to the owner begins.
    pub customer: CustomerId,
    /// Record in which its threads live.
    pub home: CustomerId,
    /// Reservation token.
    pub birth: Birth,
}

/// What is known about the one who asks.
#[derive(Clone, Debug)]
pub struct Asking<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// When the event behind it was received; older than an erasure means dropped.
    pub received_at: Moment,
    /// Trace id of the event behind it.
    pub trace_id: &'a str,
    /// Identifier that this one stands in for, when the provider moved the peer.
    pub replaces: Option<&'a Identifier>,
}

/// The owner of an identifier, made if there is none: as a member of `prefer` where that has room, else as a new customer.
/// `None` when the event is older than an erasure. CustomerEvents that came to be are added to `outgoing`.
///
/// A cached owner is trusted: a home never moves, and erasure is checked again where the event is appended.
pub async fn owner(
    context: &Context<'_>,
    asking: &Asking<'_>,
    named: &Named,
    prefer: Option<CustomerId>,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Option<Owner>, Stop> {
    let key = identifier::key(asking.tenant_id, &named.identifier);
    if let Some(owner) = context.cache.owner(key) {
        return Ok(Some(owner));
    }
    let mut steps = Steps {
        context,
        asking,
        named,
        key,
        prefer,
        outgoing,
    };
    let mut claim = steps.read().await?;
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        claim = match identity::read_claim(claim.value.as_ref(), asking.received_at) {
            Claimed::Erased => return Ok(None),
            Claimed::Settled { customer, birth, home } => {
                let owner = Owner { customer, home, birth };
                context.cache.keep_owner(key, owner);
                return Ok(Some(owner));
            }
            Claimed::Free => steps.reserve(&claim).await?,
            Claimed::Reserved { customer, birth } => steps.attach(&claim, customer, birth, &mut waited).await?,
        };
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// The owner of an identifier that has one; makes none.
pub async fn known(context: &Context<'_>, asking: &Asking<'_>, named: &Named) -> Result<Option<Owner>, StoreError> {
    let key = identifier::key(asking.tenant_id, &named.identifier);
    if let Some(owner) = context.cache.owner(key) {
        return Ok(Some(owner));
    }
    let claim = claimed(context, key).await?;
    let Claimed::Settled { customer, birth, home } = identity::read_claim(claim.as_ref(), asking.received_at) else {
        return Ok(None);
    };
    let owner = Owner { customer, home, birth };
    context.cache.keep_owner(key, owner);
    Ok(Some(owner))
}

/// True when this process remembers the owner of an identifier, so that [`owner`] neither reads nor makes one.
pub(in crate::protocol) fn is_owned(context: &Context<'_>, tenant_id: &str, named: &Named) -> bool {
    let key = identifier::key(tenant_id, &named.identifier);
    context.cache.owner(key).is_some()
}

/// The present claim of an identifier; changes nothing.
pub async fn claimed(context: &Context<'_>, key: IdentifierKey) -> Result<Option<Claim>, StoreError> {
    Ok(context.claim(key).await?.value)
}

struct Steps<'a, 'c> {
    context: &'a Context<'c>,
    asking: &'a Asking<'a>,
    named: &'a Named,
    key: IdentifierKey,
    prefer: Option<CustomerId>,
    outgoing: &'a mut Vec<Outgoing>,
}

impl Steps<'_, '_> {
    async fn read(&self) -> Result<Loaded<Claim>, StoreError> {
        self.context.claim(self.key).await
    }

    /// Reserves a free identifier: for the preferred customer, or together with a new one.
    async fn reserve(&mut self, claim: &Loaded<Claim>) -> Result<Loaded<Claim>, Stop> {
        match self.prefer {
            Some(customer) => {
                let birth = Birth(self.context.entropy.bytes());
                let next = identity::new_claim(claim.value.as_ref(), &self.named.identifier, customer, birth, None);
                self.write_claim(claim, next, Vec::new()).await
            }
            None => self.first_contact(claim).await,
        }
    }

    /// Claim, customer and home in one commit.
    async fn first_contact(&mut self, claim: &Loaded<Claim>) -> Result<Loaded<Claim>, Stop> {
        let born = born(self.context, self.asking, self.named, claim);
        let after = self.write_claim(claim, born.claim.clone(), born.write).await?;
        if after
            .value
            .as_ref()
            .is_some_and(|claim| claim.birth == born.claim.birth)
        {
            self.outgoing.extend(born.outgoing);
        }
        Ok(after)
    }

    /// Has a reservation decided in the customer's record, then confirms or clears the claim.
    async fn attach(
        &mut self,
        claim: &Loaded<Claim>,
        customer: CustomerId,
        birth: Birth,
        waited: &mut u32,
    ) -> Result<Loaded<Claim>, Stop> {
        let Some(accepted) = self.decide(customer, birth).await? else {
            wait(self.context, customer, waited).await?;
            return Ok(self.read().await?);
        };
        if accepted {
            let mut confirmed = claim.value.clone().unwrap_or_default();
            confirmed.home = customer.to_bytes();
            return self.write_claim(claim, confirmed, Vec::new()).await;
        }
        // This reservation is dead for ever, and had no home.
        self.prefer = None;
        let next = match self.merged_into(customer).await? {
            Some(owner) => {
                let birth = Birth(self.context.entropy.bytes());
                identity::new_claim(claim.value.as_ref(), &self.named.identifier, owner, birth, None)
            }
            None => identity::free(Moment(claim.value.as_ref().map_or(0, |claim| claim.erased_at_ms))),
        };
        self.write_claim(claim, next, Vec::new()).await
    }

    /// Where a customer that refused is to be found now, if it was merged.
    async fn merged_into(&self, customer: CustomerId) -> Result<Option<CustomerId>, Stop> {
        let record = load(self.context, customer).await?.value.unwrap_or_default();
        if record.state() != CustomerState::Merged {
            return Ok(None);
        }
        find(self.context, self.asking.tenant_id, &built_in(customer), customer).await
    }

    /// True or false once decided, `None` while the record is frozen.
    async fn decide(&mut self, customer: CustomerId, birth: Birth) -> Result<Option<bool>, Stop> {
        let shard = customer.shard();
        for _ in 0..MAX_TRIES {
            let queries = vec![
                Query::Record(keys::customer(customer)),
                Query::Record(keys::home(customer)),
            ];
            let mut answers = self.context.store.read(shard, queries).await?.into_iter();
            let record = super::context::as_record(answers.next())?;
            let record = Loaded::customer(record, customer)?;
            let home = super::context::as_record(answers.next())?;
            let home: Loaded<HomeRecord> = Loaded::decode(home, "home")?;
            let now = self.context.now();
            let before = record.value.unwrap_or_else(|| nobody(customer));
            let (accepted, next) =
                match identity::attach(&before, customer, self.named, birth, self.asking.replaces, now) {
                    Attach::Accepted(None) => return Ok(Some(true)),
                    Attach::Rejected(None) => return Ok(Some(false)),
                    Attach::Busy => return Ok(None),
                    Attach::Accepted(Some(next)) => (true, next),
                    Attach::Rejected(Some(next)) => (false, next),
                };
            let mut next = next;
            let mut expect = vec![expect_record(keys::customer(customer), record.stamp)];
            let mut write = Vec::new();
            if accepted {
                write.push(noted(
                    self.asking,
                    &mut next,
                    customer,
                    (IdentityEventKind::Attached, birth),
                    now,
                ));
            }
            write.push(put_customer(customer, &next));
            let mut outgoing = Vec::new();
            if accepted {
                let mut numbered = home.value.unwrap_or_default();
                numbered.home_seq += 1;
                expect.push(expect_record(keys::home(customer), home.stamp));
                write.push(put(keys::home(customer), &numbered));
                let news = vec![attached(self.asking, self.named, (customer, numbered.home_seq), now)];
                outgoing = outbox_writes(customer, numbered.home_seq, news, &mut write);
            }
            if let Ended::Committed(_) = self.context.commit(shard, expect, write).await? {
                self.outgoing.extend(outgoing);
                return Ok(Some(accepted));
            }
        }
        Err(Stop::Contended(MAX_TRIES))
    }

    /// Replaces the claim that was read; gives back what stands there afterwards.
    async fn write_claim(
        &self,
        before: &Loaded<Claim>,
        next: Claim,
        mut write: Vec<Write>,
    ) -> Result<Loaded<Claim>, Stop> {
        write.extend(claim_writes(self.asking.tenant_id, self.key, before, &next));
        let expect = vec![expect_record(keys::claim(self.key), before.stamp)];
        match self.context.commit(self.key.shard(), expect, write).await? {
            Ended::Committed(stamp) => Ok(Loaded {
                stamp: Some(stamp),
                value: Some(next),
            }),
            Ended::Conflict(found) => match found_record(&found, 0) {
                Some(record) => Ok(Loaded::claim(record)?),
                None => Ok(self.read().await?),
            },
            Ended::Unknown => Ok(self.read().await?),
        }
    }
}

/// A CustomerEvent of a home, ready for the outbox.
pub(super) fn to_outbox(home: CustomerId, home_seq: u64, event: Bytes) -> Outgoing {
    Outgoing {
        shard: home.shard(),
        member: keys::outbox_member(home, home_seq),
        event,
    }
}

/// Writes it to the outbox.
pub(super) fn insert_outgoing(outgoing: &Outgoing) -> Write {
    Write::Insert {
        key: keys::outbox(),
        member: outgoing.member.clone(),
        value: outgoing.event.clone(),
    }
}

/// Puts a record that is stored as it is.
pub(super) fn put(key: Bytes, record: &impl prost::Message) -> Write {
    debug_assert!(!keys::is_packed(&key), "{key:?} is stored smaller than it is");
    Write::Put {
        key,
        value: record.encode_to_vec().into(),
    }
}

/// Lists an identifier that has a claim.
pub(super) fn listed_claim(tenant_id: &str, key: IdentifierKey) -> Write {
    Write::Insert {
        key: keys::claims(keys::claims_bucket(key), tenant_id),
        member: key.to_bytes(),
        value: Bytes::new(),
    }
}

/// Expects a record as it was read.
pub(super) fn expect_record(key: Bytes, stamp: Option<crate::port::store::Stamp>) -> Expect {
    Expect::Record { key, stamp }
}
