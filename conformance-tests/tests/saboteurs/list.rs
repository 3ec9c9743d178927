//! The list of all saboteurs.

use std::sync::Arc;

use downlink_conformance_tests::bus::{self, BusSetup};
use downlink_conformance_tests::cross_process::{self, CrossProcessSetup};
use downlink_conformance_tests::live::{self, LiveSetup};
use downlink_conformance_tests::projection::{self, DurableProjectionSetup, ProjectionSetup};
use downlink_conformance_tests::subscription::{
    self, ReplaceableSubscriptionSetup, SubscriptionSetup,
};
use downlink_conformance_tests::transport::{
    self, AuthorizingTransportSetup, ReauthorizingTransportSetup, ReplaceableTransportSetup,
    ShortTimeoutTransportSetup, TransportSetup, TransportsSetup,
};
use downlink_conformance_tests::{
    BoundedFixture, DurableFixture, GroupCommitFixture, ImportFixture, LawRun, ReplaceableFixture,
    SnapshotFixture, StoreFixture, TransactionalFixture, TransportFixture, check, check_property,
    snapshot, store,
};

use crate::bus::{BrokenBuses, BusBug};
use crate::group::{BrokenGroup, GroupBug};
use crate::hub::BrokenHubs;
use crate::hub_bug::HubBug;
use crate::imports::{BrokenImports, ImportBug};
use crate::live::live_queries;
use crate::live_bug::LiveBug;
use crate::mangle::{Mangle, Mangled};
use crate::model_bug::ModelBug;
use crate::models::{BrokenModels, DurableBrokenModels};
use crate::runner::BrokenRunner;
use crate::runner_bug::RunnerBug;
use crate::shared_bug::SharedBug;
use crate::shared_fixture::shared;
use crate::snapshots::{BrokenSnapshots, SnapshotBug};
use crate::store_bug::Bug;
use crate::store_fixture::Broken;
use crate::transact::{BrokenApplications, TransactBug};
use crate::transport::BrokenTransports;
use crate::transport_bug::TransportBug;

/// A broken implementation, the law that has to find its bug, and a part of the
/// message with which it fails.
pub(crate) struct Saboteur {
    pub(crate) name: &'static str,
    pub(crate) law: &'static str,
    pub(crate) message: &'static str,
    /// Runs the law, with the bug or without it.
    pub(crate) run: fn(bool),
}

fn hubs(broken: Option<HubBug>) -> SubscriptionSetup {
    SubscriptionSetup::with_hubs(Broken(None), BrokenBuses(None), BrokenHubs(broken))
}

fn notified_hubs(broken: Option<HubBug>) -> SubscriptionSetup {
    hubs(broken).with_commits()
}

fn replaced(broken: Option<HubBug>) -> ReplaceableSubscriptionSetup {
    ReplaceableSubscriptionSetup::with_hubs(Broken(None), BrokenHubs(broken)).with_commits()
}

fn transports(broken: Option<TransportBug>) -> TransportSetup {
    TransportSetup::new(Broken(None), BrokenBuses(None), BrokenTransports(broken))
}

fn replaceable_transports(broken: Option<TransportBug>) -> ReplaceableTransportSetup {
    ReplaceableTransportSetup::new(Broken(None), BrokenTransports(broken))
}

fn short_timeouts(broken: Option<TransportBug>) -> ShortTimeoutTransportSetup {
    ShortTimeoutTransportSetup::new(Broken(None), BrokenTransports(broken))
}

fn authorizing(broken: Option<TransportBug>) -> AuthorizingTransportSetup {
    AuthorizingTransportSetup::new(Broken(None), BrokenTransports(broken))
}

fn reauthorizing(broken: Option<TransportBug>) -> ReauthorizingTransportSetup {
    ReauthorizingTransportSetup::new(Broken(None), BrokenTransports(broken))
}

/// A transport without a bug and one with this bug.
fn transport_pair(broken: Option<TransportBug>) -> TransportsSetup {
    let transport = |bug| -> Arc<dyn TransportFixture> { Arc::new(BrokenTransports(bug)) };
    TransportsSetup::new(Broken(None), [transport(None), transport(broken)])
}

fn mangled(broken: Option<Mangle>) -> TransportSetup {
    TransportSetup::new(Broken(None), BrokenBuses(None), Mangled(broken))
}

fn served_stores(broken: Option<Bug>) -> TransportSetup {
    TransportSetup::new(Broken(broken), BrokenBuses(None), BrokenTransports(None))
}

fn buses(broken: Option<BusBug>) -> BusSetup {
    BusSetup::new(Broken(None), BrokenBuses(broken))
}

fn models(broken: Option<ModelBug>) -> ProjectionSetup {
    ProjectionSetup::new(BrokenModels(broken))
}

fn durable_models(broken: Option<ModelBug>) -> DurableProjectionSetup {
    DurableProjectionSetup::in_this_process(DurableBrokenModels::new(broken))
}

fn models_in_use(broken: Option<ModelBug>) -> ProjectionSetup {
    ProjectionSetup::with_runner(BrokenModels(broken), BrokenRunner(None))
}

fn runner(broken: Option<RunnerBug>) -> ProjectionSetup {
    ProjectionSetup::with_runner(BrokenModels(None), BrokenRunner(broken))
}

macro_rules! saboteurs {
    ($list:ident: $subject:ty = $fixture:ident($bugs:ident), $module:ident;
     $($bug:ident $kind:ident $law:ident $message:literal)*) => {
        const $list: &[Saboteur] = &[$(Saboteur {
            name: stringify!($bug),
            law: stringify!($law),
            message: $message,
            run: |broken| {
                let fixture: Arc<$subject> = Arc::new($fixture(broken.then_some($bugs::$bug)));
                let run = LawRun::new(stringify!($law)).repeatable();
                saboteurs!(@$kind run, fixture, $subject, $module $law);
            },
        }),*];
    };
    // Sockets and processes do not follow a paused clock.
    (@wire_law $run:ident, $fixture:ident, $subject:ty, $module:ident $law:ident) => {
        check($run.with_real_clock(), $fixture, async |fixture: &$subject| $module::$law(fixture).await)
    };
    (@wire_property $run:ident, $fixture:ident, $subject:ty, $module:ident $law:ident) => {
        check_property($run.with_real_clock(), $fixture, |run, fixture| $module::$law(run, fixture))
    };
    (@law $run:ident, $fixture:ident, $subject:ty, $module:ident $law:ident) => {
        check($run, $fixture, async |fixture: &$subject| $module::$law(fixture).await)
    };
    (@property $run:ident, $fixture:ident, $subject:ty, $module:ident $law:ident) => {
        check_property($run, $fixture, |run, fixture| $module::$law(run, fixture))
    };
}

saboteurs! { STORES: dyn StoreFixture = Broken(Bug), store;
    ChecksBeforeTheLock law one_writer_wins "the version check is not atomic"
    ChecksBeforeTheLock law racing_appends_have_an_order "the check and the insert are not one transaction"
    TrustsCachedVersions law one_writer_wins "the version check is not atomic"
    AcceptsHigherVersions property expectations_hold_or_conflict "an append was stored although"
    RefusesAfterTheInsert property expectations_hold_or_conflict "were left by an append that must not write any"
    NumbersBeforeTheLock law versions_are_dense "versions have gaps or repeat"
    IgnoresAnInsertError law append_is_atomic "half a"
    KeepsHalfABatch law append_is_atomic "half a"
    InsertsOrIgnores law racing_batches_stay_whole "acknowledged events are missing"
    InterleavesBatches law racing_batches_stay_whole "batches interleave"
    ForgetsOldIds property a_repeat_is_a_duplicate "ids stay known forever"
    ChecksVersionsBeforeIds property a_repeat_is_a_duplicate "a repeat of a stored append was refused"
    ComparesMetadata property a_repeat_is_a_duplicate "a repeat of a stored append was refused"
    ChecksIdsBeforeTheLock property a_repeat_is_a_duplicate "a repeat that raced the first attempt was refused"
    IgnoresAReusedId property a_known_id_with_other_content_is_refused "for another event was accepted"
    WritesOnlyTheNewEvents property a_known_id_with_other_content_is_refused "for another event was accepted"
    ReencodesJson property stored_bytes_are_exact "a payload came back with other bytes"
    RevalidatesJson property stored_bytes_are_exact "content is validated when an event is created"
    IgnoresCase property stored_bytes_are_exact "compare names byte by byte"
    TransactsInTheCaller law a_dropped_append_is_all_or_nothing "a dropped append left"
    LeavesATransactionOpen law a_dropped_append_is_all_or_nothing "a transaction was left open"
    ChecksLimitsAfterTheInsert law limits_are_typed_errors "check limits before anything is written"
    BeginsDeferred law contention_reaches_no_caller "a writer got an error about contention"
    StarvesOneWriter law contention_reaches_no_caller "the queue of appends is not fair"
    ChecksOtherStreamsBeforeTheLock law checks_hold_under_races "that each check the stream which another writes"
    ChecksBoundariesBeforeTheLock law checks_hold_under_races "whose boundary forbids later events"
    TakesPositionsFromAClock law positions_rise_in_commit_order "not by a clock"
    AssignsPositionsBeforeTheCommit law nothing_appears_below_the_head "became visible below positions that had been read"
    HidesWhatIsNewerThanRunning law nothing_appears_below_the_head "became visible below positions that had been read"
    SkipsAHoleAfterAWhile law nothing_appears_below_the_head "became visible below positions that had been read"
    ReportsTheHighestAssignedAsHead law nothing_appears_below_the_head "the head is the last position that is visible"
    OrdersByTime law readers_see_prefixes_of_one_sequence "not the beginning of the log as it is now"
    ReusesPositions law no_position_is_used_twice "never assign the position of a deleted row again"
    ReadsAnOldSnapshot law reads_see_what_was_acknowledged "was served from an old snapshot"
    TakesTheCallersTime law recorded_times_never_decrease "`recorded_at` goes back"
    SkipsOneBetweenPages property pages_concatenate "do not add up"
    EndsPagesInsideFilteredEvents property pages_concatenate "do not add up"
    ReadsBackwardInclusively property agrees_with_the_model "a page is not the beginning of what the read selects"
    ReportsALaterHeadAsScanned law scanned_skips_nothing "not a head that was read later"
    IgnoresTheByteLimit law scanned_skips_nothing "limit pages in bytes too"
    ComparesThePositionAlone law a_cursor_of_another_history_is_refused "inside the log, was served"
    WaitsPastTheHead law a_cursor_of_another_history_is_refused "was served"
    MatchesPrefixesByLike property filters_select_what_they_match "compare names byte by byte"
    TreatsAnAbsentGroupAsNoMatch property filters_select_what_they_match "treat a group without values as no restriction"
    MovesTheIndexMarkBeforeThePostings property filters_select_what_they_match "compare names byte by byte"
    MergesSets property filters_intersect_exactly "so never merge their values"
    TreatsAnEmptySetAsNoFilter property filters_intersect_exactly "every query has to hold"
}

saboteurs! { DURABLE: dyn DurableFixture = Broken(Bug), store;
    AcknowledgesBeforeTheCommit law reopening_keeps_the_log "the log changed when it was closed"
    ForgetsIdsAtReopening law ids_are_known_after_reopening "keep ids with the log"
    RestartsPositionsAtReopening law positions_continue_after_reopening "was assigned again after reopening"
}

saboteurs! { REPLACEABLE: dyn ReplaceableFixture = Broken(Bug), store;
    ComparesThePositionAlone law a_restored_log_refuses_old_cursors "compare the event at the position"
    KeepsCachesAcrossARestore law a_restore_invalidates_caches "because of events that the restore removed"
    WaitsPastTheHead law a_running_subscription_reports_a_restore "a running subscription did not report"
}

saboteurs! { BOUNDED: dyn BoundedFixture = BrokenGroup(GroupBug), store;
    QueuesWithoutBound law a_full_queue_is_overloaded "the queue is not bounded"
}

saboteurs! { GROUPING: dyn GroupCommitFixture = BrokenGroup(GroupBug), store;
    FailsTheWholeGroup law a_failing_append_fails_alone "repeat the group one by one"
    StoresAndReportsAFailure law a_failing_append_fails_alone "half of an append that failed was stored"
}

saboteurs! { TELLING: dyn StoreFixture = Broken(Bug), store;
    NotifiesBeforeTheCommit law notified_commits_are_stored "send a notice once its commit is certain"
    NotifiesWithAnotherTime law notified_commits_are_stored "in a notice differs from the stored one"
    ReadsTheHeadBeforeTheLock law notified_commits_are_stored "the end of the log inside the transaction"
    NotifiesEveryOtherCommit law stored_commits_are_notified "no notice or hint came"
}

saboteurs! { NOTIFYING_GROUP_COMMIT_STORE: dyn GroupCommitFixture = BrokenGroup(GroupBug), store;
    NotifiesARolledBackGroup law a_failed_append_is_not_notified "has an event of an append that failed"
}

saboteurs! { IMPORTING: dyn ImportFixture = BrokenImports(ImportBug), store;
    TakesItsOwnTime property imported_events_are_unchanged "keeps its position, version and time"
    KeepsWhatFits law a_refused_import_writes_nothing "were left by an import that must not write any"
    ComparesTheEndBeforeTheLock law an_import_notices_another_writer "compare the end inside the transaction"
    ReportsNoImports law appends_continue_after_an_import "an import was not reported"
    RecordsMovesFirst law moved_positions_are_stored_with_their_events "store it in the transaction of the events"
}

saboteurs! { TRANSACTING: dyn TransactionalFixture = BrokenApplications(TransactBug), store;
    StoresRowsOutsideTheTransaction law rows_and_events_are_stored_together "store them in the transaction of the append"
    AppendsOutsideTheTransaction law rows_and_events_are_stored_together "append in the transaction of the rows"
    IgnoresAFailedAppend law rows_and_events_are_stored_together "that was ignored was acknowledged"
    KeepsRowsOfARepetition law a_repeated_transaction_leaves_nothing "has left its rows"
    ChecksBeforeItBegins law racing_transactions_have_an_order "not those of the winners"
    NotifiesBeforeTheRows law a_transaction_is_notified_after_its_commit "before the rows of its transaction were stored"
}

saboteurs! { CROSS_PROCESS: CrossProcessSetup = shared(SharedBug), cross_process;
    CachesVersionsForever wire_law processes_share_one_log "is valid only until someone else appends"
    ReceivesOnlyHintsOfItsOwnProcess wire_law other_processes_are_woken "was not woken by an append of another user of the log"
    ChecksBeforeItBegins wire_law one_process_wins_each_version "check and insert are not one transaction"
    CachesVersionsForever wire_law one_process_wins_each_version "won version"
    BeginsDeferred wire_law processes_take_turns "database is locked"
    NotifiesFromItsOwnLastCommit wire_law two_stores_of_one_log_agree "not from the end of the store's own commits"
    LeavesFairnessToSqlite wire_law processes_take_turns "the processes do not take turns"
    ReportsALockAsAFailure wire_law a_lock_held_past_the_deadline_is_busy "past the deadline has to be `Busy`"
}

saboteurs! { SNAPSHOTS: dyn SnapshotFixture = BrokenSnapshots(SnapshotBug), snapshot;
    IgnoresTheName property a_snapshot_never_changes_an_answer "a snapshot has changed the answer"
    KeepsTheFirstState property a_snapshot_never_changes_an_answer "a snapshot has changed the answer"
    ForgetsTheSchema property a_snapshot_never_changes_an_answer "a snapshot has changed the answer"
    IgnoresTheLimit property a_snapshot_never_changes_an_answer "a snapshot has changed the answer"
    ForgetsAtReopening law a_saved_snapshot_comes_back "did not come back after reopening"
    IgnoresCase law a_saved_snapshot_comes_back "before one was saved there"
    StoresStatesAsText law a_saved_snapshot_comes_back "keep each key apart and its bytes as they are"
    KeepsTheNewest law a_saved_snapshot_comes_back "did not come back in place of another"
    ForgetsTheTime law a_saved_snapshot_comes_back "did not come back in place of another"
    SavesInTwoSteps law a_saved_snapshot_comes_back "save one in one step"
    IgnoresTheLimit law a_snapshot_above_the_limit_is_not_loaded "compare its length before it is read"
    CountsFromTheLimit law a_snapshot_above_the_limit_is_not_loaded "was not loaded by a caller that takes"
}

saboteurs! { BUSES: BusSetup = buses(BusBug), bus;
    LosesTheLastOfABurst law the_last_hint_wakes_every_listener "a listener was not woken"
    WaitsForListeners law publishing_never_waits_for_listeners "publishing waits for a listener"
    QueuesForEachListener law publishing_never_waits_for_listeners "keep one, not all"
}

saboteurs! { HUBS: SubscriptionSetup = hubs(HubBug), subscription;
    KeepsNoFloor property subscription_is_exact "skipped one"
    ReadsHistoryAndThenSubscribes law appends_during_the_hand_over_come_once "listen first, then read"
    NeverPolls law subscriptions_survive_a_faulty_bus "over a faulty bus"
    UsesTheHintAsACursor law subscriptions_survive_a_faulty_bus "over a faulty bus"
    UsesTheHintAsACursor law a_forged_hint_moves_nothing "never by what a hint claims"
    NeverPolls law lost_hints_cost_only_time "an append whose hint was lost was never delivered"
    ClearsTheFlagAfterTheRead law a_hint_during_a_read_is_not_lost "clear the flag before the read"
    ReadsOnePageAHint law one_hint_is_enough "after one hint only a page was read"
    PublishesBeforeTheCommit law delivery_does_not_wait_for_polling "send a hint after the commit is visible"
    NeverSendsTheLastHint law delivery_does_not_wait_for_polling "one after the last append of a burst"
    PublishesInTheCaller law a_dropped_append_is_delivered "append and send the hint in a task"
    FailsWithTheBus law a_bus_that_is_down_stops_nothing "an append failed because the bus is down"
    CountsNoFailures law a_bus_that_is_down_stops_nothing "was not counted"
    EndsWhenLagging law falling_behind_loses_nothing "a subscription ended by itself"
    SkipsWhenLagging law falling_behind_loses_nothing "read from the store what is no longer in memory"
    KeepsNoFloor law falling_behind_loses_nothing "read from the store what is no longer in memory"
    SharesOneQueue law a_slow_subscriber_affects_no_other "keeps events from the others"
    KeepsEverything law a_slow_subscriber_affects_no_other "no queue for each"
    EndsAtAFailedRead law a_failed_read_is_repeated "failed read"
    MovesTheCursorBeforeDelivery law a_dropped_next_loses_nothing "the events that it had read were lost with it"
    ResolvesNowLate law now_on_an_empty_log_misses_nothing "`now` is the moment at which the subscription is opened"
    UsesTheTipAsNow law now_begins_at_the_head_of_the_store "`now` is the tip of the tail"
    ReportsLiveAtTheTip law live_waits_for_the_head_at_open "wait for the end of the log, not for the tail"
    SendsNoHintAfterAnError law an_append_of_unknown_outcome_is_delivered "send a hint then, too"
    ReportsLiveOnlyWhenIdle law live_comes_while_the_log_moves "do not wait until nothing is left"
    WaitsForTheBus law a_bus_that_never_listens_delays_nothing "do not wait for the bus"
    ReportsLiveTooEarly law live_comes_when_everything_was_delivered "`Live` came when"
    ResumesInclusively law a_restarted_process_resumes_exactly "an event came twice"
    ReportsTheScannedCursor law a_restarted_process_resumes_exactly "has to be that of the item it returned last"
    FiltersAfterTheLimit law a_sparse_filter_reaches_the_end "continue after `scanned`"
    NeverSendsACheckpoint law a_sparse_filter_reaches_the_end "did not get a checkpoint"
    WakesForWholeNamesOnly law what_matches_wakes_those_that_wait "consider every kind of filter"
    LooksBeforeItWaits law what_comes_when_a_subscription_begins_to_wait_wakes_it "in the step in which it begins to wait"
    ReportsTheTipAtATick law a_checkpoint_does_not_overtake_an_event "a checkpoint must not pass over events"
}

saboteurs! { NOTIFIED_HUBS: SubscriptionSetup = notified_hubs(HubBug), subscription;
    RepeatsWhatItHasRead law hubs_of_one_store_agree "an event came twice"
}

saboteurs! { REPLACED: ReplaceableSubscriptionSetup = replaced(HubBug), subscription;
    ComparesPositionsAlone law a_commit_of_another_history_is_not_delivered "compare `from` with the tip by position and check"
    KeepsPagesAboveTheTip law no_page_of_another_history_is_served "keep no pages above the tip of the tail"
}

saboteurs! { MODELS: ProjectionSetup = models(ModelBug), projection;
    CommitsTheCheckpointSeparately law a_model_is_the_fold_up_to_its_checkpoint "write model and checkpoint in one transaction"
    SetsTheCheckpointUnconditionally law one_of_two_workers_commits_a_step "compare the checkpoint and set it"
    AppliesTenAtMost property any_size_of_steps_gives_the_same_model "another read model"
    KeepsWhatFailed law a_failed_step_leaves_no_trace "has left something in the read model"
    ReturnsAPanicAsAnError law a_failed_step_leaves_no_trace "has to return `StepOutcome::Failed`"
    CommitsTheCheckpointSeparately law a_dropped_step_is_all_or_nothing "write model and checkpoint in one transaction"
    AcceptsStepsFromThePast law a_checkpoint_never_goes_back "compare checkpoints for equality"
    ResetsTheCheckpointOnly law a_reset_starts_over "something is left in the read model"
    KeepsLettersAtAReset law a_reset_starts_over "a reset has to delete dead letters"
    ForgetsWhatIsLiveAtAReset law a_reset_starts_over "a reset must not change which version is live"
    LosesDeadLetters law dead_letters_move_with_the_checkpoint "are not those of the events that were skipped"
    WritesLettersOfLostSteps law dead_letters_move_with_the_checkpoint "has left a dead letter"
    SharesCheckpointsOfVersions law versions_are_isolated "it belongs to another version or name"
    BuildsInTheLiveModel law versions_are_isolated "is not the fold of the log"
    LetsAnyVersionBeLive law only_a_higher_version_becomes_live "only a higher version may replace"
    AnnouncesAgainAfterAReset law an_event_is_announced_at_most_once "was announced twice"
    AnnouncesForVersionsThatAreNotLive law an_event_is_announced_at_most_once "only the live version may announce"
    SkipsAGap law an_event_is_announced_at_most_once "must not announce anything beyond a gap"
    LeasesToEveryWorker law one_of_many_workers_has_the_lease "of eight workers that asked at the same time 8 got the lease"
    SharesLeasesOfVersions law one_of_many_workers_has_the_lease "share a lease"
    ReleasesTheLeasesOfOthers law one_of_many_workers_has_the_lease "has given up the lease of another"
    KeepsReleasedLeases law one_of_many_workers_has_the_lease "has to be free at once"
    IgnoresTheLeaseOfAStep law a_step_without_the_lease_is_refused "compare the token in the transaction of the step"
    ProlongsNoLeaseInAStep law a_step_prolongs_its_lease "has to prolong its lease"
    NeverLetsLeasesExpire law an_expired_lease_is_taken_over "is not given to another worker"
    RefusesLateSteps law an_expired_lease_is_taken_over "was refused because of the clock"
    IgnoresTheLeaseOfAStep law an_expired_lease_is_taken_over "compare the token in the transaction of the step"
    LeasesToEveryWorker law one_worker_works_while_others_stand_by "does not stand by"
    KeepsReleasedLeases law one_worker_works_while_others_stand_by "nor takes over"
    NeverLetsLeasesExpire law a_stalled_worker_is_replaced "nor takes over"
}

saboteurs! { DURABLE_MODELS: DurableProjectionSetup = durable_models(ModelBug), projection;
    CommitsTheCheckpointSeparately law a_killed_projection_resumes_exactly "write model and checkpoint in one transaction"
    ReturnsBeforeTheCommit law a_killed_projection_resumes_exactly "a step has to be durable when it returns"
    LeasesToEveryWorker law a_killed_worker_is_replaced "does not stand by"
    NeverLetsLeasesExpire law a_killed_worker_is_replaced "nor takes over"
}

saboteurs! { MODELS_IN_USE: ProjectionSetup = models_in_use(ModelBug), projection;
    SetsTheCheckpointUnconditionally property a_running_projection_is_exact "is not the fold of the log"
    BuildsInTheLiveModel law a_new_version_is_built_beside_the_live_one "the live version was changed by the new one"
    CountsWhatIsStoredAsAnnounced law every_event_is_announced_once "has to be announced by that one"
}

saboteurs! { RUNNER: ProjectionSetup = runner(RunnerBug), projection;
    StartsAtTheEnd property a_running_projection_is_exact "is not the fold of the log"
    SkipsOnError law a_projection_stops_before_a_failing_event "continued past an event"
    DropsTheWholeBatch law a_projection_stops_before_a_failing_event "right before the event that fails"
    StopsAfterTheEvent law a_projection_stops_before_a_failing_event "right before the event that fails"
    SkipsTheWholeBatch law only_failing_events_are_skipped "events were skipped that can be applied"
    WritesNoDeadLetters law only_failing_events_are_skipped "has to be a dead letter"
    RetriesOnceTooOften law a_failing_event_is_retried_as_configured "has to be tried once, and"
    TreatsBusyAsAFailure law a_projection_waits_for_a_busy_store "because its store was busy"
    ReturnsBeforeTheCommit law wait_for_returns_when_the_model_has_it "returned before the step was committed"
    BecomesLiveAtOnce law a_new_version_is_built_beside_the_live_one "before it had caught up"
    MovesOnlyOnMatches law a_checkpoint_moves_without_matches "does not advance while nothing matches"
    ResumesByPosition law another_history_stops_a_projection "a checkpoint that is not of its log"
}

saboteurs! { TRANSPORTS: TransportSetup = transports(TransportBug), transport;
    WritesTheIdOfTheFrameBefore wire_law delivers_the_log_in_order "a gap or a repeat"
    WritesTheIdBeforeTheData wire_law resumes_after_a_cut_at_every_byte "without having had"
    ResumesFromWhatItSent wire_law resumes_after_a_cut_at_every_byte "cut at byte"
    AcceptsHalfAFrame wire_law resumes_after_a_cut_at_every_byte "accepted half a frame as a whole one"
    ResumesInclusively wire_law resumes_from_any_id "a gap or a repeat"
    ComparesWithAnOldHead wire_law resumes_from_any_id "decide against a head read from the store"
    CountsMatches wire_property filter_and_resume_commute "a gap or a repeat"
    SendsNoCheckpoints wire_law the_cursor_moves_without_matches "did not get a checkpoint"
    LeavesNewlinesAsTheyAre wire_law no_payload_forges_a_frame "a connection broke"
    DoublesLineBreaks wire_law no_payload_forges_a_frame "a payload came with other bytes"
    MixesPayloadAndEnvelope wire_law no_payload_forges_a_frame "content that looks like a frame"
    OmitsReady wire_law frames_come_in_order "instead of `ready`"
    SendsLiveAtOnce wire_law frames_come_in_order "`live` came after"
    GivesHeartbeatsAnId wire_law frames_come_in_order "the cursor goes back"
    CutsAtShutdown wire_law a_drain_ends_every_stream_between_two_frames "ended inside a frame"
    NeverEndsStreams wire_law a_drain_ends_every_stream_between_two_frames "told to shut down does not end"
    MissesDisconnects wire_law a_client_that_goes_away_leaves_nothing "stay open after their clients disconnected"
    DropsWhatDoesNotFit wire_law a_proxy_that_holds_bytes_back_only_delays "what a proxy had held back was lost"
    ResumesFromWhatItSent wire_law a_proxy_that_holds_bytes_back_only_delays "a proxy that holds everything back: "
}

saboteurs! { SHORT_TIMEOUTS: ShortTimeoutTransportSetup = short_timeouts(TransportBug), transport;
    MovesTheCursorByHeartbeats wire_law heartbeats_move_nothing "heartbeats moved its cursor"
    SendsNoHeartbeats wire_law heartbeats_move_nothing "sends no heartbeats"
    StaysWithASilentServer wire_law a_client_leaves_a_silent_server "stays with a server that is silent"
    QueuesWithoutBound wire_law a_client_that_never_reads_is_disconnected "give it no queue of its own"
    WaitsForeverToWrite wire_law a_client_that_never_reads_is_disconnected "is never disconnected"
}

saboteurs! { AUTHORIZING: AuthorizingTransportSetup = authorizing(TransportBug), transport;
    ChecksRightsOnce wire_law a_replay_hides_what_live_hides "that the client may not see"
    FiltersLiveOnly wire_law a_replay_hides_what_live_hides "that the client may not see"
    MergesRights wire_law a_replay_hides_what_live_hides "that the client may not see"
    FiltersLiveOnly wire_property what_may_not_be_seen_is_not_sent "that the client may not see"
    CountsWhatIsHidden wire_property what_may_not_be_seen_is_not_sent "that may be seen was not delivered"
}

saboteurs! { REAUTHORIZING: ReauthorizingTransportSetup = reauthorizing(TransportBug), transport;
    KeepsRightsWhileOpen wire_law a_revoked_right_ends_while_a_stream_is_open "what it may no longer see"
    KeepsCursorsOfNarrowerRights wire_law wider_rights_are_loaded_again "send `reset` before the end"
}

saboteurs! { TRANSPORT_PAIRS: TransportsSetup = transport_pair(TransportBug), transport;
    ReordersMembers wire_law all_transports_deliver_the_same "deliver different bytes for the same event"
    ResumesInclusively wire_law all_transports_deliver_the_same "deliver different events"
    ResumesInclusively wire_property a_client_may_switch_transports "a gap or a repeat"
}

saboteurs! { REPLACEABLE_TRANSPORTS: ReplaceableTransportSetup = replaceable_transports(TransportBug), transport;
    EndsWithoutReset wire_law a_running_server_reports_a_restore "did not get `reset`"
}

saboteurs! { WIRE_BYTES: TransportSetup = mangled(Mangle), transport;
    IgnoresMalformedIds wire_law malformed_ids_are_refused "has to be refused with 400"
    AnswersAnotherStatus wire_law malformed_ids_are_refused "and was answered with 404"
    LeavesIdsOut wire_law blocks_are_well_formed "an event has no id"
    RenamesReady wire_law blocks_are_well_formed "the first block has to be `ready`"
    EndsLinesInCr wire_law blocks_are_well_formed "a CR, which is a line end to a browser"
    EndsWithoutBye wire_law a_drained_stream_ends_with_bye "ends without `bye`"
    BeginsAtNow wire_law nothing_is_lost_between_two_polls "were lost between two polls"
    AnswersTimeoutsWith204 wire_law an_empty_poll_keeps_or_moves_the_cursor "and was answered with 204"
    RenamesReadyOnSockets wire_law messages_are_well_formed r#"came instead of {"frame":"ready""#
    MixesSubscriptionsUp wire_law subscriptions_of_a_socket_are_independent r#"came instead of {"frame":"ready","sub":"two""#
    ClosesForNoReason wire_law malformed_commands_are_refused "has to be closed with 4400 after sixteen bad messages"
    ClosesWithoutBye wire_law a_drained_socket_ends_with_bye r#"came instead of {"frame":"bye""#
}

saboteurs! { SERVED_STORES: TransportSetup = served_stores(Bug), transport;
    ChecksBeforeTheLock wire_law one_writer_wins_and_is_seen "writers won one version"
}

saboteurs! { LIVE: LiveSetup = live_queries(LiveBug), live;
    ReportsTheHeadAsCheckpoint wire_property rows_are_the_answer_at_their_cursor "are not the answer at their cursor"
    ReadsTwoSnapshots wire_property rows_are_the_answer_at_their_cursor "are not the answer at their cursor"
    MissesAnEvent wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    LeavesTheOrderOut wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    IgnoresTheBase wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    TakesAStaleHash wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    KeepsDeletedRows wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    AddsInsteadOfReplacing wire_property rows_are_the_answer_at_their_cursor "at rest, a client does not get the newest rows"
    KeepsTheFirstVersion wire_law a_live_query_follows_a_new_version "does not follow a new version of its model"
    ForgetsWhatWasAnnounced wire_law a_model_that_is_rebuilt_is_not_shown "was answered from a model that was reset"
    ReportsTheHeadAsCheckpoint wire_law a_live_query_sees_earlier_writes "wait until the model contains the cursor"
    IsAffectedByEverything wire_law only_matching_events_cause_evaluations "evaluations were made for events that cannot change the answer"
}

/// All saboteurs.
pub(crate) fn all() -> impl Iterator<Item = &'static Saboteur> {
    [
        STORES,
        DURABLE,
        REPLACEABLE,
        BOUNDED,
        GROUPING,
        TELLING,
        NOTIFYING_GROUP_COMMIT_STORE,
        IMPORTING,
        TRANSACTING,
        CROSS_PROCESS,
        SNAPSHOTS,
        BUSES,
        HUBS,
        NOTIFIED_HUBS,
        REPLACED,
        MODELS,
        DURABLE_MODELS,
        MODELS_IN_USE,
        RUNNER,
        TRANSPORTS,
        SHORT_TIMEOUTS,
        AUTHORIZING,
        REAUTHORIZING,
        TRANSPORT_PAIRS,
        REPLACEABLE_TRANSPORTS,
        WIRE_BYTES,
        SERVED_STORES,
        LIVE,
    ]
    .into_iter()
    .flatten()
}
