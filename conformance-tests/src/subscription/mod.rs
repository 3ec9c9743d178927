//! Laws of subscriptions: `subscription_is_exact` states what they promise, and
//! all others test that promise under a fault or a race.

mod bus_faults;
mod exact;
mod falling_behind;
mod hints;
mod hub_under_test;
mod replaced;
mod setup;
mod waking;

pub use bus_faults::{
    a_bus_that_is_down_stops_nothing, a_bus_that_never_listens_delays_nothing,
    a_forged_hint_moves_nothing, lost_hints_cost_only_time, subscriptions_survive_a_faulty_bus,
};
pub use exact::{
    a_restarted_process_resumes_exactly, a_sparse_filter_reaches_the_end,
    live_comes_when_everything_was_delivered, live_comes_while_the_log_moves,
    live_waits_for_the_head_at_open, now_begins_at_the_head_of_the_store,
    now_on_an_empty_log_misses_nothing, subscription_is_exact,
};
pub use falling_behind::{
    a_dropped_next_loses_nothing, a_failed_read_is_repeated, a_slow_subscriber_affects_no_other,
    falling_behind_loses_nothing,
};
pub use hints::{
    a_dropped_append_is_delivered, a_hint_during_a_read_is_not_lost,
    an_append_of_unknown_outcome_is_delivered, appends_during_the_hand_over_come_once,
    delivery_does_not_wait_for_polling, hubs_of_one_store_agree, one_hint_is_enough,
};
pub use hub_under_test::{
    DownlinkHubs, HubFixture, HubOptions, HubUnderTest, SubscriptionUnderTest,
};
pub use replaced::{
    ReplaceableSubscriptionSetup, a_commit_of_another_history_is_not_delivered,
    no_page_of_another_history_is_served,
};
pub use setup::SubscriptionSetup;
pub use waking::{
    a_checkpoint_does_not_overtake_an_event,
    what_comes_when_a_subscription_begins_to_wait_wakes_it, what_matches_wakes_those_that_wait,
};
