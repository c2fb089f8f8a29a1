//! What stays on a timeline when more comes than is kept.

use crate::external::push_all;
use crate::identity::at_kiosk;
use crate::outbound::message;
use crate::{KIOSK, World};
use anyhow::ensure;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{Event, Evidence, GetEntryRequest, IdentifierEvidence};
use omnigate_rpc::error::reason;
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::{arrived, customer_of, timeline, words};
use omnigate_tests::wait;
use tonic::Code;

/// Most entries of a home: more than any other scene writes.
const MOST: usize = 500;
/// Messages that are written here.
const WRITTEN: usize = 520;

pub(crate) fn configure(keys: &mut Keys) {
    keys.insert("timeline.max_entries".to_owned(), MOST.to_string());
}

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    let peer = at_kiosk("talkative");
    let event = |number: usize| Event {
        account_id: KIOSK.to_owned(),
        peer: Some(peer.clone()),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(peer.clone()),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        provider_message_id: format!("talk-{number}"),
        kind: Some(Kind::Message(message(&format!("{number}")))),
        ..Event::default()
    };
    push_all(world, vec![event(0)]).await?;
    let customer = arrived(&world.connection, &peer).await?;
    let first = timeline(&world.connection, &customer.customer_id).await?;
    ensure!(first.len() == 1, "{first:?}");
    push_all(world, (1..WRITTEN).map(event).collect()).await?;
    wait::until("a timeline that is trimmed", async || {
        let customer = customer_of(&world.connection, peer.clone()).await?.unwrap_or_default();
        let count = customer.entry_count;
        let entries = timeline(&world.connection, &customer.customer_id).await?;
        let newest = entries.last().map(words);
        let is_there = newest.as_deref() == Some(&format!("{}", WRITTEN - 1));
        Ok((is_there && count == MOST as u64 && entries.len() == MOST)
            .then_some(())
            .ok_or((count, entries.len(), newest)))
    })
    .await?;
    let asked = GetEntryRequest {
        entry_id: first[0].entry_id.clone(),
    };
    let Err(refused) = world.connection.timelines().get_entry(asked).await else {
        anyhow::bail!("the oldest entry is there");
    };
    ensure!(
        refused.code() == Code::NotFound && reason(&refused).as_deref() == Some("ENTRY_TRIMMED"),
        "{refused:?}"
    );
    Ok(())
}
