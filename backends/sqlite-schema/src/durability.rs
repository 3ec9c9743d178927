/// What an append that returned `Ok` survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A crash of the process and a power cut (`synchronous = FULL`). Under
    /// load this costs little, since one sync serves a whole group.
    #[default]
    Full,
    /// A crash of the process. **A power cut or a crash of the system may lose the
    /// newest appends**, whole ones from the end of the log, although they were
    /// acknowledged (`synchronous = NORMAL`). Reads with cursors of lost events fail with
    /// `CursorAhead` or `HistoryChanged`.
    Normal,
}

impl Durability {
    /// The value of `PRAGMA synchronous`.
    #[must_use]
    pub fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}
