/// What broken projections do wrong while they run; one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunnerBug {
    StartsAtTheEnd,
    ResumesByPosition,
    SkipsOnError,
    DropsTheWholeBatch,
    StopsAfterTheEvent,
    SkipsTheWholeBatch,
    WritesNoDeadLetters,
    RetriesOnceTooOften,
    TreatsBusyAsAFailure,
    ReturnsBeforeTheCommit,
    BecomesLiveAtOnce,
    MovesOnlyOnMatches,
}
