/// What a broken hub does wrong; one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HubBug {
    // Subscriptions.
    ReadsHistoryAndThenSubscribes,
    MovesTheCursorBeforeDelivery,
    TellsTheScannedCursor,
    ResumesInclusively,
    FiltersAfterTheLimit,
    NeverTellsHowFarItLooked,
    DecidesNowLate,
    TakesTheTipForNow,
    SaysLiveTooEarly,
    SaysLiveAtTheTip,
    SaysLiveAtRest,
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
    TakesTheHintForACursor,
    HasNoFallback,
    WaitsForTheBus,
    RepeatsWhatItHasRead,
    ComparesPositionsAlone,
    // Appends.
    PublishesBeforeTheCommit,
    PublishesInTheCaller,
    NeverSendsTheLastHint,
    FailsWithTheBus,
    SaysNothingAfterAnError,
    CountsNoFailures,
}
