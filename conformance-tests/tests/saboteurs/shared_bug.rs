/// The bugs of the broken store in a file that several processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedBug {
    CachesVersionsForever,
    ChecksBeforeItBegins,
    BeginsDeferred,
    LeavesFairnessToSqlite,
    ReportsALockAsAFailure,
    ReceivesOnlyHintsOfItsOwnProcess,
    NotifiesFromItsOwnLastCommit,
}

impl SharedBug {
    const ALL: [Self; 7] = [
        Self::CachesVersionsForever,
        Self::ChecksBeforeItBegins,
        Self::BeginsDeferred,
        Self::LeavesFairnessToSqlite,
        Self::ReportsALockAsAFailure,
        Self::ReceivesOnlyHintsOfItsOwnProcess,
        Self::NotifiesFromItsOwnLastCommit,
    ];

    /// The bug with this name, which another process gets as an argument;
    /// `None` for any other word.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }
}
