//! `omnigate explain`

use super::{print, remote, send};
use crate::cli::{Explain, Output};
use omnigate_proto::v1::ExplainMessageRequest;

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
    let mut head = story.message_id.clone();
    if head.starts_with("msg_") {
        head = send::told(&send::get(&connection, &head).await?);
    }
    print::line(&format!("{}  trace {}", print::printable(&head), story.trace_id));
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
