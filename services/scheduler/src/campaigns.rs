//! Campaigns of one group of shards: each is driven on when its timer fires, and its buckets are looked at when theirs do.
//!
//! Driving may take seconds while recipients are written down, so it happens beside the rounds, which go on finding what is
//! due; campaigns of a group take turns.

use crate::shared::Shared;
use omnigate_core::{
    campaign::{ledger::Recovery, place::Bucket},
    id::CampaignId,
    protocol::{
        campaign::{self, ByAudience},
        publish,
    },
    time::Moment,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Campaigns that wait for their turn; of more the timers fire again.
const MOST_WAITING: usize = 1_000;

/// The campaigns of one group in the hands of this process.
pub(crate) struct Campaigns {
    shared: Arc<Shared>,
    chooser: ByAudience,
    turns: Mutex<Turns>,
    fired: Notify,
}

/// Whose turn it is.
#[derive(Default)]
struct Turns {
    order: VecDeque<CampaignId>,
    /// When the timers were due that fired, by campaign.
    waiting: BTreeMap<CampaignId, BTreeSet<Moment>>,
    /// The campaign that is being driven.
    driven: Option<CampaignId>,
}

impl Turns {
    /// The timers of the one that is being driven are taken along if they still stand then.
    fn note(&mut self, id: CampaignId, due: Moment) -> bool {
        let is_new = !self.waiting.contains_key(&id);
        if self.driven == Some(id) || (is_new && self.waiting.len() >= MOST_WAITING) {
            return false;
        }
        if is_new {
            self.order.push_back(id);
        }
        self.waiting.entry(id).or_default().insert(due);
        true
    }

    fn next(&mut self) -> Option<(CampaignId, BTreeSet<Moment>)> {
        let id = self.order.pop_front()?;
        self.driven = Some(id);
        Some((id, self.waiting.remove(&id).unwrap_or_default()))
    }
}

impl Campaigns {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            chooser: ByAudience {
                schema: Arc::clone(&shared.settings.schema),
            },
            shared,
            turns: Mutex::default(),
            fired: Notify::new(),
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timer of a campaign fired: it has its turn.
    pub(crate) fn note(&self, id: CampaignId, due: Moment) {
        if self.turns().note(id, due) {
            self.fired.notify_one();
        }
    }

    /// Drives campaigns until stopped. What is under way then is left where it is: whoever comes next goes on.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let next = self.turns().next();
            let turn = async {
                match next {
                    Some((id, due)) => self.drive(id, &due).await,
                    None => self.fired.notified().await,
                }
            };
            stop.run_until_cancelled(turn).await;
            self.turns().driven = None;
        }
    }

    async fn drive(&self, id: CampaignId, due: &BTreeSet<Moment>) {
        let (metrics, environment) = (&self.shared.metrics, self.shared.settings.environment.as_str());
        metrics.fired();
        if let Err(error) = campaign::wake(&self.shared.context(), id, due, &self.chooser, environment).await {
            metrics.failed();
            tracing::warn!(campaign = %id, %error, "campaign not driven, the timer fires again");
        }
    }

    /// Looks at a bucket whose timer fired, and hints it where somebody in it may be written to.
    pub(crate) async fn look(&self, bucket: Bucket, due: Moment) {
        let metrics = &self.shared.metrics;
        metrics.fired();
        let looked = match campaign::look(&self.shared.context(), bucket, due, recovery).await {
            Ok(looked) => looked,
            Err(error) => {
                metrics.failed();
                let (shard, number) = (bucket.shard, bucket.number);
                tracing::warn!(%shard, number, %error, "recipients not looked at, the timer fires again");
                return;
            }
        };
        // Where an account is gone its recipients are looked at again, and lapse with the campaign.
        let known = &self.shared.directory.accounts;
        let accounts: Vec<&String> = looked.accounts.iter().filter(|id| known.contains_key(*id)).collect();
        accounts.iter().for_each(|_| metrics.hinted());
        let hints = accounts.iter().map(|account| (account.as_str(), bucket));
        if let Err(error) = publish::hint_buckets(self.shared.broker.as_ref(), hints).await {
            tracing::warn!(%error, "hint was not confirmed, the timer fires again");
        }
    }
}

/// What a provider makes of a repeated send key is known to edges alone, so that nobody repeats by key here: what was lost is
/// repeated where the campaign says so, and else UNKNOWN.
const fn recovery(_account_id: &str) -> Recovery {
    Recovery::InTheDark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CampaignId {
        CampaignId([number; 16])
    }

    #[test]
    fn campaigns_take_turns_and_their_timers_go_together() {
        let mut turns = Turns::default();
        assert!(turns.note(id(1), Moment(1)) && turns.note(id(2), Moment(1)) && turns.note(id(1), Moment(2)));
        assert_eq!(turns.next(), Some((id(1), BTreeSet::from([Moment(1), Moment(2)]))));
        assert!(!turns.note(id(1), Moment(1)), "it is being driven");
        assert_eq!(turns.next(), Some((id(2), BTreeSet::from([Moment(1)]))));
        assert!(turns.note(id(1), Moment(3)));
        assert_eq!(turns.next(), Some((id(1), BTreeSet::from([Moment(3)]))));
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut turns = Turns::default();
        for number in 0..MOST_WAITING {
            let mut one = id(0);
            one.0[..8].copy_from_slice(&number.to_be_bytes());
            assert!(turns.note(one, Moment(1)));
        }
        assert!(!turns.note(id(255), Moment(1)));
        let first = turns.order[0];
        assert!(turns.note(first, Moment(2)), "it waits already");
    }
}
