use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the log is, and the driver for it. The drivers for files use the same file format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// A SQLite file, through rusqlite.
    #[default]
    Rusqlite,
    /// A SQLite file, through sqlx.
    Sqlx,
    /// The PostgreSQL database of this URL.
    Postgres(String),
}

/// What tells the other processes on a database that there are new events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerBus {
    /// `LISTEN` and `NOTIFY`.
    #[default]
    Postgres,
    /// The NATS server of this URL.
    Nats(String),
}

impl Driver {
    /// Whether the log is a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        !matches!(self, Self::Postgres(_))
    }

    /// What another command needs to use the same log, to be shown after it.
    #[must_use]
    pub fn arguments(&self, db: &Path) -> String {
        if self.is_file() {
            return format!(" --db {}", db.display());
        }
        ", with the same --store and --bus".to_owned()
    }

    /// The file or the database, without a password, to be shown.
    #[must_use]
    pub fn place(&self, db: &Path) -> PathBuf {
        let Self::Postgres(url) = self else { return db.into() };
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let place = place.split('?').next().unwrap_or_default();
        format!("{scheme}://{place}").into()
    }
}

impl FromStr for Driver {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "rusqlite" => Ok(Self::Rusqlite),
            "sqlx" => Ok(Self::Sqlx),
            _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                Ok(Self::Postgres(text.into()))
            }
            _ => Err("use `rusqlite`, `sqlx` or `postgres://USER@HOST/DATABASE`"),
        }
    }
}

impl FromStr for ServerBus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "postgres" => Ok(Self::Postgres),
            _ if text.starts_with("nats://") => Ok(Self::Nats(text.into())),
            _ => Err("use `postgres` or `nats://HOST:4222`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for url in [
            "postgres://me:secret@host/db?sslmode=require",
            "postgres://me:se?cret@host/db",
            "postgres://host/db",
        ] {
            let driver: Driver = url.parse().unwrap();
            assert_eq!(driver.place(Path::new("x.db")), Path::new("postgres://host/db"));
        }
        assert_eq!(Driver::Sqlx.place(Path::new("x.db")), Path::new("x.db"));
    }
}
