/// What broken projections do wrong while they run; one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DriverBug {
    BeginsAtTheEnd,
    ResumesByPosition,
    SkipsOnError,
    DropsTheWholeBatch,
    StopsAfterTheEvent,
    SkipsTheWholeBatch,
    WritesNoDeadLetters,
    TriesOnceMore,
    TakesBusyForAFailure,
    TellsBeforeTheCommit,
    IsLiveAtOnce,
    StaysWithoutMatches,
}
