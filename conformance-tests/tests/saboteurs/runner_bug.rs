/// The bugs of the broken runner of projections.
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
