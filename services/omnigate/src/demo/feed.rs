//! What takes effect, printed as it comes.

use crate::commands::{entry, print, remote};
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::{CustomerEvent, SubscribeRequest};
use omnigate_rpc::client::Connection;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the feed waits for the last events.
const LAST: Duration = Duration::from_millis(500);

/// The running feed.
pub(super) struct Feed {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Subscribes and prints.
pub(super) async fn start(connection: &Connection) -> anyhow::Result<Feed> {
    let asked = SubscribeRequest {
        from_oldest: true,
        ..SubscribeRequest::default()
    };
    let mut events = connection
        .events()
        .subscribe(asked)
        .await
        .map_err(remote::refused)?
        .into_inner();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                next = events.message() => match next {
                    Ok(Some(response)) => tell(response.event.as_ref()),
                    Ok(None) | Err(_) => return,
                },
                () = stopped.cancelled() => return,
            }
        }
    });
    Ok(Feed { stop, task })
}

impl Feed {
    /// Prints what is still on its way, then ends.
    pub(super) async fn stop(self) {
        tokio::time::sleep(LAST).await;
        self.stop.cancel();
        if self.task.await.is_err() {
            print::aside("the feed ended early");
        }
    }
}

fn tell(event: Option<&CustomerEvent>) {
    let Some(event) = event else {
        return;
    };
    let short: String = event
        .customer_id
        .chars()
        .rev()
        .take(6)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let text = match &event.kind {
        Some(Kind::CustomerCreated(_)) => "new customer".to_owned(),
        Some(Kind::IdentifierAttached(attached)) => {
            let named = attached.identifier.as_ref().and_then(|named| named.identifier.as_ref());
            format!(
                "known as {}",
                named.map(omnigate_core::identifier::text).unwrap_or_default()
            )
        }
        Some(Kind::EntryAdded(added)) => added.entry.as_ref().map(entry::one_line).unwrap_or_default(),
        Some(Kind::DeliveryChanged(changed)) => {
            let delivery = changed.delivery.clone().unwrap_or_default();
            let why = delivery
                .error
                .as_ref()
                .map(|error| format!(" ({})", error.text))
                .unwrap_or_default();
            format!("{} {}{why}", delivery.message_id, delivery.state().as_str_name())
        }
        Some(Kind::CustomerMerged(merged)) => format!("is one with {}", merged.merged_customer_id),
        Some(Kind::CustomerSplit(split)) => format!("is apart from {}", split.split_customer_id),
        Some(Kind::ConversationChanged(changed)) => format!("conversation {}", changed.changed.join(", ")),
        None => return,
    };
    print::line(&format!("  …{short}  {}", print::printable(&text)));
}
