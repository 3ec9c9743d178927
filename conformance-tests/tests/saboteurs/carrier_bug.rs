/// What a broken carrier does wrong; one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarrierBug {
    WritesTheIdBeforeTheData,
    WritesTheIdOfTheFrameBefore,
    ResumesFromWhatItSent,
    ResumesInclusively,
    CountsMatches,
    LeavesNewlinesAsTheyAre,
    DoublesLineBreaks,
    MixesPayloadAndEnvelope,
    GivesHeartbeatsAnId,
    LeavesReadyOut,
    SaysLiveAtOnce,
    SendsNoCheckpoints,
    ComparesWithAnOldHead,
    TakesHalfAFrameForAWhole,
    EndsWithoutReset,
}
