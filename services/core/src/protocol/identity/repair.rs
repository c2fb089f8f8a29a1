//! Puts right what a failover of the store lost: each record is compared with those in other shards that it has to agree
//! with, and each claim with the member that it leads to.
//!
//! Every step is one commit in one shard, decided on what both sides say ([`crate::identity::repair`]), and may be the last
//! one of its process: whoever looks again goes on. What runs beside it is no danger to it, nor it to that: where both
//! change the same record, one of them meets a conflict and looks again.

mod claim;
mod closed;
mod erased;
mod holder;
mod member;
mod past;
mod sweep;
mod thread;
mod way;

pub use claim::identifier;
pub use sweep::{Group, Piece, Progress, keep, piece, progress};

use super::merge::recover;
use super::record::{Next, change, load};
use crate::id::CustomerId;
use crate::identity::is_held;
use crate::identity::log::Note;
use crate::identity::repair::{Repair, is_unborn};
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::time::Moment;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Membership};
use omnigate_proto::v1::IdentityEventKind;

/// How often a record is looked at again because something was put right in it; what is left then has its turn later.
const LOOKS: usize = 64;
/// What identity events of a repair give as their cause.
const CAUSE: &str = "repair";

/// What a look or a sweep put right.
#[derive(Debug, Default)]
pub struct Mended {
    /// Customers looked at.
    pub customers: u64,
    /// Identifiers looked at.
    pub identifiers: u64,
    /// What was put right, each time.
    pub repairs: Vec<Repair>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
    /// True when others changed the same meanwhile, so that another look is needed.
    contended: bool,
}

impl Mended {
    fn note(&mut self, repair: Repair, customer: CustomerId) {
        tracing::info!(%customer, repair = repair.name(), "identity repaired");
        self.repairs.push(repair);
    }
}

/// Looks at a customer's record and whatever it has to agree with, until nothing is wrong with it.
pub async fn customer(context: &Context<'_>, id: CustomerId, mended: &mut Mended) -> Result<(), Stop> {
    mended.customers += 1;
    for _ in 0..LOOKS {
        let Some(record) = load(context, id).await?.value else {
            return Ok(());
        };
        let before = mended.repairs.len();
        match record.state() {
            CustomerState::Frozen => {
                recover(context, id).await?;
                mended.note(Repair::Thawed, id);
            }
            CustomerState::Active => active(context, id, &record, mended).await?,
            CustomerState::Merged => past::merged(context, id, &record, mended).await?,
            CustomerState::Erased => erased::check(context, id, &record, mended).await?,
            CustomerState::Prepared | CustomerState::Unspecified => {}
        }
        if mended.repairs.len() == before && !std::mem::take(&mut mended.contended) {
            return Ok(());
        }
    }
    Err(Stop::Contended(u32::try_from(LOOKS).unwrap_or(u32::MAX)))
}

/// Looks at a customer until the first thing that was wrong is put right: what stands in its record then is another one.
async fn active(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let before = mended.repairs.len();
    if past::former(context, id, record, mended).await? || thread::unknown(context, id, record, mended).await? {
        return Ok(());
    }
    // A home is closed for a birth only after the claim leads elsewhere.
    let held = record.members.iter().filter(|member| is_held(member));
    let ended = record.members.iter().filter(|member| !is_held(member));
    for member in held.chain(ended) {
        member::check(context, (id, record), member, mended).await?;
        if mended.repairs.len() > before || mended.contended {
            return Ok(());
        }
    }
    Ok(())
}

/// What is noted in a record that is mended.
struct Found<'a> {
    repair: Repair,
    other: Option<CustomerId>,
    members: &'a [Membership],
}

impl Found<'_> {
    fn noted(&self, record: CustomerRecord) -> Next {
        let note = Note {
            other: self.other,
            births: self.members.iter().map(|member| member.birth.clone()).collect(),
            rules: vec![self.repair.name().to_owned()],
            ..Note::new(IdentityEventKind::Repaired, CAUSE)
        };
        Next::noted(record, note)
    }
}

/// Changes a record, if the decision wants it, and notes in it what was found. True when it was changed.
async fn mend(
    context: &Context<'_>,
    id: CustomerId,
    found: &Found<'_>,
    mut decide: impl FnMut(Option<&CustomerRecord>, Moment) -> Option<CustomerRecord>,
) -> Result<bool, Stop> {
    change(context, id, |record, now| {
        let next = decide(record, now).map(|next| found.noted(next));
        (next.is_some(), next)
    })
    .await
}

/// The same, decided by what another record says, which is read after the one that is changed: whatever it says later, it
/// cannot say of this one without changing it. A record that comes to be a customer is listed.
async fn mend_by(
    context: &Context<'_>,
    (id, by): (CustomerId, CustomerId),
    found: &Found<'_>,
    decide: impl Fn(Option<&CustomerRecord>, &CustomerRecord, Moment) -> Option<CustomerRecord>,
) -> Result<bool, Stop> {
    for _ in 0..MAX_TRIES {
        let loaded = load(context, id).await?;
        let other = load(context, by).await?.value.unwrap_or_default();
        let Some(next) = decide(loaded.value.as_ref(), &other, context.now()) else {
            return Ok(false);
        };
        let mut next = found.noted(next);
        if loaded.value.as_ref().is_none_or(is_unborn) {
            next.also.push(claim::listed(&next.record.tenant_id, id));
        }
        if next.write(context, id, loaded.stamp).await? {
            return Ok(true);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
