//! A customer who is watched, through merges and splits.

use crate::Api;
use omnigate_core::identifier;
use omnigate_core::identity::is_held;
use omnigate_proto::v1::CustomerEvent;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_rpc::error::Problem;
use std::collections::BTreeSet;

/// Whose entries are shown.
pub(crate) struct Watched {
    api: Api,
    tenant_id: String,
    customer_id: String,
    /// Records that the customer consists of.
    homes: BTreeSet<String>,
    /// Identifiers that the customer owns.
    peers: BTreeSet<String>,
}

impl Watched {
    /// Watches a customer, by present or former id.
    pub(crate) async fn new(api: Api, tenant_id: String, customer_id: String) -> Result<Self, Problem> {
        let mut watched = Self {
            api,
            tenant_id,
            customer_id,
            homes: BTreeSet::new(),
            peers: BTreeSet::new(),
        };
        watched.look().await?;
        Ok(watched)
    }

    async fn look(&mut self) -> Result<(), Problem> {
        let whole = self.api.whole_customer(&self.tenant_id, &self.customer_id).await?;
        self.homes = whole.views().iter().map(|view| view.home.to_string()).collect();
        self.homes.insert(whole.id.to_string());
        let held = whole.record.members.iter().filter(|member| is_held(member));
        self.peers = held
            .filter_map(|member| member.identifier.as_ref())
            .map(identifier::text)
            .collect();
        Ok(())
    }

    /// Looks again where the event may have changed who the customer is; true when it has.
    pub(crate) async fn follow(&mut self, event: &CustomerEvent) -> Result<bool, Problem> {
        let other = match &event.kind {
            Some(Kind::IdentifierAttached(_)) => "",
            Some(Kind::CustomerMerged(merged)) => &merged.merged_customer_id,
            Some(Kind::CustomerSplit(split)) => &split.split_customer_id,
            _ => return Ok(false),
        };
        if !self.homes.contains(&event.customer_id) && !self.homes.contains(other) {
            return Ok(false);
        }
        let before = self.peers.clone();
        self.look().await?;
        Ok(before != self.peers)
    }

    /// True for an event of a thread of the customer.
    pub(crate) fn shows(&self, event: &CustomerEvent) -> bool {
        let Some(Kind::EntryAdded(added)) = &event.kind else {
            return false;
        };
        let peer = added
            .entry
            .as_ref()
            .and_then(|entry| entry.event.as_ref()?.peer.as_ref());
        peer.is_some_and(|peer| self.peers.contains(&identifier::text(peer)))
    }
}
