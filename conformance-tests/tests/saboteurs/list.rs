//! Every saboteur once.

use std::sync::Arc;

use downlink_conformance_tests::bus::{self, BusStage};
use downlink_conformance_tests::subscription::{self, Stage};
use downlink_conformance_tests::transport::{self, Line, ReplaceableLine};
use downlink_conformance_tests::{
    BoundedFixture, DurableFixture, GroupingFixture, ReplaceableFixture, Run, StoreFixture, check,
    check_property, store,
};

use crate::bus::{BrokenBuses, BusBug};
use crate::carrier::BrokenCarriers;
use crate::carrier_bug::CarrierBug;
use crate::group::{BrokenGroup, GroupBug};
use crate::hub::BrokenHubs;
use crate::hub_bug::HubBug;
use crate::mangle::{Mangle, Mangled};
use crate::store_bug::Bug;
use crate::store_fixture::Broken;

/// A broken implementation, the law that has to find it, and what it then says.
pub(crate) struct Saboteur {
    pub(crate) name: &'static str,
    pub(crate) law: &'static str,
    pub(crate) says: &'static str,
    /// Runs the law, with the bug or without it.
    pub(crate) run: fn(bool),
}

fn hubs(broken: Option<HubBug>) -> Stage {
    Stage::with_feeds(Broken(None), BrokenBuses(None), BrokenHubs(broken))
}

fn lines(broken: Option<CarrierBug>) -> Line {
    Line::new(Broken(None), BrokenBuses(None), BrokenCarriers(broken))
}

fn replaceable_lines(broken: Option<CarrierBug>) -> ReplaceableLine {
    ReplaceableLine::new(Broken(None), BrokenCarriers(broken))
}

fn mangled(broken: Option<Mangle>) -> Line {
    Line::new(Broken(None), BrokenBuses(None), Mangled(broken))
}

fn stores_on_lines(broken: Option<Bug>) -> Line {
    Line::new(Broken(broken), BrokenBuses(None), BrokenCarriers(None))
}

fn buses(broken: Option<BusBug>) -> BusStage {
    BusStage::new(Broken(None), BrokenBuses(broken))
}

macro_rules! saboteurs {
    ($list:ident: $subject:ty = $fixture:ident($bugs:ident), $module:ident;
     $($bug:ident $kind:ident $law:ident $says:literal)*) => {
        const $list: &[Saboteur] = &[$(Saboteur {
            name: stringify!($bug),
            law: stringify!($law),
            says: $says,
            run: |broken| {
                let fixture: Arc<$subject> = Arc::new($fixture(broken.then_some($bugs::$bug)));
                let run = Run::new(stringify!($law)).repeatable();
                saboteurs!(@$kind run, fixture, $subject, $module $law);
            },
        }),*];
    };
    // Sockets do not know of a paused clock.
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
    TrustsRememberedHeads law one_writer_wins "the version check is not atomic"
    AtLeastForEqual property expectations_hold_or_conflict "an append was stored although"
    RefusesAfterTheInsert property expectations_hold_or_conflict "were left by an append that was not to write any"
    NumbersBeforeTheLock law versions_are_dense "versions have holes or come twice"
    IgnoresAnInsertError law append_is_atomic "half a"
    KeepsHalfABatch law append_is_atomic "half a"
    InsertsOrIgnores law racing_batches_stay_whole "acknowledged events are missing"
    InterleavesBatches law racing_batches_stay_whole "batches interleave"
    ForgetsOldIds property a_repeat_is_a_duplicate "ids are known for ever"
    ChecksVersionsBeforeIds property a_repeat_is_a_duplicate "a repeat of a stored append was refused"
    ComparesMetadata property a_repeat_is_a_duplicate "a repeat of a stored append was refused"
    LooksForIdsBeforeTheLock property a_repeat_is_a_duplicate "a repeat that raced the first was refused"
    KeepsTheOldSilently property a_known_id_with_other_content_is_refused "for something else was accepted"
    WritesTheNewHalf property a_known_id_with_other_content_is_refused "for something else was accepted"
    ReencodesJson property stored_bytes_are_exact "a payload came back with other bytes"
    IgnoresCase property stored_bytes_are_exact "compare names byte by byte"
    TransactsInTheCaller law a_dropped_append_is_all_or_nothing "a dropped append left"
    LeavesATransactionOpen law a_dropped_append_is_all_or_nothing "a transaction was left open"
    ChecksLimitsAfterTheInsert law limits_are_typed_errors "limits are checked before anything is written"
    DefersBegin law contention_reaches_no_caller "a writer was told of contention"
    StarvesOne law contention_reaches_no_caller "the queue of appends is not fair"
    LooksAtOthersBeforeTheLock law checks_hold_under_races "that each check the stream which another writes"
    LooksAtBoundariesBeforeTheLock law checks_hold_under_races "whose boundary says that nothing came"
    TakesPositionsFromAClock law positions_rise_in_commit_order "not by a clock"
    GivesPositionsBeforeTheCommit law nothing_appears_below_the_head "became visible below positions that had been read"
    TellsTheHighestGivenAsHead law nothing_appears_below_the_head "the head is the last position that is visible"
    OrdersByTime law readers_see_prefixes_of_one_sequence "not the beginning of the log as it is now"
    ReusesPositions law no_position_is_used_twice "is not given again"
    ReadsAnOldSnapshot law reads_see_what_was_acknowledged "a reader is kept in an old snapshot"
    TakesTheCallersTime law recorded_times_never_decrease "`recorded_at` goes back"
    SkipsOneBetweenPages property pages_concatenate "do not add up"
    EndsInsideFiltered property pages_concatenate "do not add up"
    ReadsBackwardInclusively property agrees_with_the_model "a page is not the beginning of what the read selects"
    TellsALaterHeadAsScanned law scanned_skips_nothing "not the head of a later moment"
    IgnoresBytes law scanned_skips_nothing "pages are bounded in bytes too"
    ComparesThePositionAlone law a_cursor_of_another_history_is_told "inside the log, was served"
    WaitsPastTheHead law a_cursor_of_another_history_is_told "was served"
    MatchesPrefixesByLike property filters_select_what_they_match "names are compared byte by byte"
    TakesAnAbsentGroupForNothing property filters_select_what_they_match "a group without values is no restriction"
    MergesSets property filters_intersect_exactly "their values are never merged"
    TakesAnEmptySetForNoLimit property filters_intersect_exactly "every query has to hold"
}

saboteurs! { DURABLE: dyn DurableFixture = Broken(Bug), store;
    AcknowledgesBeforeTheCommit law reopening_keeps_the_log "the log is another one after it was closed"
    ForgetsIdsAtReopening law ids_are_known_after_reopening "ids are kept with the log"
    BeginsPositionsAnewAtReopening law positions_go_on_after_reopening "was given again after reopening"
}

saboteurs! { REPLACEABLE: dyn ReplaceableFixture = Broken(Bug), store;
    ComparesThePositionAlone law a_restored_log_refuses_old_cursors "compare the event at the position"
    RemembersAcrossARestore law a_restored_log_is_appended_to_as_it_is "for events that are gone since the restore"
    WaitsPastTheHead law a_running_subscription_is_told_of_a_restore "nobody told a running subscription"
}

saboteurs! { BOUNDED: dyn BoundedFixture = BrokenGroup(GroupBug), store;
    QueuesWithoutBound law a_full_queue_is_overloaded "the queue is not bounded"
}

saboteurs! { GROUPING: dyn GroupingFixture = BrokenGroup(GroupBug), store;
    FailsTheWholeGroup law one_guilty_append_fails_alone "repeat the group one by one"
    StoresAndSaysOtherwise law one_guilty_append_fails_alone "half of an append that failed was stored"
}

saboteurs! { BUSES: BusStage = buses(BusBug), bus;
    LosesTheLastOfABurst law the_last_hint_wakes_every_listener "a listener was not woken"
    WaitsForListeners law publishing_never_waits_for_listeners "publishing waits for a listener"
    QueuesForEachListener law publishing_never_waits_for_listeners "keep one, not all"
}

saboteurs! { HUBS: Stage = hubs(HubBug), subscription;
    KeepsNoFloor property subscription_is_exact "left one out"
    ReadsHistoryAndThenSubscribes law appends_during_the_hand_over_come_once "listen first and read then"
    HasNoFallback law subscriptions_survive_a_lying_bus "over a bus that lies"
    TakesTheHintForACursor law subscriptions_survive_a_lying_bus "over a bus that lies"
    TakesTheHintForACursor law a_forged_hint_moves_nothing "never by what a hint claims"
    HasNoFallback law lost_hints_cost_only_time "an append whose hint was lost was never delivered"
    ClearsTheFlagAfterTheRead law a_hint_during_a_read_is_not_lost "clear the flag before the read"
    ReadsOnePageAHint law one_hint_is_enough "after one hint only a page was read"
    PublishesBeforeTheCommit law delivery_does_not_wait_for_the_fallback "send a hint after the commit is visible"
    NeverSendsTheLastHint law delivery_does_not_wait_for_the_fallback "one after the last append of a burst"
    PublishesInTheCaller law a_dropped_append_is_told "append and hint belong in a task"
    FailsWithTheBus law a_bus_that_is_down_stops_nothing "an append failed since the bus is down"
    CountsNoFailures law a_bus_that_is_down_stops_nothing "was not counted"
    EndsWhenLagging law falling_behind_loses_nothing "a subscription ended by itself"
    SkipsWhenLagging law falling_behind_loses_nothing "what is no longer in memory is read from the store"
    KeepsNoFloor law falling_behind_loses_nothing "what is no longer in memory is read from the store"
    SharesOneQueue law a_slow_subscriber_hurts_nobody "keeps events from the others"
    KeepsEverything law a_slow_subscriber_hurts_nobody "no queue for each"
    EndsAtAFailedRead law a_failed_read_is_repeated "a read that failed"
    MovesTheCursorBeforeDelivery law a_dropped_next_loses_nothing "what it had read was lost with it"
    DecidesNowLate law now_on_an_empty_log_misses_nothing "now is when the subscription is opened"
    SaysLiveTooEarly law live_comes_when_everything_was_delivered "`Live` came when"
    ResumesInclusively law a_restarted_process_resumes_exactly "an event came twice"
    TellsTheScannedCursor law a_restarted_process_resumes_exactly "the item that it has just handed over"
    FiltersAfterTheLimit law a_sparse_filter_reaches_the_end "go on after `scanned`"
    NeverTellsHowFarItLooked law a_sparse_filter_reaches_the_end "was not told how far it looked"
}

saboteurs! { CARRIERS: Line = lines(CarrierBug), transport;
    WritesTheIdOfTheFrameBefore wire_law delivers_the_log_in_order "a gap or a repeat"
    WritesTheIdBeforeTheData wire_law resumes_after_a_cut_at_every_byte "without having had"
    ResumesFromWhatItSent wire_law resumes_after_a_cut_at_every_byte "cut at byte"
    TakesHalfAFrameForAWhole wire_law resumes_after_a_cut_at_every_byte "took half a frame for a whole one"
    ResumesInclusively wire_law resumes_from_any_id "a gap or a repeat"
    ComparesWithAnOldHead wire_law resumes_from_any_id "decide against a head read from the store"
    CountsMatches wire_property filter_and_resume_commute "a gap or a repeat"
    SendsNoCheckpoints wire_law the_cursor_moves_without_matches "was not told how far the log was looked through"
    LeavesNewlinesAsTheyAre wire_law no_payload_forges_a_frame "a connection broke"
    DoublesLineBreaks wire_law no_payload_forges_a_frame "a payload came with other bytes"
    MixesPayloadAndEnvelope wire_law no_payload_forges_a_frame "content that looks like a frame"
    LeavesReadyOut wire_law frames_come_in_order "and not `ready`"
    SaysLiveAtOnce wire_law frames_come_in_order "`live` came after"
    GivesHeartbeatsAnId wire_law frames_come_in_order "the cursor goes back"
}

saboteurs! { REPLACEABLE_LINES: ReplaceableLine = replaceable_lines(CarrierBug), transport;
    EndsWithoutReset wire_law a_running_server_tells_of_a_restore "was not told by `reset`"
}

saboteurs! { BYTES: Line = mangled(Mangle), transport;
    OverlooksMalformedIds wire_law malformed_ids_are_refused "has to be refused with 400"
    AnswersAnotherStatus wire_law malformed_ids_are_refused "and was answered with 404"
    LeavesIdsOut wire_law blocks_are_well_formed "an event has no id"
    CallsReadyOtherwise wire_law blocks_are_well_formed "the first block is `ready`"
    EndsLinesInCr wire_law blocks_are_well_formed "a CR is a line end to a browser"
}

saboteurs! { CELLS: Line = stores_on_lines(Bug), transport;
    ChecksBeforeTheLock wire_law one_writer_wins_and_is_seen "writers won one version"
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Saboteur> {
    [
        STORES,
        DURABLE,
        REPLACEABLE,
        BOUNDED,
        GROUPING,
        BUSES,
        HUBS,
        CARRIERS,
        REPLACEABLE_LINES,
        BYTES,
        CELLS,
    ]
    .into_iter()
    .flatten()
}
