use downlink::{Error, ErrorKind, Result};

use crate::{APPLICATION_ID, USER_VERSION};

/// The oldest SQLite that Downlink works with, as `sqlite3_libversion_number`
/// gives it: 3.51.3, the first without a rare corruption of WAL files by two
/// processes.
pub const MIN_SQLITE: i32 = 3_051_003;

/// What a database says of itself: the row of [`IDENTITY`](crate::IDENTITY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose file it is.
    pub application_id: i64,
    /// The version of its tables.
    pub user_version: i64,
    /// How many tables, indexes, views and triggers it has.
    pub objects: i64,
}

/// What has to be done before a database can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Nothing: it is a log.
    Ready,
    /// Run [`CREATE`](crate::CREATE) and [`MARK`](crate::MARK): it is empty.
    Create,
}

impl Identity {
    /// What to do with this database.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is not ours, or of a newer release.
    pub fn setup(self) -> Result<Setup> {
        match self {
            Self { application_id: 0, user_version: 0, objects: 0 } => Ok(Setup::Create),
            Self { application_id: APPLICATION_ID, user_version: USER_VERSION, .. } => {
                Ok(Setup::Ready)
            }
            Self { application_id: APPLICATION_ID, user_version, .. }
                if user_version > USER_VERSION =>
            {
                Err(refused(format!(
                    "the file has version {user_version} of the tables and this release knows {USER_VERSION}: \
                     open it with a newer release of Downlink"
                )))
            }
            Self { application_id: APPLICATION_ID, user_version, .. } => Err(refused(format!(
                "the file has version {user_version} of the tables, which no release has written: restore a backup"
            ))),
            Self { application_id: 0, .. } => Err(refused(
                "the file is a database with tables of something else: name a file of its own for the log",
            )),
            Self { application_id, .. } => Err(refused(format!(
                "the file belongs to another application (application_id {application_id}): \
                 name a file of its own for the log"
            ))),
        }
    }
}

/// Refuses a SQLite that is too old.
///
/// # Errors
///
/// [`Backend`](ErrorKind::Backend) below [`MIN_SQLITE`].
pub fn check_sqlite(version: i32) -> Result<()> {
    if version >= MIN_SQLITE {
        return Ok(());
    }
    let dotted = |number: i32| {
        format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
    };
    let message = format!(
        "SQLite {} is too old: build with {} or newer",
        dotted(version),
        dotted(MIN_SQLITE)
    );
    Err(Error::new(ErrorKind::Backend, message))
}

/// The number of a version that SQLite tells as text; zero for what is none.
#[must_use]
pub fn sqlite_number(version: &str) -> i32 {
    let numbers: Result<Vec<i32>, _> = version.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([major, minor, patch]) => major * 1_000_000 + minor * 1_000 + patch,
        _ => 0,
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(application_id: i64, user_version: i64, objects: i64) -> Result<Setup> {
        Identity { application_id, user_version, objects }.setup()
    }

    #[test]
    fn only_an_empty_database_or_ours_is_taken() {
        assert_eq!(setup(0, 0, 0).unwrap(), Setup::Create);
        assert_eq!(setup(APPLICATION_ID, USER_VERSION, 9).unwrap(), Setup::Ready);
        for foreign in [setup(0, 0, 1), setup(0, 3, 0), setup(7, 0, 0), setup(7, USER_VERSION, 9)] {
            assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn a_newer_version_says_what_to_do() {
        let error = setup(APPLICATION_ID, USER_VERSION + 1, 9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("newer release"), "{error}");
        assert!(setup(APPLICATION_ID, 0, 9).is_err());
    }

    #[test]
    fn an_old_sqlite_is_named() {
        assert!(check_sqlite(MIN_SQLITE).is_ok());
        assert!(check_sqlite(sqlite_number("3.51.3")).is_ok());
        assert!(check_sqlite(sqlite_number("3.9.17")).is_err());
        assert!(check_sqlite(3_051_002).unwrap_err().to_string().contains("SQLite 3.51.2"));
    }
}
