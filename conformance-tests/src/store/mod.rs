//! Laws of [`EventStore`](downlink::EventStore).

mod appends;
mod bounded;
mod bytes;
mod dropping;
mod durable;
mod group_commit;
mod imports;
mod limits;
mod notices;
mod order;
mod pages;
mod races;
mod replaceable;
mod transactions;

pub use appends::{
    a_known_id_with_other_content_is_refused, a_repeat_is_a_duplicate, agrees_with_the_model,
    append_is_atomic, expectations_hold_or_conflict, versions_are_dense,
};
pub use bounded::a_full_queue_is_overloaded;
pub use bytes::stored_bytes_are_exact;
pub use dropping::a_dropped_append_is_all_or_nothing;
pub use durable::{
    ids_are_known_after_reopening, positions_continue_after_reopening, reopening_keeps_the_log,
};
pub use group_commit::a_failing_append_fails_alone;
pub use imports::{
    a_refused_import_writes_nothing, an_import_notices_another_writer,
    appends_continue_after_an_import, imported_events_are_unchanged,
    moved_positions_are_stored_with_their_events,
};
pub use limits::limits_are_typed_errors;
pub use notices::{
    a_failed_append_is_not_notified, notified_commits_are_stored, stored_commits_are_notified,
};
pub use order::{
    no_position_is_used_twice, nothing_appears_below_the_head, positions_rise_in_commit_order,
    readers_see_prefixes_of_one_sequence, reads_see_what_was_acknowledged,
    recorded_times_never_decrease,
};
pub use pages::{
    a_cursor_of_another_history_is_refused, filters_intersect_exactly,
    filters_select_what_they_match, pages_concatenate, scanned_skips_nothing,
};
pub use races::{
    checks_hold_under_races, contention_reaches_no_caller, one_writer_wins,
    racing_appends_have_an_order, racing_batches_stay_whole,
};
pub use replaceable::{
    a_restore_invalidates_caches, a_restored_log_refuses_old_cursors,
    a_running_subscription_reports_a_restore,
};
pub use transactions::{
    a_repeated_transaction_leaves_nothing, a_transaction_is_notified_after_its_commit,
    racing_transactions_have_an_order, rows_and_events_are_stored_together,
};
