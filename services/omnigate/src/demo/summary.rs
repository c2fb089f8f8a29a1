//! What the demo showed.

use super::channels::Joined;
use super::story::{BURST, Played};
use crate::commands::{customers, entry, print};
use omnigate_proto::v1::{Delivery, ListEntriesRequest};
use omnigate_rpc::client::Connection;
use omnigate_sandbox::telegram::TelegramHandle;

/// Entries shown of a long timeline.
const SHOWN: usize = 12;

/// What was played and what came of it.
pub(super) fn played(sandbox: &TelegramHandle, played: &Played) {
    let counters = sandbox.counters();
    print::line("\nsummary");
    print::line(&format!(
        "  updates Telegram delivered to the shop's webhook: {}",
        counters.delivered
    ));
    print::line(&format!(
        "  the update that came twice was answered {} and changed nothing",
        played.twice
    ));
    print::line(&format!(
        "  the forged request was answered {} and left no trace",
        played.forged
    ));
    print::line(&format!(
        "  messages the shop's bot sent: {}, sent twice: {}",
        counters.sent, counters.repeated
    ));
    print::line(&format!("  a burst of {BURST} messages arrived in order"));
    print::line("  our answers (Telegram has no receipts: SENT is as far as it goes):");
    for delivery in &played.deliveries {
        told("", delivery);
    }
}

/// What came of the same person on three channels.
pub(super) fn joined(joined: &Joined) {
    let mut channels: Vec<&str> = joined
        .customer
        .threads
        .iter()
        .map(|thread| thread.channel.as_str())
        .collect();
    channels.sort_unstable();
    channels.dedup();
    print::line(&format!(
        "  one customer, {} channels ({}), one timeline: {}",
        channels.len(),
        channels.join(", "),
        joined.customer.customer_id
    ));
    print::line(&format!(
        "  the SMS that came in {} pieces is one message",
        joined.pieces
    ));
    print::line(&format!("  confirmations of the opt-out: {}", joined.confirmations));
    print::line("  our answers on Zalo and by SMS (both have receipts):");
    for (what, delivery) in &joined.deliveries {
        told(&format!("{what}: "), delivery);
    }
}

fn told(what: &str, delivery: &Delivery) {
    let state = delivery.state().as_str_name().trim_start_matches("DELIVERY_STATE_");
    let instead = if delivery.alternative_used {
        " as its alternative"
    } else {
        ""
    };
    let why = delivery
        .error
        .as_ref()
        .map(|error| format!(", {}", error.text))
        .unwrap_or_default();
    print::line(&format!(
        "    {what}{} {state}{instead}, {} piece(s), {} attempt(s){why}",
        delivery.message_id,
        delivery.pieces.len(),
        delivery.attempts
    ));
}

/// Everybody's timeline.
pub(super) async fn timelines(connection: &Connection) -> anyhow::Result<()> {
    let mut known = customers::list(connection, 1000, "").await?;
    known.sort_by_key(customers::name);
    for customer in known {
        let name = print::printable(&customers::name(&customer));
        print::line(&format!(
            "\n{name}  {}  {} entries",
            customer.customer_id, customer.entry_count
        ));
        let entries = customers::newest(
            connection,
            customer.customer_id,
            &ListEntriesRequest::default(),
            usize::MAX,
        )
        .await?;
        let hidden = entries.len().saturating_sub(SHOWN);
        if hidden > 0 {
            print::line(&format!("  … {hidden} earlier"));
        }
        for entry in entries.iter().take(SHOWN).rev() {
            print::line(&format!("  {}", print::printable(&entry::one_line(entry))));
        }
    }
    Ok(())
}
