//! Who is who, changed by people: merging, taking apart, linking, conflicts, and the story of it.

use crate::{Api, messages::MAX_REQUEST_ID, problems};
use omnigate_core::id::{Birth, CustomerId, TransactionId, hash};
use omnigate_core::identity::merge::{Rule, Word};
use omnigate_core::identity::split::What;
use omnigate_core::identity::{Named, built_in_of, member};
use omnigate_core::protocol::identity::{
    self, Command, Conflict as Found, Merged, NotDone, Outcome, Person, check, keep_apart, known, remember,
};
use omnigate_core::protocol::outbox::Outgoing;
use omnigate_core::protocol::read::Whole;
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::time::Moment;
use omnigate_core::{identifier, protocol::read};
use omnigate_proto::state::v1::{CommandRecord, Membership, MergeStep};
use omnigate_proto::v1::split_customer_request::What as Wanted;
use omnigate_proto::v1::{
    Conflict, ConflictResolution, Evidence, Identifier, IdentityEvent, LinkIdentifierRequest,
    ListIdentityEventsResponse, MergeCheck, MergeCustomersRequest, MergeCustomersResponse, ResolveConflictRequest,
    SplitCustomerRequest, SplitCustomerResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::trace;
use std::collections::BTreeMap;

/// A command of a person, before it is known whether it is a repeated one.
pub(crate) struct Asked<'a> {
    pub(crate) tenant_id: &'a str,
    pub(crate) request_id: String,
    pub(crate) body_hash: [u8; 32],
    pub(crate) trace_id: String,
}

impl<'a> Asked<'a> {
    /// `body` is the request without its id.
    pub(crate) fn new(
        tenant_id: &'a str,
        request_id: String,
        method: &str,
        body: &impl prost::Message,
    ) -> Result<Self, Problem> {
        if request_id.is_empty() || request_id.chars().count() > MAX_REQUEST_ID {
            return Err(Problem::invalid("request_id", "must have 1 to 128 characters"));
        }
        Ok(Self {
            tenant_id,
            request_id,
            body_hash: hash(method, &[&body.encode_to_vec()]),
            trace_id: trace::next(trace::current()).trace_id(),
        })
    }

    pub(super) fn asking(&self, now: Moment) -> Asking<'_> {
        Asking {
            tenant_id: self.tenant_id,
            received_at: now,
            trace_id: &self.trace_id,
            replaces: None,
        }
    }

    pub(crate) fn record(&self, api: &Api) -> CommandRecord {
        CommandRecord {
            body_hash: bytes::Bytes::copy_from_slice(&self.body_hash),
            name: TransactionId(api.ports.entropy.bytes()).to_bytes(),
            at_ms: api.ports.clock.now().0,
            ..CommandRecord::default()
        }
    }
}

impl Api {
    pub(super) async fn merge(
        &self,
        tenant_id: &str,
        mut request: MergeCustomersRequest,
    ) -> Result<MergeCustomersResponse, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "merge", &request)?;
        let one = self.whole_customer(tenant_id, &request.customer_id).await?;
        let other = self.whole_customer(tenant_id, &request.other_customer_id).await?;
        if !request.validate_only {
            self.remember(&asked, asked.record(self)).await?;
        }
        if one.id == other.id {
            self.answered_as_one(tenant_id, one.id).await?;
            return Ok(MergeCustomersResponse {
                customer: Some(self.shown(one.to_customer()).await),
                checks: Vec::new(),
            });
        }
        let checks = self.checks(one.id, other.id).await?;
        if request.validate_only {
            let survivor = if one.id < other.id { &one } else { &other };
            return Ok(MergeCustomersResponse {
                customer: Some(self.shown(survivor.to_customer()).await),
                checks,
            });
        }
        let people = [Person::Customer(one.id), Person::Customer(other.id)];
        let mut outgoing = Vec::new();
        let asking = asked.asking(self.ports.clock.now());
        let (context, both) = (self.context(), [&people[0], &people[1]]);
        let merged = identity::merge(&context, &asking, both, Word::Person, &mut outgoing).await;
        self.announcer.tell(outgoing, None).await;
        match merged.map_err(|stop| problems::stop(&stop))? {
            Merged::One(id) => {
                self.answered_as_one(tenant_id, id).await?;
                Ok(MergeCustomersResponse {
                    customer: Some(self.shown(self.present(tenant_id, id).await?.to_customer()).await),
                    checks,
                })
            }
            Merged::Apart { forbidden_by, .. } => Err(problems::not_done(&NotDone::Apart(forbidden_by))),
            Merged::Gone => Err(problems::not_done(&NotDone::NoSuchCustomer)),
        }
    }

    /// What each rule says about a merge.
    async fn checks(&self, one: CustomerId, other: CustomerId) -> Result<Vec<MergeCheck>, Problem> {
        let checked = check(&self.context(), (one, other), [Word::Person, Word::Strong]).await;
        let [by_person, by_channel] = checked.map_err(|stop| problems::stop(&stop))?;
        let checks = Rule::ALL.into_iter().map(|rule| MergeCheck {
            rule: rule.name().to_owned(),
            allows: !by_person.contains(&rule),
            allows_without_a_person: !by_channel.contains(&rule),
        });
        Ok(checks.collect())
    }

    pub(crate) async fn remember(&self, asked: &Asked<'_>, record: CommandRecord) -> Result<CommandRecord, Problem> {
        let stands = remember(&self.context(), asked.tenant_id, &asked.request_id, record).await;
        stands.map_err(|refused| problems::not_done(&refused))
    }

    pub(super) async fn present(&self, tenant_id: &str, id: CustomerId) -> Result<Whole, Problem> {
        let found = read::customer(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| problems::not_done(&NotDone::NoSuchCustomer))
    }

    pub(super) async fn split(
        &self,
        tenant_id: &str,
        mut request: SplitCustomerRequest,
    ) -> Result<SplitCustomerResponse, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "split", &request)?;
        let wanted = canonical(request.what.ok_or_else(|| Problem::invalid("what", "must be set"))?)?;
        let stands = known(&self.context(), tenant_id, &asked.request_id, asked.body_hash).await;
        let record = match stands.map_err(|refused| problems::not_done(&refused))? {
            Some(record) => record,
            None => {
                let whole = self.whole_customer(tenant_id, &request.customer_id).await?;
                let record = self.chosen(&asked, &whole, &wanted)?;
                self.remember(&asked, record).await?
            }
        };
        let (Some(gets), Some(from), Some(birth), Some(name)) = (
            CustomerId::from_bytes(&record.gets),
            CustomerId::from_bytes(&record.from),
            Birth::from_bytes(&record.birth),
            TransactionId::from_bytes(&record.name),
        ) else {
            return Err(Problem::internal());
        };
        let command = Command {
            name: name.to_string(),
            tenant_id: tenant_id.to_owned(),
            gets,
            what: what(wanted, record.step),
            birth,
            trace_id: asked.trace_id.clone(),
        };
        let mut outgoing: Vec<Outgoing> = Vec::new();
        let split = identity::split(&self.context(), &command, from, &mut outgoing).await;
        self.announcer.tell(outgoing, None).await;
        if split.map_err(|stop| problems::stop(&stop))? == Outcome::Nothing {
            return Err(Problem::failed_precondition(
                "NOTHING_TO_SPLIT",
                "the merge has been undone, or nobody has the identifiers any more",
            ));
        }
        let remains = self.whole_customer(tenant_id, &request.customer_id).await?;
        let split_off = self.present(tenant_id, gets).await?;
        Ok(SplitCustomerResponse {
            customer: Some(self.shown(remains.to_customer()).await),
            split_customer: Some(self.shown(split_off.to_customer()).await),
        })
    }

    /// What a command is about, chosen once.
    fn chosen(&self, asked: &Asked<'_>, whole: &Whole, wanted: &Wanted) -> Result<CommandRecord, Problem> {
        let record = asked.record(self);
        let (lead, field) = match wanted {
            Wanted::Undo(undo) => {
                let step = whole.merges().find(|step| {
                    TransactionId::from_bytes(&step.transaction).is_some_and(|id| id.to_string() == undo.merge_id)
                });
                let step = step.ok_or_else(|| {
                    Problem::failed_precondition("NO_SUCH_MERGE", "no such merge made this customer what it is")
                })?;
                for identifier in &undo.identifiers {
                    owned(&whole.record.members, identifier, "undo.identifiers")?;
                }
                return Ok(CommandRecord {
                    gets: step.loser.clone(),
                    from: step.loser.clone(),
                    birth: step.loser.clone(),
                    step: Some(step),
                    ..record
                });
            }
            Wanted::Unlink(unlink) => (unlink.identifiers.first(), "unlink.identifiers"),
            Wanted::NewHolder(identifier) => (Some(identifier), "new_holder"),
        };
        let lead = lead.ok_or_else(|| Problem::invalid(field, "must have at least one identifier"))?;
        let birth = owned(&whole.record.members, lead, field)?.birth.clone();
        if let Wanted::Unlink(unlink) = wanted {
            for identifier in &unlink.identifiers {
                owned(&whole.record.members, identifier, field)?;
            }
        }
        let shard = identifier::key(asked.tenant_id, lead).shard();
        let gets = CustomerId::new(self.ports.clock.now(), shard, self.ports.entropy.bytes());
        Ok(CommandRecord {
            gets: gets.to_bytes(),
            from: whole.id.to_bytes(),
            birth,
            ..record
        })
    }

    pub(super) async fn link(&self, tenant_id: &str, mut request: LinkIdentifierRequest) -> Result<Whole, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "link", &request)?;
        let customer = self.whole_customer(tenant_id, &request.customer_id).await?;
        let given = request.identifier.unwrap_or_default();
        let named = Named {
            identifier: canonical_of(&given, "identifier")?,
            evidence: Evidence::Verified,
            provider_form: String::new(),
        };
        if self.ports.tenants.of(tenant_id).blocked.holds(&named.identifier) {
            return Err(Problem::invalid(
                "identifier",
                "stands for nobody in particular: it is blocked",
            ));
        }
        self.remember(&asked, asked.record(self)).await?;
        let mut outgoing = Vec::new();
        let asking = asked.asking(self.ports.clock.now());
        let linked = identity::link(&self.context(), &asking, customer.id, &named, &mut outgoing).await;
        self.announcer.tell(outgoing, None).await;
        let id = linked.map_err(|refused| problems::not_done(&refused))?;
        self.answered_as_one(tenant_id, id).await?;
        self.present(tenant_id, id).await
    }

    pub(super) async fn resolve_conflict_of(
        &self,
        tenant_id: &str,
        mut request: ResolveConflictRequest,
    ) -> Result<Whole, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        match request.resolution() {
            ConflictResolution::Merge => {
                let merge = MergeCustomersRequest {
                    customer_id: request.customer_id,
                    other_customer_id: request.other_customer_id,
                    request_id,
                    ..MergeCustomersRequest::default()
                };
                let merged = self.merge(tenant_id, merge).await?.customer.unwrap_or_default();
                self.whole_customer(tenant_id, &merged.customer_id).await
            }
            ConflictResolution::KeepApart => {
                let asked = Asked::new(tenant_id, request_id, "keep apart", &request)?;
                let one: CustomerId = problems::id("customer_id", &request.customer_id)?;
                let other: CustomerId = problems::id("other_customer_id", &request.other_customer_id)?;
                if one == other {
                    return Err(problems::not_done(&NotDone::NotTwo));
                }
                let record = self.remember(&asked, asked.record(self)).await?;
                let name = TransactionId::from_bytes(&record.name).ok_or_else(Problem::internal)?;
                let pair = [one.min(other), one.max(other)];
                let kept = keep_apart(&self.context(), tenant_id, &name.to_string(), pair, &asked.trace_id).await;
                kept.map_err(|refused| problems::not_done(&refused))?;
                self.answered_as_two(tenant_id, pair).await?;
                self.present(tenant_id, pair[0]).await
            }
            ConflictResolution::NewHolder => self.give_number(tenant_id, request_id, &request).await,
            ConflictResolution::Unspecified => Err(Problem::invalid(
                "resolution",
                "must be MERGE, KEEP_APART or NEW_HOLDER",
            )),
        }
    }

    pub(super) async fn identity_events(&self, whole: &Whole) -> Result<ListIdentityEventsResponse, Problem> {
        let found = identity::events(&self.context(), &whole.record.members).await;
        let (found, intact) = found.map_err(|error| problems::store(&error))?;
        let known: BTreeMap<_, _> = whole
            .record
            .members
            .iter()
            .filter_map(|member| Some((member.birth.clone(), member.identifier.clone()?)))
            .filter(|(_, identifier)| built_in_of(identifier).is_none())
            .collect();
        let text = |id: Option<CustomerId>| id.map(|id| id.to_string()).unwrap_or_default();
        let events = found.into_iter().map(|chained| IdentityEvent {
            customer_id: chained.customer.to_string(),
            number: chained.number,
            kind: chained.event.kind,
            at: Some(Moment(chained.event.at_ms).to_timestamp()),
            trace_id: chained.event.cause,
            transaction_id: TransactionId::from_bytes(&chained.event.transaction)
                .map(|id| id.to_string())
                .unwrap_or_default(),
            other_customer_id: text(CustomerId::from_bytes(&chained.event.other)),
            identifiers: chained
                .event
                .births
                .iter()
                .filter_map(|birth| known.get(birth).cloned())
                .collect(),
            rules: chained.event.rules,
            hash: chained
                .hash
                .map(|hash| data_encoding::HEXLOWER.encode(&hash))
                .unwrap_or_default(),
        });
        Ok(ListIdentityEventsResponse {
            events: events.collect(),
            intact,
        })
    }
}

/// A conflict as readers see it.
pub(super) fn to_conflict((survivor, loser, record): Found) -> Conflict {
    Conflict {
        customer_id: survivor.to_string(),
        other_customer_id: loser.to_string(),
        rules: record.rules,
        at: Some(Moment(record.at_ms).to_timestamp()),
        trace_id: record.cause,
    }
}

pub(crate) fn canonical_of(identifier: &Identifier, field: &'static str) -> Result<Identifier, Problem> {
    identifier::canonical(identifier).map_err(|error| Problem::invalid(field, error.to_string()))
}

/// The same with canonical identifiers.
fn canonical(wanted: Wanted) -> Result<Wanted, Problem> {
    let all = |identifiers: &mut Vec<Identifier>, field| {
        for identifier in identifiers {
            *identifier = canonical_of(identifier, field)?;
        }
        Ok::<(), Problem>(())
    };
    Ok(match wanted {
        Wanted::Undo(mut undo) => {
            all(&mut undo.identifiers, "undo.identifiers")?;
            Wanted::Undo(undo)
        }
        Wanted::Unlink(mut unlink) => {
            all(&mut unlink.identifiers, "unlink.identifiers")?;
            Wanted::Unlink(unlink)
        }
        Wanted::NewHolder(identifier) => Wanted::NewHolder(canonical_of(&identifier, "new_holder")?),
    })
}

fn what(wanted: Wanted, step: Option<MergeStep>) -> What {
    match wanted {
        Wanted::Undo(undo) => What::Merge {
            step: step.unwrap_or_default(),
            only: (!undo.identifiers.is_empty()).then_some(undo.identifiers),
        },
        Wanted::Unlink(unlink) => What::Unlink(unlink.identifiers),
        Wanted::NewHolder(identifier) => What::NewHolder(identifier),
    }
}

/// The membership of an identifier, or who asks is told that it is none.
fn owned<'a>(
    members: &'a [Membership],
    identifier: &Identifier,
    field: &'static str,
) -> Result<&'a Membership, Problem> {
    member(members, identifier).ok_or_else(|| {
        let kind = &identifier.r#type;
        Problem::invalid(field, format!("the customer does not have this {kind}"))
    })
}
