//! The store port's contract: every law, proved for every implementation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod atomic;
mod build;
mod candid;
mod expiry;
mod extremes;
mod guarded;
mod model;
mod ordered;
mod separate;
mod subject;

/// Instantiates the contract for one implementation.
macro_rules! contract {
    ($name:ident, $subject:ty, [$($law:ident::$case:ident),* $(,)?]) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    use $crate::subject::Subject as _;
                    if let Some(subject) = <$subject>::start().await {
                        $crate::$law::$case(subject).await;
                    }
                }
            )*
        }
    };
}

/// Every law for every subject named.
macro_rules! contracts {
    ($($name:ident: $subject:ty),* $(,)?) => {
        $(contract!($name, $subject, [
            atomic::a_failed_expectation_writes_nothing,
            atomic::concurrent_committers_lose_nothing,
            atomic::what_was_committed_survives_a_restart,
            atomic::a_commit_sent_again_writes_once,
            atomic::a_read_is_one_instant,
            atomic::a_read_sees_what_was_committed_before,
            atomic::writes_apply_in_order,
            guarded::records,
            guarded::fields,
            guarded::members,
            guarded::every_failed_expectation_is_named,
            guarded::a_commit_without_expectations_happens,
            ordered::members_come_in_byte_order,
            ordered::bounds_and_limits,
            ordered::members_gain_and_lose_values,
            separate::shapes_of_one_key,
            separate::shards,
            separate::keys_that_begin_alike,
            separate::deleting_one_leaves_the_others,
            expiry::nothing_vanishes_early_and_all_vanishes,
            expiry::what_expired_is_absent_for_expectations,
            expiry::what_expired_starts_afresh,
            expiry::a_put_lifts_the_expiry,
            expiry::an_entry_keeps_the_expiry,
            expiry::an_emptied_map_forgets_its_expiry,
            expiry::a_new_expiry_replaces_the_old,
            expiry::nothing_absent_expires,
            expiry::what_is_put_with_its_expiry_vanishes_and_its_neighbours_stay,
            extremes::any_bytes,
            extremes::many_entries_in_one_commit,
            extremes::large_values,
            extremes::counters_stop_at_their_ends,
            extremes::nothing_asked_nothing_answered,
            candid::the_incarnation_stays_while_nothing_is_lost,
            model::random_histories,
        ]);)*
    };
}

contracts! {
    memory: crate::subject::Memory,
    sealed: crate::subject::Sealed,
    embedded: crate::subject::Embedded,
    redis: crate::subject::OnRedis,
    redis_cluster: crate::subject::OnCluster,
}
