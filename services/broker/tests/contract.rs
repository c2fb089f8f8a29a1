//! The laws of the broker port, each proved on every broker.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails that way"
)]

#[path = "contract/logs.rs"]
mod logs;
#[path = "contract/moves.rs"]
mod moves;
#[path = "contract/queues.rs"]
mod queues;
#[path = "contract/rig.rs"]
#[expect(dead_code, reason = "the tests of faults use more of it")]
mod rig;

macro_rules! contract {
    ($($module:ident: $($law:ident)+;)+) => {
        contract! { @on embedded $($module: $($law)+;)+ }
        contract! { @on rabbitmq $($module: $($law)+;)+ }
    };
    (@on $broker:ident $($module:ident: $($law:ident)+;)+) => {
        mod $broker {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    let Some(rig) = crate::rig::Rig::$broker().await else { return };
                    crate::$module::$law(rig).await;
                }
            )+)+
        }
    };
}

contract! {
    queues:
        body_and_trace_come_as_published
        a_publication_that_no_queue_takes_is_an_error
        names_and_arguments_that_cannot_be_are_refused
        what_is_acknowledged_does_not_come_again_after_a_restart
        a_dropped_delivery_comes_again_with_a_higher_attempt
        attempts_are_counted_on_after_a_restart
        order_is_kept_and_taken_over
        returns_out_of_order_come_again_in_order
        competing_subscriptions_get_different_deliveries
        prefetch_bounds_what_is_unsettled
        a_full_queue_refuses_and_takes_again_after_settlements
        a_settlement_after_a_return_is_stale
        a_backlog_comes_whole_and_in_order;
    moves:
        a_retry_is_not_early_and_holds_nothing_up
        a_short_retry_overtakes_a_long_one
        a_retry_survives_a_restart
        what_is_parked_keeps_its_reason
        what_is_parked_stays_until_acknowledged
        a_poison_body_does_not_loop_for_ever;
    logs:
        entries_come_in_order_from_any_offset_to_any_reader
        a_waiting_reader_is_woken
        an_unknown_log_is_an_error
        a_journal_gets_a_copy_of_every_message;
}
