//! All laws, each exactly once in its group. The tests, the names in the docs
//! and the count of saboteurs are derived from these lists.

/// Defines the list of a group, and a macro that passes it to another macro.
macro_rules! list {
    ($(#[$docs:meta])* $list:ident, $names:ident, $module:ident: $($kind:ident $law:ident)*) => {
        list! { ($) $(#[$docs])* $list, $names, $module: $($kind $law)* }
    };
    (($d:tt) $(#[$docs:meta])* $list:ident, $names:ident, $module:ident: $($kind:ident $law:ident)*) => {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $list {
            ($d then:ident!($d($d arg:tt)*)) => {
                $crate::$d then! { ($d($d arg)*) $module: $($kind $law)* }
            };
        }

        $(#[$docs])*
        pub const $names: &[&str] = &[$(stringify!($law)),*];
    };
}

list! {
    /// The laws of every store.
    __store_laws, STORE, store:
    property expectations_hold_or_conflict
    law versions_are_dense
    law append_is_atomic
    law one_writer_wins
    law racing_batches_stay_whole
    law racing_appends_have_an_order
    property a_repeat_is_a_duplicate
    property a_known_id_with_other_content_is_refused
    property stored_bytes_are_exact
    law checks_hold_under_races
    law limits_are_typed_errors
    law contention_reaches_no_caller
    law a_dropped_append_is_all_or_nothing
    law positions_rise_in_commit_order
    law nothing_appears_below_the_head
    law readers_see_prefixes_of_one_sequence
    law no_position_is_used_twice
    law reads_see_what_was_acknowledged
    law recorded_times_never_decrease
    property pages_concatenate
    law scanned_skips_nothing
    law a_cursor_of_another_history_is_refused
    property filters_select_what_they_match
    property filters_intersect_exactly
    property agrees_with_the_model
}

list! {
    /// The laws of stores whose log outlives them.
    __durable_laws, DURABLE_STORE, store:
    law reopening_keeps_the_log
    law ids_are_known_after_reopening
    law positions_continue_after_reopening
}

list! {
    /// The laws of stores whose log can be restored from a backup while they
    /// run.
    __replaceable_laws, REPLACEABLE_STORE, store:
    law a_restored_log_refuses_old_cursors
    law a_restore_invalidates_caches
    law a_running_subscription_reports_a_restore
}

list! {
    /// The laws of stores that can write the events of another log.
    __importing_laws, IMPORTING_STORE, store:
    property imported_events_are_unchanged
    law a_refused_import_writes_nothing
    law an_import_notices_another_writer
    law appends_continue_after_an_import
    law moved_positions_are_stored_with_their_events
}

list! {
    /// The laws of stores with a bounded queue of appends.
    __bounded_laws, BOUNDED_STORE, store:
    law a_full_queue_is_overloaded
}

list! {
    /// The laws of stores that commit in groups.
    __group_commit_laws, GROUP_COMMIT_STORE, store:
    law a_failing_append_fails_alone
}

list! {
    /// The laws of stores that send commit notices.
    __notifying_laws, NOTIFYING_STORE, store:
    law notified_commits_are_stored
    law stored_commits_are_notified
}

list! {
    /// The laws of stores that commit in groups and send commit notices.
    __notifying_group_commit_laws, NOTIFYING_GROUP_COMMIT_STORE, store:
    law a_failed_append_is_not_notified
}

list! {
    /// The laws of stores in whose transactions an application stores rows of
    /// its own.
    __transactional_laws, TRANSACTIONAL_STORE, store:
    law rows_and_events_are_stored_together
    law a_repeated_transaction_leaves_nothing
    law racing_transactions_have_an_order
    law a_transaction_is_notified_after_its_commit
}

list! {
    /// The laws of logs that several processes share.
    __cross_process_laws, CROSS_PROCESS, cross_process:
    law processes_share_one_log
    law other_processes_are_woken
    law two_stores_of_one_log_agree
    law one_process_wins_each_version
    law processes_take_turns
    law a_lock_held_past_the_deadline_is_busy
}

list! {
    /// The laws of every bus.
    __bus_laws, BUS, bus:
    law the_last_hint_wakes_every_listener
    law publishing_never_waits_for_listeners
}

list! {
    /// The laws of subscriptions, over any store and bus.
    __subscription_laws, SUBSCRIPTION, subscription:
    property subscription_is_exact
    law appends_during_the_hand_over_come_once
    law subscriptions_survive_a_faulty_bus
    law a_forged_hint_moves_nothing
    law lost_hints_cost_only_time
    law a_bus_that_never_listens_delays_nothing
    law a_hint_during_a_read_is_not_lost
    law one_hint_is_enough
    law delivery_does_not_wait_for_polling
    law hubs_of_one_store_agree
    law a_dropped_append_is_delivered
    law an_append_of_unknown_outcome_is_delivered
    law a_bus_that_is_down_stops_nothing
    law falling_behind_loses_nothing
    law a_slow_subscriber_affects_no_other
    law a_failed_read_is_repeated
    law a_dropped_next_loses_nothing
    law now_on_an_empty_log_misses_nothing
    law now_begins_at_the_head_of_the_store
    law live_comes_when_everything_was_delivered
    law live_waits_for_the_head_at_open
    law live_comes_while_the_log_moves
    law a_restarted_process_resumes_exactly
    law a_sparse_filter_reaches_the_end
    law what_matches_wakes_those_that_wait
    law what_comes_when_a_subscription_begins_to_wait_wakes_it
    law a_checkpoint_does_not_overtake_an_event
}

list! {
    /// The laws of subscriptions over a store whose log can be restored from a
    /// backup.
    __replaceable_subscription_laws, REPLACEABLE_SUBSCRIPTION, subscription:
    law a_commit_of_another_history_is_not_delivered
    law no_page_of_another_history_is_served
}

list! {
    /// The laws of every projection store.
    __projection_store_laws, PROJECTION_STORE, projection:
    law a_model_is_the_fold_up_to_its_checkpoint
    law one_of_two_workers_commits_a_step
    property any_size_of_steps_gives_the_same_model
    law a_failed_step_leaves_no_trace
    law a_dropped_step_is_all_or_nothing
    law a_checkpoint_never_goes_back
    law a_reset_starts_over
    law dead_letters_move_with_the_checkpoint
    law versions_are_isolated
    law only_a_higher_version_becomes_live
    law an_event_is_announced_at_most_once
    law one_of_many_workers_has_the_lease
    law a_step_without_the_lease_is_refused
    law a_step_prolongs_its_lease
    law an_expired_lease_is_taken_over
}

list! {
    /// The laws of projection stores whose read models outlive the process.
    __durable_projection_laws, DURABLE_PROJECTION, projection:
    law a_killed_projection_resumes_exactly
    law a_killed_worker_is_replaced
}

list! {
    /// The laws of running projections, over any projection store.
    __projection_laws, PROJECTION, projection:
    property a_running_projection_is_exact
    law a_projection_stops_before_a_failing_event
    law only_failing_events_are_skipped
    law a_failing_event_is_retried_as_configured
    law a_projection_waits_for_a_busy_store
    law wait_for_returns_when_the_model_has_it
    law a_new_version_is_built_beside_the_live_one
    law a_checkpoint_moves_without_matches
    law another_history_stops_a_projection
    law every_event_is_announced_once
    law one_worker_works_while_others_stand_by
    law a_stalled_worker_is_replaced
}

list! {
    /// The laws of every transport.
    __transport_laws, TRANSPORT, transport:
    law delivers_the_log_in_order
    law resumes_after_a_cut_at_every_byte
    law resumes_from_any_id
    property filter_and_resume_commute
    law the_cursor_moves_without_matches
    law no_payload_forges_a_frame
    law frames_come_in_order
    law a_drain_ends_every_stream_between_two_frames
    law a_client_that_goes_away_leaves_nothing
    law a_proxy_that_holds_bytes_back_only_delays
}

list! {
    /// The laws of a transport with short timeouts for silent peers.
    __short_timeout_laws, SHORT_TIMEOUT_TRANSPORT, transport:
    law heartbeats_move_nothing
    law a_client_leaves_a_silent_server
    law a_client_that_never_reads_is_disconnected
}

list! {
    /// The laws of a transport that checks what a client may see.
    __authorizing_laws, AUTHORIZING_TRANSPORT, transport:
    law a_replay_hides_what_live_hides
    property what_may_not_be_seen_is_not_sent
}

list! {
    /// The laws of a transport that follows changes of what a client may see.
    __reauthorizing_laws, REAUTHORIZING_TRANSPORT, transport:
    law a_revoked_right_ends_while_a_stream_is_open
    law wider_rights_are_loaded_again
}

list! {
    /// The laws of several transports of one log.
    __transports_laws, TRANSPORTS, transport:
    law all_transports_deliver_the_same
    property a_client_may_switch_transports
}

list! {
    /// The laws of a transport over a store whose log can be restored from a
    /// backup.
    __replaceable_transport_laws, REPLACEABLE_TRANSPORT, transport:
    law a_running_server_reports_a_restore
}

list! {
    /// The laws of a transport that uses the SSE encoding of the wire contract.
    /// They check the bytes on the socket.
    __sse_wire_laws, SSE_WIRE, transport:
    law malformed_ids_are_refused
    law blocks_are_well_formed
    law a_drained_stream_ends_with_bye
}

list! {
    /// The laws of a transport that uses the long-polling of the wire contract.
    /// They check the bytes on the socket.
    __long_poll_wire_laws, LONG_POLL_WIRE, transport:
    law nothing_is_lost_between_two_polls
    law an_empty_poll_keeps_or_moves_the_cursor
}

list! {
    /// The laws of a transport that uses the WebSocket protocol of the wire
    /// contract. They check the bytes on the socket.
    __websocket_wire_laws, WEBSOCKET_WIRE, transport:
    law messages_are_well_formed
    law subscriptions_of_a_socket_are_independent
    law malformed_commands_are_refused
    law a_drained_socket_ends_with_bye
}

list! {
    /// The three laws that every combination of store, bus and transport has to
    /// keep.
    __matrix_laws, MATRIX, transport:
    law delivers_the_log_in_order
    law one_writer_wins_and_is_seen
    law resumes_from_any_id
}

list! {
    /// The laws of live queries, over any store whose read models can be queried and any
    /// transport.
    __live_laws, LIVE, live:
    property rows_are_the_answer_at_their_cursor
    law a_live_query_follows_a_new_version
    law a_model_that_is_rebuilt_is_not_shown
    law a_live_query_sees_earlier_writes
    law only_matching_events_cause_evaluations
}

list! {
    /// The laws of every store of snapshots.
    __snapshot_laws, SNAPSHOT, snapshot:
    property a_snapshot_never_changes_an_answer
    law a_saved_snapshot_comes_back
    law a_snapshot_above_the_limit_is_not_loaded
}

/// All lists.
pub const ALL: &[&[&str]] = &[
    STORE,
    DURABLE_STORE,
    REPLACEABLE_STORE,
    IMPORTING_STORE,
    BOUNDED_STORE,
    GROUP_COMMIT_STORE,
    NOTIFYING_STORE,
    NOTIFYING_GROUP_COMMIT_STORE,
    TRANSACTIONAL_STORE,
    CROSS_PROCESS,
    SNAPSHOT,
    BUS,
    SUBSCRIPTION,
    REPLACEABLE_SUBSCRIPTION,
    PROJECTION_STORE,
    DURABLE_PROJECTION,
    PROJECTION,
    TRANSPORT,
    SHORT_TIMEOUT_TRANSPORT,
    AUTHORIZING_TRANSPORT,
    REAUTHORIZING_TRANSPORT,
    TRANSPORTS,
    REPLACEABLE_TRANSPORT,
    SSE_WIRE,
    LONG_POLL_WIRE,
    WEBSOCKET_WIRE,
    MATRIX,
    LIVE,
];
