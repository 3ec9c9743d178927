use std::fmt;

use clap::ValueEnum;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Ours(Build, Store),
    DurableStreams,
    /// A plain transaction on the thread of each connection.
    Bare,
    /// Transactions on a plain connection with the same tables.
    PlainLoop,
    /// A separate fdatasync.
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Before,
    Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    Rusqlite,
    Sqlx,
}

impl Subject {
    /// The same subject of the earlier build.
    pub(crate) fn before(self) -> Option<Self> {
        match self {
            Self::Ours(Build::Now, store) => Some(Self::Ours(Build::Before, store)),
            _ => None,
        }
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(..))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(build, store) => write!(f, "{}, {store}", build.name()),
            Self::DurableStreams => f.write_str("durable-streams"),
            Self::Bare => f.write_str("bare server"),
            Self::PlainLoop => f.write_str("plain loop"),
            Self::Disk => f.write_str("disk"),
        }
    }
}

impl Build {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Now => "now",
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rusqlite => "rusqlite",
            Self::Sqlx => "sqlx",
        })
    }
}
