/// What is wrong with a live query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveBug {
    /// The store says that a snapshot has a later checkpoint than it has.
    ReportsTheHeadAsCheckpoint,
    /// The rows are of one snapshot and the checkpoint of a later one.
    ReadsTwoSnapshots,
    /// The store always says that the first version is the live one.
    KeepsTheFirstVersion,
    /// The store forgets at a reset what was announced.
    ForgetsWhatWasAnnounced,
    /// The query does not say that an event affects it.
    MissesAnEvent,
    /// The query says that all events affect it.
    IsAffectedByEverything,
    /// The server leaves the order out.
    LeavesTheOrderOut,
    /// The client applies a change to other rows than those that it is of.
    IgnoresTheBase,
    /// The server answers a resume as if the client had the newest rows.
    TakesAStaleHash,
    /// The client keeps rows that were deleted.
    KeepsDeletedRows,
    /// The client adds a row that it has.
    AddsInsteadOfReplacing,
}
