//! `omnigate explain`

use super::{entry, print, remote, send};
use crate::cli::{Explain, Output};
use omnigate_proto::v1::{Delivery, ExplainMessageRequest};

/// Runs it.
pub async fn run(arguments: &Explain) -> anyhow::Result<u8> {
    let connection = remote::open(&arguments.remote).await?;
    let asked = ExplainMessageRequest {
        message_id: arguments.id.clone(),
    };
    let story = connection
        .messages()
        .explain_message(asked)
        .await
        .map_err(remote::refused)?
        .into_inner();
    if arguments.remote.output == Output::Json {
        print::json(&story)?;
        return Ok(0);
    }
    let mut head = vec![story.message_id.clone()];
    if story.message_id.starts_with("msg_") {
        head = told(&send::get(&connection, &story.message_id).await?);
    }
    if let Some(first) = head.first_mut() {
        *first += &format!("  trace {}", story.trace_id);
    }
    head.iter().for_each(|line| print::line(&print::printable(line)));
    print::all(
        Output::Table,
        &story.steps,
        &["WHEN (UTC)", "ROLE", "WHAT", "DETAIL"],
        |step| {
            vec![
                print::time(step.at.as_ref()),
                step.role.clone(),
                step.what.clone(),
                step.detail.clone(),
            ]
        },
    )?;
    Ok(0)
}

/// How the message stands, what it says, and what went out in its place.
fn told(delivery: &Delivery) -> Vec<String> {
    let mut lines = vec![send::told(delivery)];
    if let Some(message) = &delivery.message {
        lines.push(format!("message: {}", entry::message_text(message)));
    }
    if delivery.alternative_used {
        let instead = delivery
            .message
            .as_ref()
            .and_then(|message| message.alternative.as_ref());
        let template = instead.and_then(|instead| instead.template.as_ref());
        let id = template.map_or("", |template| template.template_id.as_str());
        lines.push(format!("sent in its place: template {id}"));
    }
    if let Some(error) = &delivery.error {
        let mut why = format!("because: {}", error.text);
        if !error.provider_code.is_empty() {
            why += &format!(" (the provider's code {})", error.provider_code);
        }
        lines.push(why);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{Alternative, DeliveryState, ErrorClass, Message, SendError, TemplateRef};

    #[test]
    fn alternatives_and_refusals_are_told() {
        let message = Message {
            alternative: Some(Alternative {
                template: Some(TemplateRef {
                    template_id: "300001".to_owned(),
                    ..TemplateRef::default()
                }),
                phone: String::new(),
            }),
            ..Message::default()
        };
        let sent = Delivery {
            message_id: "msg_1".to_owned(),
            state: DeliveryState::Accepted.into(),
            message: Some(message),
            alternative_used: true,
            ..Delivery::default()
        };
        let lines = told(&sent);
        assert_eq!(lines[0], "msg_1 ACCEPTED as its alternative");
        assert_eq!(lines[2], "sent in its place: template 300001");
        let refused = Delivery {
            state: DeliveryState::Skipped.into(),
            message: None,
            alternative_used: false,
            error: Some(SendError {
                class: ErrorClass::Policy.into(),
                text: "the peer opted out of marketing".to_owned(),
                provider_code: "-213".to_owned(),
                ..SendError::default()
            }),
            ..sent
        };
        let lines = told(&refused);
        assert!(lines[0].starts_with("msg_1 SKIPPED (POLICY:"), "{lines:?}");
        assert_eq!(
            lines[1],
            "because: the peer opted out of marketing (the provider's code -213)"
        );
    }
}
