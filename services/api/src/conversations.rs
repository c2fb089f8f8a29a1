//! ConversationService: what has to be done for customers.

mod command;

use crate::{Api, problems};
use omnigate_core::conversation::Command;
use omnigate_core::id::ConversationId;
use omnigate_core::protocol::conversation::{self, Filter};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    AssignConversationRequest, AssignConversationResponse, ConversationStatus, CreateConversationRequest,
    CreateConversationResponse, GetConversationRequest, GetConversationResponse, JoinThreadRequest, JoinThreadResponse,
    LeaveThreadRequest, LeaveThreadResponse, ListConversationsRequest, ListConversationsResponse,
    SetConversationStatusRequest, SetConversationStatusResponse, UpdateConversationRequest, UpdateConversationResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::conversation_service_server::ConversationService;
use prost::Message as _;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ConversationService for Api {
    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id: ConversationId = problems::id("conversation_id", &request.into_inner().conversation_id)?;
        let found = conversation::get(&self.context(), &tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let found = found.ok_or_else(|| problems::conversation(&conversation::NotDone::NoSuchConversation))?;
        Ok(Response::new(GetConversationResponse {
            conversation: Some(found),
        }))
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(
            self.conversations(&tenant_id, request.into_inner()).await?,
        ))
    }

    async fn create_conversation(
        &self,
        request: Request<CreateConversationRequest>,
    ) -> Result<Response<CreateConversationResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let created = self.create_conversation_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(CreateConversationResponse {
            conversation: Some(created),
        }))
    }

    async fn assign_conversation(
        &self,
        request: Request<AssignConversationRequest>,
    ) -> Result<Response<AssignConversationResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let body = request.encode_to_vec();
        if let Some(assignee) = &mut request.assignee {
            command::check_assignee(assignee)?;
        }
        let assign = Command::Assign {
            assignee: request.assignee,
            expected: request.expected_assignee_id,
            etag: request.etag,
        };
        let asked = (request_id, "assign conversation", body);
        let changed = self.change_conversation(&tenant_id, &request.conversation_id, asked, assign);
        Ok(Response::new(AssignConversationResponse {
            conversation: Some(changed.await?),
        }))
    }

    async fn update_conversation(
        &self,
        request: Request<UpdateConversationRequest>,
    ) -> Result<Response<UpdateConversationResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let body = request.encode_to_vec();
        command::check_tags("add_tags", &request.add_tags)?;
        let update = Command::Update {
            priority: request.priority(),
            add: request.add_tags,
            remove: request.remove_tags,
            etag: request.etag,
        };
        let asked = (request_id, "update conversation", body);
        let changed = self.change_conversation(&tenant_id, &request.conversation_id, asked, update);
        Ok(Response::new(UpdateConversationResponse {
            conversation: Some(changed.await?),
        }))
    }

    async fn set_conversation_status(
        &self,
        request: Request<SetConversationStatusRequest>,
    ) -> Result<Response<SetConversationStatusResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let body = request.encode_to_vec();
        let asked = (request_id, "set conversation status", body);
        let until = match command::until(&request, self.ports.clock.now()) {
            Ok(until) => until,
            // A moment that lay ahead when it was asked for: the same request gives the same answer.
            Err(_) if self.was_asked(&tenant_id, &asked).await? => Moment(0),
            Err(problem) => return Err(problem.into()),
        };
        let set = Command::SetStatus {
            status: request.status(),
            until,
            etag: request.etag,
        };
        let changed = self.change_conversation(&tenant_id, &request.conversation_id, asked, set);
        Ok(Response::new(SetConversationStatusResponse {
            conversation: Some(changed.await?),
        }))
    }

    async fn join_thread(&self, request: Request<JoinThreadRequest>) -> Result<Response<JoinThreadResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = (request_id, "join thread", request.encode_to_vec());
        let place = (request.conversation_id.as_str(), request.thread_id.as_str());
        let changed = self.move_thread(&tenant_id, place, asked, command::Way::Join).await?;
        Ok(Response::new(JoinThreadResponse {
            conversation: Some(changed),
        }))
    }

    async fn leave_thread(
        &self,
        request: Request<LeaveThreadRequest>,
    ) -> Result<Response<LeaveThreadResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = (request_id, "leave thread", request.encode_to_vec());
        let place = (request.conversation_id.as_str(), request.thread_id.as_str());
        let changed = self.move_thread(&tenant_id, place, asked, command::Way::Leave).await?;
        Ok(Response::new(LeaveThreadResponse {
            conversation: Some(changed),
        }))
    }
}

impl Api {
    async fn conversations(
        &self,
        tenant_id: &str,
        mut request: ListConversationsRequest,
    ) -> Result<ListConversationsResponse, Problem> {
        let size = page::size(std::mem::take(&mut request.page_size))?;
        let page_token = std::mem::take(&mut request.page_token);
        // Everything else decides what is listed.
        let wanted = request.encode_to_vec();
        let query: [&[u8]; 3] = [b"conversations", tenant_id.as_bytes(), &wanted];
        let after = self.tokens.cursor(&query, &page_token)?;
        let after = after.and_then(|cursor| ConversationId::from_bytes(&cursor));
        let filter = filter(&request)?;
        let context = self.context();
        let page = if request.customer_id.is_empty() {
            conversation::of_tenant(&context, tenant_id, &filter, after, size).await
        } else {
            let whole = self.whole_customer(tenant_id, &request.customer_id).await?;
            conversation::of_customer(&context, &whole, &filter, after, size).await
        };
        let page = page.map_err(|error| problems::store(&error))?;
        let next = page.next.map(|id| self.tokens.token(&query, &id.0));
        Ok(ListConversationsResponse {
            conversations: page.conversations,
            next_page_token: next.unwrap_or_default(),
        })
    }
}

fn filter(request: &ListConversationsRequest) -> Result<Filter, Problem> {
    let statuses: Vec<ConversationStatus> = request.statuses().collect();
    if statuses.contains(&ConversationStatus::Unspecified) {
        return Err(Problem::invalid("statuses", "names a status that does not exist"));
    }
    if request.unassigned && !request.assignee_id.is_empty() {
        return Err(Problem::invalid(
            "unassigned",
            "is not possible together with assignee_id",
        ));
    }
    if request.customer_id.is_empty() && statuses.contains(&ConversationStatus::Closed) {
        return Err(Problem::invalid(
            "statuses",
            "closed conversations are listed by customer: set customer_id",
        ));
    }
    let by_assignee = request.unassigned || !request.assignee_id.is_empty();
    Ok(Filter {
        statuses,
        assignee_id: by_assignee.then(|| request.assignee_id.clone()),
        tag: Some(request.tag.clone()).filter(|tag| !tag.is_empty()),
    })
}
