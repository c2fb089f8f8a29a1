//! Finds the thread through which a message goes.

use super::context::Context;
use super::outbox::Outgoing;
use super::read;
use super::resolve::{Asking, Owner, claimed, owner};
use super::send::{NotAccepted, Request};
use crate::append::ThreadKey;
use crate::id::{Birth, CustomerId, ThreadId};
use crate::identifier;
use crate::identity::Named;

/// Whom to reach.
#[derive(Clone, Debug)]
pub enum Target {
    /// A thread, with the account it belongs to.
    Thread {
        /// Thread.
        id: ThreadId,
        /// Its account.
        account_id: String,
        /// Kind of its channel.
        channel: String,
    },
    /// An identifier through an account; the customer is made if there is none.
    Identifier {
        /// Identifier.
        named: Named,
        /// Account.
        account_id: String,
        /// Kind of its channel.
        channel: String,
    },
    /// A customer: the reachable thread that was last written to by them, through `account_id` when given.
    Customer {
        /// Customer.
        id: CustomerId,
        /// Account.
        account_id: Option<String>,
    },
}

/// Where a message goes.
pub(super) struct Destination {
    pub(super) owner: Owner,
    pub(super) thread: ThreadKey,
    pub(super) id: ThreadId,
}

/// The destination of a request.
pub(super) async fn find(
    context: &Context<'_>,
    request: &Request,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Destination, NotAccepted> {
    match &request.target {
        Target::Thread {
            id,
            account_id,
            channel,
        } => place_of(context, &request.tenant_id, (*id, account_id, channel)).await,
        Target::Identifier {
            named,
            account_id,
            channel,
        } => {
            let asking = Asking {
                tenant_id: &request.tenant_id,
                received_at: context.now(),
                trace_id: &request.trace_id,
                replaces: None,
            };
            let owner = owner(context, &asking, named, None, outgoing).await?;
            let owner = owner.ok_or(NotAccepted::NoThread)?;
            Ok(destination(&request.tenant_id, owner, named, account_id, channel))
        }
        Target::Customer { id, account_id } => {
            last_written_to(context, &request.tenant_id, *id, account_id.as_deref()).await
        }
    }
}

fn destination(tenant_id: &str, owner: Owner, named: &Named, account_id: &str, channel: &str) -> Destination {
    Destination {
        owner,
        id: ThreadId::new(identifier::key(tenant_id, &named.identifier), account_id),
        thread: ThreadKey {
            account_id: account_id.to_owned(),
            channel: channel.to_owned(),
            peer: named.identifier.clone(),
            birth: owner.birth,
            provider_form: named.provider_form.clone(),
        },
    }
}

/// Where a thread lives, by its id.
pub(super) async fn place_of(
    context: &Context<'_>,
    tenant_id: &str,
    (id, account_id, channel): (ThreadId, &str, &str),
) -> Result<Destination, NotAccepted> {
    let claim = claimed(context, id.peer()).await?.ok_or(NotAccepted::NoSuchThread)?;
    let (Some(customer), Some(birth), Some(home), Some(peer)) = (
        CustomerId::from_bytes(&claim.customer),
        Birth::from_bytes(&claim.birth),
        CustomerId::from_bytes(&claim.home),
        claim.identifier,
    ) else {
        return Err(NotAccepted::NoSuchThread);
    };
    // An id tells nobody whose the peer is: it may be of another tenant.
    if identifier::key(tenant_id, &peer) != id.peer() {
        return Err(NotAccepted::NoSuchThread);
    }
    Ok(Destination {
        owner: Owner { customer, home, birth },
        id,
        thread: ThreadKey {
            account_id: account_id.to_owned(),
            channel: channel.to_owned(),
            peer,
            birth,
            provider_form: String::new(),
        },
    })
}

/// The thread that a message to a customer goes to, so that what is decided about its account holds for the message.
pub async fn thread_of_customer(
    context: &Context<'_>,
    tenant_id: &str,
    id: CustomerId,
    account_id: Option<&str>,
) -> Result<Target, NotAccepted> {
    let found = last_written_to(context, tenant_id, id, account_id).await?;
    Ok(Target::Thread {
        id: found.id,
        account_id: found.thread.account_id,
        channel: found.thread.channel,
    })
}

/// The reachable thread of a customer that they last wrote to.
async fn last_written_to(
    context: &Context<'_>,
    tenant_id: &str,
    id: CustomerId,
    account_id: Option<&str>,
) -> Result<Destination, NotAccepted> {
    let whole = read::customer(context, tenant_id, id).await?;
    let whole = whole.ok_or(NotAccepted::NoSuchCustomer)?;
    let mut best: Option<(i64, Destination)> = None;
    for (member, thread) in whole.threads() {
        let (Some(home), Some(birth)) = (CustomerId::from_bytes(&member.home), Birth::from_bytes(&member.birth)) else {
            continue;
        };
        let wanted = account_id.is_none_or(|account| account == thread.account_id);
        let newer = best.as_ref().is_none_or(|(at, _)| *at < thread.last_inbound_ms);
        if thread.unreachable || !wanted || !newer {
            continue;
        }
        let named = Named {
            identifier: member.identifier.clone().unwrap_or_default(),
            evidence: member.evidence(),
            provider_form: thread.peer_provider_form.clone(),
        };
        let customer = whole.id;
        let owner = Owner { customer, home, birth };
        let found = destination(tenant_id, owner, &named, &thread.account_id, &thread.channel);
        best = Some((thread.last_inbound_ms, found));
    }
    best.map(|(_, found)| found).ok_or(NotAccepted::NoThread)
}
