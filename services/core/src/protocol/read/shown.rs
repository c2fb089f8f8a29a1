//! A customer as readers see it.

use super::Whole;
use crate::append::learn;
use crate::consent::ThreadWord;
use crate::details;
use crate::id::{CustomerId, ThreadId, TransactionId, hash};
use crate::identifier;
use crate::identity;
use crate::protocol::entries::{Interval, View};
use crate::retention;
use crate::time::Moment;
use crate::window::Opening;
use omnigate_proto::state::v1::{DetailsRecord, HomeRecord, Membership, MergeStep, ThreadRecord};
use omnigate_proto::v1::{
    Customer, CustomerIdentifier, Evidence, Identifier, MergedCustomer, Profile, Thread, Touchpoint,
};
use pbjson_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Whole {
    /// The customer as readers see it.
    #[must_use]
    pub fn to_customer(&self) -> Customer {
        let threads: Vec<(&Membership, &ThreadRecord)> = self.threads().collect();
        let newest = threads
            .iter()
            .map(|(_, thread)| thread.last_inbound_ms)
            .max()
            .unwrap_or(0);
        let mut by_age = threads.clone();
        by_age.sort_by_key(|(_, thread)| thread.last_inbound_ms);
        Customer {
            customer_id: self.id.to_string(),
            tenant_id: self.record.tenant_id.clone(),
            profile: newest_profile(&by_age),
            identifiers: self.identifiers().map(to_identifier).collect(),
            threads: threads
                .iter()
                .map(|(_, thread)| to_thread(&self.record.tenant_id, thread))
                .collect(),
            created_at: Some(Moment(self.record.created_at_ms).to_timestamp()),
            last_inbound_at: (newest > 0).then(|| Moment(newest).to_timestamp()),
            entry_count: self.entry_count(),
            etag: self.etag(),
            merged: self.merges().map(|step| to_merged(&step)).collect(),
            attributes: details::attributes(self.known()),
            tags: details::tags(self.known()),
        }
    }

    /// What the records say that the customer consists of.
    pub(in crate::protocol) fn known(&self) -> impl Iterator<Item = &DetailsRecord> {
        self.details.values().map(|(_, record)| record)
    }

    /// The moment of a new command on the customer's details.
    #[must_use]
    pub fn details_moment(&self, now: Moment) -> Moment {
        details::moment(self.known(), now)
    }

    /// Changes with every change of the customer.
    #[must_use]
    pub fn etag(&self) -> String {
        let encode = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let record = self.stamp.map(|stamp| encode(&stamp.0)).unwrap_or_default();
        if self.details.is_empty() {
            return record;
        }
        let stamps: Vec<&[u8]> = self.details.values().map(|(stamp, _)| stamp.0.as_slice()).collect();
        format!("{record}{}", encode(&hash("details", &stamps)[..8]))
    }

    /// Entries on the timeline, with those that came by no channel.
    fn entry_count(&self) -> u64 {
        let mut counted = BTreeSet::new();
        let members = self.record.members.iter();
        let births = members.filter(|member| counted.insert((member.home.clone(), member.birth.clone())));
        let threads = births.flat_map(|member| self.threads_of(member));
        threads.map(|(_, thread)| retention::kept(thread)).sum()
    }

    /// When each side last wrote, by channel.
    #[must_use]
    pub fn touchpoints(&self) -> Vec<Touchpoint> {
        let mut by_channel: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
        let mut last: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
        for (_, thread) in self.threads() {
            let counts = by_channel.entry(&thread.channel).or_default();
            for (count, more) in
                counts
                    .iter_mut()
                    .zip([thread.inbound_count, thread.outbound_count, retention::kept(thread)])
            {
                *count += more;
            }
            let [inbound, outbound] = last.entry(&thread.channel).or_default();
            *inbound = (*inbound).max(thread.last_inbound_ms);
            *outbound = (*outbound).max(thread.last_outbound_ms);
        }
        let both = by_channel.into_iter().zip(last.into_values());
        both.map(
            |((channel, [inbound_count, outbound_count, entry_count]), [inbound, outbound])| Touchpoint {
                channel: channel.to_owned(),
                last_inbound_at: timestamp(inbound),
                last_outbound_at: timestamp(outbound),
                inbound_count,
                outbound_count,
                entry_count,
            },
        )
        .collect()
    }

    /// Merges that made the customer what it is; each can be undone.
    pub fn merges(&self) -> impl Iterator<Item = MergeStep> {
        let steps = self.record.members.iter().flat_map(|member| &member.path);
        let by_transaction: BTreeMap<_, _> = steps.map(|step| (step.transaction.clone(), step.clone())).collect();
        by_transaction.into_values()
    }

    /// A home of the customer's as it was read.
    pub(in crate::protocol) fn home(&self, id: CustomerId) -> Option<&HomeRecord> {
        self.homes.get(&id)
    }

    /// Identifiers that are owned, without the built-in ones.
    fn identifiers(&self) -> impl Iterator<Item = &Membership> {
        let held = self.record.members.iter().filter(|member| identity::is_held(member));
        held.filter(|member| {
            member
                .identifier
                .as_ref()
                .is_none_or(|identifier| identity::built_in_of(identifier).is_none())
        })
    }

    /// Threads, each with the identifier that it is of.
    pub(in crate::protocol) fn threads(&self) -> impl Iterator<Item = (&Membership, &ThreadRecord)> {
        self.identifiers().flat_map(|member| self.threads_of(member))
    }

    fn threads_of<'a>(&'a self, member: &'a Membership) -> impl Iterator<Item = (&'a Membership, &'a ThreadRecord)> {
        let home = CustomerId::from_bytes(&member.home).and_then(|id| self.homes.get(&id));
        let threads = home.map(|home| home.threads.as_slice()).unwrap_or_default();
        let of_member = threads.iter().filter(move |thread| thread.birth == member.birth);
        of_member.map(move |thread| (member, thread))
    }

    /// The identifiers that are owned.
    pub fn owned(&self) -> impl Iterator<Item = &Identifier> {
        self.identifiers().filter_map(|member| member.identifier.as_ref())
    }

    /// What was refused in the threads of an identifier on a channel, through one account or any.
    #[must_use]
    pub fn thread_words(&self, identifier: &Identifier, channel: &str, account_id: &str) -> Vec<ThreadWord> {
        let of_identifier = self.threads().filter(|(member, thread)| {
            let through = account_id.is_empty() || thread.account_id == account_id;
            member.identifier.as_ref() == Some(identifier) && thread.channel == channel && through
        });
        let words = of_identifier.map(|(_, thread)| ThreadWord {
            account_id: thread.account_id.clone(),
            refused: thread.refused.clone(),
        });
        words.collect()
    }

    /// The intervals of births that are this customer's, by home.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        let mut views: BTreeMap<CustomerId, Vec<Interval>> = BTreeMap::new();
        for member in &self.record.members {
            if let (Some(home), Some(interval)) = (CustomerId::from_bytes(&member.home), Interval::of(member)) {
                views.entry(home).or_default().push(interval);
            }
        }
        let views = views.into_iter();
        views
            .map(|(home, intervals)| View {
                home,
                intervals,
                account_id: None,
            })
            .collect()
    }
}

fn newest_profile(by_age: &[(&Membership, &ThreadRecord)]) -> Option<Profile> {
    let mut whole: Option<Profile> = None;
    for said in by_age.iter().filter_map(|(_, thread)| thread.profile.as_ref()) {
        learn(whole.get_or_insert_default(), said);
    }
    whole
}

fn to_merged(step: &MergeStep) -> MergedCustomer {
    let of = CustomerId::from_bytes(&step.loser);
    let by = TransactionId::from_bytes(&step.transaction);
    MergedCustomer {
        customer_id: of.map(|id| id.to_string()).unwrap_or_default(),
        merge_id: by.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn to_identifier(member: &Membership) -> CustomerIdentifier {
    CustomerIdentifier {
        identifier: member.identifier.clone(),
        evidence: member.evidence.max(Evidence::Stated.into()),
        provider_form: member.provider_form.clone(),
        since: Some(Moment(member.since_ms).to_timestamp()),
    }
}

fn timestamp(ms: i64) -> Option<Timestamp> {
    (ms > 0).then(|| Moment(ms).to_timestamp())
}

fn to_thread(tenant_id: &str, thread: &ThreadRecord) -> Thread {
    let peer = thread.peer.clone().unwrap_or_default();
    Thread {
        thread_id: ThreadId::new(identifier::key(tenant_id, &peer), &thread.account_id).to_string(),
        account_id: thread.account_id.clone(),
        channel: thread.channel.clone(),
        peer: Some(peer),
        thread_seq: thread.thread_seq,
        last_inbound_at: timestamp(thread.last_inbound_ms),
        last_outbound_at: timestamp(thread.last_outbound_ms),
        last_inbound_provider_message_id: thread.last_inbound_provider_message_id.clone(),
        reachable: !thread.unreachable,
        pending: u32::try_from(thread.chain.len()).unwrap_or(u32::MAX),
        // The account's rule says how it stands; here is what it counts from.
        reply_window: Opening::of(thread).shown(),
        refused_topics: thread
            .refused
            .iter()
            .map(|refused| refused.topic.clone())
            .filter(|topic| !topic.is_empty())
            .collect(),
    }
}
