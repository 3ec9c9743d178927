use clap::ValueEnum;

/// The ways to a SQLite file. Both write the same file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// Through rusqlite.
    #[default]
    Rusqlite,
    /// Through sqlx.
    Sqlx,
}
