//! The customer of one row of whose identifiers something is known, by the ordinary protocols.

use crate::audience::row::{Problem, Reason, Row};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::{Claimed, Named, built_in, has_room, read_claim};
use crate::protocol::context::{Context, Loaded, Stop};
use crate::protocol::identity::{self, find, load};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, claimed, owner};
use omnigate_proto::state::v1::{Claim, CustomerState, Membership};

/// A row with the claims of its identifiers.
pub(super) struct Asked<'r> {
    pub(super) row: &'r Row,
    pub(super) claims: Vec<Loaded<Claim>>,
}

impl Asked<'_> {
    pub(super) fn lead(&self) -> &Named {
        &self.row.identifiers[0].1
    }

    /// True where nobody has any of the identifiers, nor another form of one that is looked for.
    pub(super) fn is_nobodys(&self, asking: &Asking<'_>) -> bool {
        let is_free =
            |claim: &Loaded<Claim>| matches!(read_claim(claim.value.as_ref(), asking.received_at), Claimed::Free);
        let has_variants = |(_, named): &(usize, Named)| !identifier::variants(&named.identifier).is_empty();
        self.claims.iter().all(is_free) && !self.row.identifiers.iter().any(has_variants)
    }
}

/// The customer of a row of whose identifiers something is known.
pub(super) async fn settle(
    context: &Context<'_>,
    asking: &Asking<'_>,
    asked: &Asked<'_>,
    merges: bool,
) -> (Result<Result<CustomerId, Problem>, Stop>, Vec<Outgoing>) {
    let mut settling = Settling {
        context,
        asking,
        merges,
        outgoing: Vec::new(),
    };
    let answer = settling.customer(asked).await;
    (answer, settling.outgoing)
}

struct Settling<'a, 'c> {
    context: &'a Context<'c>,
    asking: &'a Asking<'a>,
    merges: bool,
    outgoing: Vec<Outgoing>,
}

/// Whose an identifier is.
enum Whose {
    Nobodys,
    Erased,
    Of(CustomerId),
}

impl Settling<'_, '_> {
    async fn customer(&mut self, asked: &Asked<'_>) -> Result<Result<CustomerId, Problem>, Stop> {
        let mut found: Option<CustomerId> = None;
        let mut missing: Vec<(usize, &Named)> = Vec::new();
        for ((place, named), claim) in asked.row.identifiers.iter().zip(&asked.claims) {
            match (self.whose(named, claim.value.as_ref()).await?, found) {
                (Whose::Erased, _) => return Ok(Err(erased(*place))),
                (Whose::Nobodys, _) => missing.push((*place, named)),
                (Whose::Of(id), None) => found = Some(id),
                (Whose::Of(id), Some(other)) if id == other => {}
                (Whose::Of(_), Some(_)) if !self.merges => {
                    let text = "it belongs to another customer than the identifiers before it";
                    return Ok(Err(Problem::of_identifier(*place, Reason::CustomersDiffer, text)));
                }
                (Whose::Of(_), Some(other)) => match self.merge(other, (*place, named)).await? {
                    Ok(id) => found = Some(id),
                    Err(problem) => return Ok(Err(problem)),
                },
            }
        }
        if found.is_none() {
            found = self.by_variant(&missing).await?;
        }
        let id = match found {
            Some(id) => id,
            None => {
                let (place, named) = missing.remove(0);
                match owner(self.context, self.asking, named, None, &mut self.outgoing).await? {
                    Some(owner) => owner.customer,
                    None => return Ok(Err(erased(place))),
                }
            }
        };
        self.attach(id, &missing).await
    }

    async fn whose(&mut self, named: &Named, claim: Option<&Claim>) -> Result<Whose, Stop> {
        let customer = match read_claim(claim, self.asking.received_at) {
            Claimed::Free => return Ok(Whose::Nobodys),
            Claimed::Erased => return Ok(Whose::Erased),
            Claimed::Settled { customer, .. } => customer,
            // Somebody's attempt that is not decided yet: it is, by whoever comes by.
            Claimed::Reserved { .. } => {
                match owner(self.context, self.asking, named, None, &mut self.outgoing).await? {
                    Some(owner) => owner.customer,
                    None => return Ok(Whose::Erased),
                }
            }
        };
        let found = find(self.context, self.asking.tenant_id, &named.identifier, customer).await?;
        Ok(found.map_or(Whose::Nobodys, Whose::Of))
    }

    async fn merge(
        &mut self,
        id: CustomerId,
        (place, named): (usize, &Named),
    ) -> Result<Result<CustomerId, Problem>, Stop> {
        use identity::NotDone;
        let linked = identity::link(self.context, self.asking, id, named, &mut self.outgoing).await;
        let (reason, text) = match linked {
            Ok(id) => return Ok(Ok(id)),
            Err(NotDone::Apart(rules)) => (
                Reason::CustomersApart,
                format!("it belongs to another customer, kept apart by {}", rules.join(", ")),
            ),
            Err(NotDone::Stop(stop)) => return Err(stop),
            Err(_) => (Reason::Erased, "one of its customers was erased meanwhile".to_owned()),
        };
        Ok(Err(Problem::of_identifier(place, reason, text)))
    }

    /// The customer who is known by another form of a number that nobody has.
    async fn by_variant(&mut self, missing: &[(usize, &Named)]) -> Result<Option<CustomerId>, Stop> {
        for (_, named) in missing {
            for identifier in identifier::variants(&named.identifier) {
                let claim = claimed(self.context, identifier::key(self.asking.tenant_id, &identifier)).await?;
                let other = Named {
                    identifier,
                    ..(*named).clone()
                };
                if let Whose::Of(id) = self.whose(&other, claim.as_ref()).await? {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// Gives a customer identifiers that nobody has: all of them, where there is room for all.
    async fn attach(
        &mut self,
        id: CustomerId,
        missing: &[(usize, &Named)],
    ) -> Result<Result<CustomerId, Problem>, Stop> {
        if missing.is_empty() {
            return Ok(Ok(id));
        }
        let record = load(self.context, id).await?.value.unwrap_or_default();
        let mut members = record.members;
        for (place, named) in missing {
            if record.state == i32::from(CustomerState::Active) && !has_room(&members, &named.identifier) {
                let kind = &named.identifier.r#type;
                let text = format!("the customer has as many identifiers of type {kind} as one may have");
                return Ok(Err(Problem::of_identifier(*place, Reason::NoRoom, text)));
            }
            members.push(Membership {
                identifier: Some(named.identifier.clone()),
                ..Membership::default()
            });
        }
        let mut id = id;
        for (place, named) in missing {
            let owner = owner(self.context, self.asking, named, Some(id), &mut self.outgoing).await?;
            let Some(owner) = owner else {
                return Ok(Err(erased(*place)));
            };
            let tenant_id = self.asking.tenant_id;
            let has_it = find(self.context, tenant_id, &named.identifier, owner.customer).await?;
            let present = find(self.context, tenant_id, &built_in(id), id).await?;
            match present.filter(|_| has_it == present) {
                Some(present) => id = present,
                None => {
                    let text = "somebody else got it meanwhile";
                    return Ok(Err(Problem::of_identifier(*place, Reason::IdentifierTaken, text)));
                }
            }
        }
        Ok(Ok(id))
    }
}

fn erased(place: usize) -> Problem {
    let text = "who has it was erased since the import began";
    Problem::of_identifier(place, Reason::Erased, text)
}
