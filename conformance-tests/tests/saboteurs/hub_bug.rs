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
    SaysLiveTooEarly,
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
    // Appends.
    PublishesBeforeTheCommit,
    PublishesInTheCaller,
    NeverSendsTheLastHint,
    FailsWithTheBus,
    CountsNoFailures,
}
