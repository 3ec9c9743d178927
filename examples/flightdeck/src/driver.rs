use clap::ValueEnum;

/// The driver of the SQLite file. Both use the same file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// Through rusqlite.
    #[default]
    Rusqlite,
    /// Through sqlx.
    Sqlx,
}
