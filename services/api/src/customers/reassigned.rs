//! Phone numbers that may have been given to somebody else, as people say whose they are.

use super::identity::Asked;
use crate::{Api, problems};
use omnigate_core::id::{Birth, CustomerId, TransactionId};
use omnigate_core::identifier;
use omnigate_core::identity::split::What;
use omnigate_core::protocol::identity::reassign::{Given, answer_as_one, answer_as_two, between, give};
use omnigate_core::protocol::identity::{Command, NotDone, known, load};
use omnigate_core::protocol::read::Whole;
use omnigate_proto::state::v1::CommandRecord;
use omnigate_proto::v1::{Identifier, ResolveConflictRequest};
use omnigate_rpc::error::Problem;

impl Api {
    /// Ends what is asked about the numbers of a customer, where it is answered by the customer being one.
    pub(super) async fn answered_as_one(&self, tenant_id: &str, id: CustomerId) -> Result<(), Problem> {
        let answered = answer_as_one(&self.context(), tenant_id, id).await;
        answered.map_err(|stop| problems::stop(&stop))
    }

    /// Ends what is asked about the numbers of two customers who are two.
    pub(super) async fn answered_as_two(&self, tenant_id: &str, both: [CustomerId; 2]) -> Result<(), Problem> {
        let answered = answer_as_two(&self.context(), tenant_id, both).await;
        answered.map_err(|stop| problems::stop(&stop))
    }

    /// Gives the number that two customers are in conflict about to the one who does not have it.
    pub(super) async fn give_number(
        &self,
        tenant_id: &str,
        request_id: String,
        request: &ResolveConflictRequest,
    ) -> Result<Whole, Problem> {
        let asked = Asked::new(tenant_id, request_id, "new holder", request)?;
        let one: CustomerId = problems::id("customer_id", &request.customer_id)?;
        let other: CustomerId = problems::id("other_customer_id", &request.other_customer_id)?;
        if one == other {
            return Err(problems::not_done(&NotDone::NotTwo));
        }
        let stands = known(&self.context(), tenant_id, &asked.request_id, asked.body_hash).await;
        let record = match stands.map_err(|refused| problems::not_done(&refused))? {
            Some(record) => record,
            None => {
                let chosen = self.chosen_number(&asked, [one, other]).await?;
                self.remember(&asked, chosen).await?
            }
        };
        let (given, to) = self.given(&asked, &record, [one, other]).await?;
        let mut outgoing = Vec::new();
        let asking = asked.asking(self.ports.clock.now());
        let owner = give(&self.context(), &asking, &given, &mut outgoing).await;
        self.announcer.tell(outgoing, None).await;
        owner.map_err(|refused| problems::not_done(&refused))?;
        self.present(tenant_id, given.from.min(to)).await
    }

    /// Which number is given, chosen once.
    async fn chosen_number(&self, asked: &Asked<'_>, both: [CustomerId; 2]) -> Result<CommandRecord, Problem> {
        let found = between(&self.context(), asked.tenant_id, both).await;
        let found = found.map_err(|stop| problems::stop(&stop))?;
        let Some((number, birth, holder)) = found.into_iter().next() else {
            return Err(Problem::failed_precondition(
                "NO_NUMBER_IN_QUESTION",
                "the two are in conflict about no phone number",
            ));
        };
        let shard = identifier::key(asked.tenant_id, &number).shard();
        let gets = CustomerId::new(self.ports.clock.now(), shard, self.ports.entropy.bytes());
        Ok(CommandRecord {
            gets: gets.to_bytes(),
            from: holder.to_bytes(),
            birth,
            ..asked.record(self)
        })
    }

    /// What is carried out, and who gets the number.
    async fn given(
        &self,
        asked: &Asked<'_>,
        record: &CommandRecord,
        [one, other]: [CustomerId; 2],
    ) -> Result<(Given, CustomerId), Problem> {
        let (Some(gets), Some(from), Some(birth), Some(name)) = (
            CustomerId::from_bytes(&record.gets),
            CustomerId::from_bytes(&record.from),
            Birth::from_bytes(&record.birth),
            TransactionId::from_bytes(&record.name),
        ) else {
            return Err(Problem::internal());
        };
        let number = self.number_of(from, birth).await?;
        let to = if from == one { other } else { one };
        let cut = Command {
            name: name.to_string(),
            tenant_id: asked.tenant_id.to_owned(),
            gets,
            what: What::NewHolder(number.clone()),
            birth,
            trace_id: asked.trace_id.clone(),
        };
        Ok((Given { cut, from, to, number }, to))
    }

    /// The number with this reservation token; its former holder keeps the membership, which ends when it is given away.
    async fn number_of(&self, holder: CustomerId, birth: Birth) -> Result<Identifier, Problem> {
        let loaded = load(&self.context(), holder).await;
        let record = loaded
            .map_err(|error| problems::store(&error))?
            .value
            .unwrap_or_default();
        let mut members = record.members.into_iter();
        let member = members.find(|member| member.birth == birth.to_bytes());
        let number = member.and_then(|member| member.identifier);
        number.ok_or_else(|| problems::not_done(&NotDone::NoSuchCustomer))
    }
}
