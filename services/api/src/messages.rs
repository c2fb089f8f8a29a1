//! MessageService: accepts single messages and says what became of them.

use crate::{Api, problems};
use omnigate_core::account::Account;
use omnigate_core::delivery as life;
use omnigate_core::id::{CustomerId, MessageId, ThreadId, hash};
use omnigate_core::identity::Named;
use omnigate_core::protocol::{publish, send, submit};
use omnigate_core::time::Moment;
use omnigate_core::{event, identifier};
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    CancelMessageRequest, CancelMessageResponse, Delivery, Evidence, ExplainMessageRequest, ExplainMessageResponse,
    GetMessageRequest, GetMessageResponse, SendMessageRequest, SendMessageResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::trace::{self, TraceContext};
use omnigate_rpc::v1::message_service_server::MessageService;
use prost::Message as _;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Longest request id, in characters.
pub(crate) const MAX_REQUEST_ID: usize = 128;
/// Farthest time to send.
const MAX_AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);
/// Life of a message that names no end.
const DEFAULT_LIFE: Duration = Duration::from_secs(24 * 3600);

#[tonic::async_trait]
impl MessageService for Api {
    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        let trace = trace::next(trace::current());
        let delivery = self.accept(self.checked(tenant_id, asked, &trace)?).await?;
        Ok(Response::new(SendMessageResponse {
            delivery: Some(delivery),
        }))
    }

    async fn get_message(&self, request: Request<GetMessageRequest>) -> Result<Response<GetMessageResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = message_id(&request.into_inner().message_id)?;
        let record = self.delivery(&tenant_id, id).await?;
        Ok(Response::new(GetMessageResponse {
            delivery: record.delivery,
        }))
    }

    async fn cancel_message(
        &self,
        request: Request<CancelMessageRequest>,
    ) -> Result<Response<CancelMessageResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = message_id(&request.into_inner().message_id)?;
        let before = self.delivery(&tenant_id, id).await?;
        let cancelled = submit::cancel(&self.context(), id)
            .await
            .map_err(|stop| problems::stop(&stop))?;
        let Some(changed) = cancelled else {
            let again = life::state_of(&before) == omnigate_proto::v1::DeliveryState::Cancelled;
            return match again {
                true => Ok(Response::new(CancelMessageResponse {
                    delivery: before.delivery,
                })),
                false => Err(Problem::failed_precondition(
                    "ALREADY_LEAVING",
                    "the message has begun to leave or has ended",
                )
                .into()),
            };
        };
        publish::publish(
            self.broker.as_ref(),
            &self.ports.outbox,
            self.partitions,
            changed.outgoing,
        )
        .await;
        if let Some(next) = changed.next {
            let hinted = publish::hint_by_ids(&self.context(), self.broker.as_ref(), [next]).await;
            hinted.map_err(|stop| problems::stop(&stop))?;
        }
        Ok(Response::new(CancelMessageResponse {
            delivery: changed.record.delivery.clone(),
        }))
    }

    async fn explain_message(
        &self,
        request: Request<ExplainMessageRequest>,
    ) -> Result<Response<ExplainMessageResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let story = self.story(&tenant_id, &request.into_inner().message_id).await?;
        Ok(Response::new(story))
    }
}

fn message_id(text: &str) -> Result<MessageId, Problem> {
    problems::id("message_id", text)
}

impl Api {
    /// Accepts a message that was checked, and tells others.
    pub(crate) async fn accept(&self, mut request: send::Request) -> Result<Delivery, Problem> {
        if let Err(problem) = self.check_templates(&mut request).await {
            // What was accepted before stays accepted: asking again gives the same answer.
            let known = send::is_known(&self.context(), &request).await;
            if !known.map_err(|stop| problems::stop(&stop))? {
                return Err(problem);
            }
        }
        let accepted = send::accept(&self.context(), &request)
            .await
            .map_err(|error| problems::not_accepted(&error))?;
        let delivery = accepted.record.delivery.clone().unwrap_or_default();
        let is_due = request.send_at <= self.ports.clock.now();
        let ready = is_due.then_some(accepted.record);
        self.announcer.tell(accepted.outgoing, ready).await;
        Ok(delivery)
    }

    /// A request that keeps the contract, or what is wrong with it.
    pub(crate) fn checked(
        &self,
        tenant_id: String,
        mut asked: SendMessageRequest,
        trace: &TraceContext,
    ) -> Result<send::Request, Problem> {
        if asked.request_id.is_empty() || asked.request_id.chars().count() > MAX_REQUEST_ID {
            return Err(Problem::invalid("request_id", "must have 1 to 128 characters"));
        }
        let request_id = std::mem::take(&mut asked.request_id);
        let body_hash = hash("send message", &[&asked.encode_to_vec()]);
        let target = self.target(&tenant_id, &asked)?;
        let lane = asked.lane();
        let on_unknown = asked.on_unknown();
        let now = self.ports.clock.now();
        let send_at = asked.send_at.as_ref().map_or(now, Moment::from_timestamp).max(now);
        if send_at > now + MAX_AHEAD {
            return Err(Problem::invalid("send_at", "must be within 90 days"));
        }
        let expire_at = asked
            .expire_at
            .as_ref()
            .map_or(send_at + DEFAULT_LIFE, Moment::from_timestamp);
        if expire_at <= send_at {
            return Err(Problem::invalid("expire_at", "must lie after send_at and after now"));
        }
        let mut message = asked.message.unwrap_or_default();
        if message.parts.is_empty() {
            return Err(Problem::invalid("message.parts", "must have at least one part"));
        }
        event::normalise_outbound(&mut message).map_err(|refusal| Problem::invalid(&refusal.field, refusal.problem))?;
        Ok(send::Request {
            tenant_id,
            request_id,
            body_hash,
            target,
            message,
            send_at,
            expire_at,
            lane,
            on_unknown,
            traceparent: trace.to_string(),
            trace_id: trace.trace_id(),
        })
    }

    fn target(&self, tenant_id: &str, asked: &SendMessageRequest) -> Result<send::Target, Problem> {
        match &asked.target {
            None => Err(Problem::invalid(
                "target",
                "thread_id, identifier or customer_id must be set",
            )),
            Some(Target::ThreadId(id)) => {
                let id: ThreadId = problems::id("thread_id", id)?;
                let account = self.account_of(tenant_id, id);
                let account =
                    account.ok_or_else(|| Problem::not_found("THREAD_NOT_FOUND", "there is no such thread"))?;
                if !asked.account_id.is_empty() && asked.account_id != account.id {
                    return Err(Problem::invalid(
                        "account_id",
                        "is not the account of the thread; leave it out",
                    ));
                }
                Ok(send::Target::Thread {
                    id,
                    account_id: account.id.clone(),
                    channel: account.channel.clone(),
                })
            }
            Some(Target::Identifier(named)) => {
                let account = self.account(tenant_id, &asked.account_id)?;
                let canonical =
                    identifier::canonical(named).map_err(|error| Problem::invalid("identifier", error.to_string()))?;
                let provider_form = if canonical.value == named.value {
                    String::new()
                } else {
                    named.value.clone()
                };
                Ok(send::Target::Identifier {
                    named: Named {
                        identifier: canonical,
                        evidence: Evidence::Stated,
                        provider_form,
                    },
                    account_id: account.id.clone(),
                    channel: account.channel.clone(),
                })
            }
            Some(Target::CustomerId(id)) => {
                let id: CustomerId = problems::id("customer_id", id)?;
                let account_id = match asked.account_id.as_str() {
                    "" => None,
                    account => Some(self.account(tenant_id, account)?.id.clone()),
                };
                Ok(send::Target::Customer { id, account_id })
            }
        }
    }

    pub(crate) fn account(&self, tenant_id: &str, id: &str) -> Result<&Account, Problem> {
        let found = self
            .directory
            .accounts
            .get(id)
            .filter(|account| account.tenant_id == tenant_id);
        found.ok_or_else(|| {
            Problem::invalid(
                "account_id",
                "names no configured account; see `omnigate accounts list`",
            )
        })
    }
}
