/// The bugs of the broken hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HubBug {
    // Subscriptions.
    ReadsHistoryAndThenSubscribes,
    MovesTheCursorBeforeDelivery,
    ReportsTheScannedCursor,
    ResumesInclusively,
    FiltersAfterTheLimit,
    NeverSendsACheckpoint,
    ResolvesNowLate,
    UsesTheTipAsNow,
    ReportsLiveTooEarly,
    ReportsLiveAtTheTip,
    ReportsLiveOnlyWhenIdle,
    KeepsPagesAboveTheTip,
    EndsAtAFailedRead,
    EndsWhenLagging,
    SkipsWhenLagging,
    // The tail.
    KeepsNoFloor,
    KeepsEverything,
    SharesOneQueue,
    ClearsTheFlagAfterTheRead,
    ReadsOnePageAHint,
    UsesTheHintAsACursor,
    NeverPolls,
    WaitsForTheBus,
    RepeatsWhatItHasRead,
    ComparesPositionsAlone,
    // Appends.
    PublishesBeforeTheCommit,
    PublishesInTheCaller,
    NeverSendsTheLastHint,
    FailsWithTheBus,
    SendsNoHintAfterAnError,
    CountsNoFailures,
}
