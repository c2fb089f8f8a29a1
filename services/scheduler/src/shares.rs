//! Which of the things that schedulers share are ours: a fair share, each under a lease.

use omnigate_core::{
    lease::share,
    protocol::{
        Context,
        lease::{self, COMMON, LeaseError, Wish},
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Things that schedulers share, numbered from 0.
pub(crate) struct Pool {
    /// Name of the group of processes that share them.
    pub(crate) members: &'static str,
    /// How many there are.
    pub(crate) count: u16,
    /// Name of the lease of each.
    pub(crate) lease: Box<dyn Fn(u16) -> String + Send + Sync>,
}

/// Our share.
pub(crate) struct Shares {
    pool: Pool,
    owner: String,
    ttl: Duration,
    held: BTreeMap<u16, Holding>,
}

/// One of them that is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ours {
    pub(crate) number: u16,
    /// Fencing number of its lease.
    pub(crate) epoch: u64,
    /// Under which we hold it.
    pub(crate) owner: String,
    /// When it is ours no more unless prolonged; never later than the store's.
    pub(crate) ends: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    epoch: u64,
    /// Counted from before it was asked for, so never later than the store's.
    ends: Instant,
}

impl Shares {
    pub(crate) const fn new(pool: Pool, owner: String, ttl: Duration) -> Self {
        Self {
            pool,
            owner,
            ttl,
            held: BTreeMap::new(),
        }
    }

    /// What is ours at this moment.
    pub(crate) fn held(&self) -> Vec<Ours> {
        let now = Instant::now();
        let ours = self.held.iter().filter(|(_, holding)| holding.ends > now);
        ours.map(|(number, holding)| Ours {
            number: *number,
            epoch: holding.epoch,
            owner: self.owner.clone(),
            ends: holding.ends,
        })
        .collect()
    }

    /// Prolongs what is ours and says what should be given back, because others have too little; then takes what is missing
    /// to our share.
    pub(crate) async fn balance(&mut self, context: &Context<'_>) -> Result<Vec<u16>, LeaseError> {
        lease::join(context, self.pool.members, &self.owner, self.ttl).await?;
        self.renew(context).await?;
        let members = lease::members(context, self.pool.members).await?;
        let held: Vec<u16> = self.held.keys().copied().collect();
        let shares = share(&held, self.pool.count, &members, &self.owner);
        let mut wanted = shares.wanted;
        for group in shares.order {
            if wanted == 0 {
                break;
            }
            wanted -= usize::from(self.take(context, group).await?);
        }
        Ok(shares.release)
    }

    async fn renew(&mut self, context: &Context<'_>) -> Result<(), LeaseError> {
        for (group, holding) in self.held.clone() {
            let (name, asked) = ((self.pool.lease)(group), Instant::now());
            match lease::renew(context, self.wish(&name), holding.epoch, self.ttl).await {
                Ok(_) => {
                    let ends = asked + self.ttl;
                    self.held.insert(group, Holding { ends, ..holding });
                }
                Err(LeaseError::Lost(_)) => {
                    tracing::warn!(group, "share lost");
                    self.held.remove(&group);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn take(&mut self, context: &Context<'_>, group: u16) -> Result<bool, LeaseError> {
        let (name, asked) = ((self.pool.lease)(group), Instant::now());
        match lease::acquire(context, self.wish(&name), self.ttl).await {
            Ok(held) => {
                let ends = asked + self.ttl;
                self.held.insert(
                    group,
                    Holding {
                        epoch: held.epoch,
                        ends,
                    },
                );
                Ok(true)
            }
            Err(LeaseError::Held { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives something back whose work has ended.
    pub(crate) async fn release(&mut self, context: &Context<'_>, group: u16) -> Result<(), LeaseError> {
        if let Some(holding) = self.held.remove(&group) {
            lease::release(context, self.wish(&(self.pool.lease)(group)), holding.epoch).await?;
        }
        Ok(())
    }

    /// Gives everything back.
    pub(crate) async fn leave(&mut self, context: &Context<'_>) -> Result<(), LeaseError> {
        for group in self.held.keys().copied().collect::<Vec<_>>() {
            self.release(context, group).await?;
        }
        lease::leave(context, self.pool.members, &self.owner).await
    }

    fn wish<'a>(&'a self, name: &'a str) -> Wish<'a> {
        Wish {
            shard: COMMON,
            name,
            owner: &self.owner,
            address: "",
        }
    }
}
