/// What is wrong with a store in a file that several processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedBug {
    RemembersHeadsForEver,
    ChecksBeforeItBegins,
    BeginsDeferred,
    LeavesTurnsToSqlite,
    CallsALockAFailure,
    HearsItsOwnProcess,
    TellsItsOwnEndForFrom,
}

impl SharedBug {
    const ALL: [Self; 7] = [
        Self::RemembersHeadsForEver,
        Self::ChecksBeforeItBegins,
        Self::BeginsDeferred,
        Self::LeavesTurnsToSqlite,
        Self::CallsALockAFailure,
        Self::HearsItsOwnProcess,
        Self::TellsItsOwnEndForFrom,
    ];

    /// The bug with this name, as another process is told it; any other word
    /// is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }
}
