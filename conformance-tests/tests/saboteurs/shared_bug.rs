/// What is wrong with a store in a file that several processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedBug {
    CachesVersionsForever,
    ChecksBeforeItBegins,
    BeginsDeferred,
    LeavesFairnessToSqlite,
    ReportsALockAsAFailure,
    HearsOnlyItsOwnProcess,
    NotifiesFromItsOwnLastCommit,
}

impl SharedBug {
    const ALL: [Self; 7] = [
        Self::CachesVersionsForever,
        Self::ChecksBeforeItBegins,
        Self::BeginsDeferred,
        Self::LeavesFairnessToSqlite,
        Self::ReportsALockAsAFailure,
        Self::HearsOnlyItsOwnProcess,
        Self::NotifiesFromItsOwnLastCommit,
    ];

    /// The bug with this name, as another process is told it; any other word
    /// is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }
}
