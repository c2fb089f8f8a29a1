//! Sends a template to those who test, as any other message.

use super::ready;
use crate::Api;
use crate::customers::canonical_of;
use omnigate_core::id::hash;
use omnigate_core::identifier;
use omnigate_core::template::{Recipient, Refusal};
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{Delivery, SendMessageRequest, TestSendRequest, Writer, WriterKind};
use omnigate_rpc::error::Problem;
use omnigate_rpc::trace;
use prost::Message as _;

impl Api {
    pub(super) async fn send_test(&self, tenant_id: &str, mut request: TestSendRequest) -> Result<Delivery, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let body_hash = hash("test send", &[&request.encode_to_vec()]);
        let recipient = canonical_of(&request.recipient.clone().unwrap_or_default(), "recipient")?;
        let context = self.context();
        let rules = context.tenants.of(tenant_id);
        if !rules.test_recipients.contains(&identifier::text(&recipient)) {
            let why = "the recipient is none of the tenant's test_recipients in the configuration";
            return Err(Problem::denied("NOT_A_TEST_RECIPIENT", why));
        }
        let account = self.account(tenant_id, &request.account_id)?;
        let version = self
            .template_version(tenant_id, &request.template_id, request.version)
            .await?;
        if version.is_archived() {
            let why = "the template is archived";
            return Err(Problem::failed_precondition("TEMPLATE_ARCHIVED", why));
        }
        let writer = Writer {
            kind: WriterKind::System.into(),
            id: format!("test/{}/{}", version.id, version.number),
            display_name: "Test".to_owned(),
        };
        let ready = ready(version.version.definition.unwrap_or_default())?;
        let values = match request.use_samples {
            true => ready.with_samples(&request.values),
            false => request.values,
        };
        let recipient_of_words = Recipient {
            locale: match request.locale.as_str() {
                "" => &rules.locale,
                locale => locale,
            },
            zone: &self.zone(tenant_id, &request.time_zone)?,
            values: &values,
        };
        let rendered = ready.render(&account.channel, recipient_of_words, &rules.locale);
        let mut message = rendered.map_err(|refusal| refused(&refusal))?.message;
        message.writer = Some(writer);
        let asked = SendMessageRequest {
            request_id,
            target: Some(Target::Identifier(recipient)),
            account_id: account.id.clone(),
            message: Some(message),
            ..SendMessageRequest::default()
        };
        let trace = trace::next(trace::current());
        let mut accepted = self.checked(tenant_id.to_owned(), asked, &trace)?;
        // What was asked for, not what became of it: the newest version may be another one when this is repeated.
        accepted.body_hash = body_hash;
        self.accept(accepted).await
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let problem = Problem::failed_precondition(refusal.reason(), refusal.to_string());
    match refusal.variable() {
        "" => problem,
        variable => problem.with("variable", variable),
    }
}
