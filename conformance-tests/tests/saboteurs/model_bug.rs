/// What a broken store of read models does wrong; one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelBug {
    // Steps.
    CommitsTheCheckpointApart,
    TellsBeforeTheCommit,
    SetsTheCheckpointUnconditionally,
    AcceptsStepsFromThePast,
    AppliesTenAtMost,
    KeepsWhatFailed,
    FailsWithThePanic,
    // Dead letters.
    LosesDeadLetters,
    WritesLettersOfLostSteps,
    // Resets.
    ResetsTheCheckpointOnly,
    KeepsLettersAtAReset,
    ForgetsWhatIsLiveAtAReset,
    // Versions.
    SharesCheckpointsOfVersions,
    BuildsInTheLiveLists,
    LetsAnyVersionBeLive,
    AnnouncesAgainAfterAReset,
    AnnouncesWhatIsNotLive,
    CountsWhatIsStoredAsAnnounced,
    PassesOverAGap,
}
