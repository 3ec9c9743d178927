//! Laws of subscriptions: S1 is that they are exact, all others are S1 under an
//! adversary.

mod bus_faults;
mod exact;
mod falling_behind;
mod feed;
mod hints;
mod stage;

pub use bus_faults::{
    a_bus_that_is_down_stops_nothing, a_forged_hint_moves_nothing, lost_hints_cost_only_time,
    subscriptions_survive_a_lying_bus,
};
pub use exact::{
    a_restarted_process_resumes_exactly, a_sparse_filter_reaches_the_end,
    live_comes_when_everything_was_delivered, now_on_an_empty_log_misses_nothing,
    subscription_is_exact,
};
pub use falling_behind::{
    a_dropped_next_loses_nothing, a_failed_read_is_repeated, a_slow_subscriber_hurts_nobody,
    falling_behind_loses_nothing,
};
pub use feed::{Feed, FeedFixture, Following, Hubs, Tuning};
pub use hints::{
    a_dropped_append_is_told, a_hint_during_a_read_is_not_lost,
    appends_during_the_hand_over_come_once, delivery_does_not_wait_for_the_fallback,
    one_hint_is_enough,
};
pub use stage::Stage;
