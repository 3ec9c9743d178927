/// The bugs of the broken projection store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelBug {
    // Steps.
    CommitsTheCheckpointSeparately,
    ReturnsBeforeTheCommit,
    SetsTheCheckpointUnconditionally,
    AcceptsStepsFromThePast,
    AppliesTenAtMost,
    KeepsWhatFailed,
    ReturnsAPanicAsAnError,
    // Dead letters.
    LosesDeadLetters,
    WritesLettersOfLostSteps,
    // Resets.
    ResetsTheCheckpointOnly,
    KeepsLettersAtAReset,
    ForgetsWhatIsLiveAtAReset,
    // Versions.
    SharesCheckpointsOfVersions,
    BuildsInTheLiveModel,
    LetsAnyVersionBeLive,
    AnnouncesAgainAfterAReset,
    AnnouncesForVersionsThatAreNotLive,
    CountsWhatIsStoredAsAnnounced,
    SkipsAGap,
    // Leases.
    LeasesToEveryWorker,
    SharesLeasesOfVersions,
    ReleasesTheLeasesOfOthers,
    KeepsReleasedLeases,
    NeverLetsLeasesExpire,
    IgnoresTheLeaseOfAStep,
    RefusesLateSteps,
    ProlongsNoLeaseInAStep,
}
