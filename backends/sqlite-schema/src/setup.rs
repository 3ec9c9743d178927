use downlink::{Error, ErrorKind, Result};

use crate::ddl::{APPLICATION_ID, CREATE, FORMAT, MARK, MIGRATE_1, MIGRATE_2, MIGRATE_3};

/// The oldest supported SQLite, as a number of `sqlite3_libversion_number`: 3.51.3, the
/// first release without a rare corruption of WAL files that two processes use.
pub const MIN_SQLITE: i32 = 3_051_003;

/// What identifies a database: the row of [`IDENTITY`](crate::IDENTITY).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The application that owns the file.
    pub application_id: i64,
    /// The version of the tables, as their owner counts it.
    pub user_version: i64,
    /// How many tables, indexes, views and triggers it has.
    pub objects: i64,
    /// Whether it has [`META_FORMAT`](crate::META_FORMAT), and so a log.
    pub has_meta: bool,
    /// How many of the objects have a name that is reserved for a log.
    pub reserved: i64,
    /// The triggers on tables of a log, which are not permitted.
    pub triggers: Option<String>,
    /// How it encodes text.
    pub encoding: String,
}

/// What has to be done before a database can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Nothing: it has a log.
    Ready,
    /// Create a log in a file of its own, which is empty.
    Create,
    /// Create a log next to the tables of an application.
    Adopt,
    /// Migrate format 1 to the current format.
    MigrateFrom1,
    /// Migrate format 2 to the current format.
    MigrateFrom2,
    /// Migrate format 3 to the current format.
    MigrateFrom3,
}

impl Setup {
    /// The scripts to run in one transaction.
    #[must_use]
    pub fn scripts(self) -> &'static [&'static str] {
        match self {
            Self::Ready => &[],
            Self::Create => &[CREATE, MARK],
            Self::Adopt => &[CREATE],
            Self::MigrateFrom1 => &[MIGRATE_1, MARK],
            Self::MigrateFrom2 => &[MIGRATE_2],
            Self::MigrateFrom3 => &[MIGRATE_3],
        }
    }

    /// Whether there is no log yet.
    #[must_use]
    pub fn is_new(self) -> bool {
        matches!(self, Self::Create | Self::Adopt)
    }
}

impl Identity {
    /// Whether its `application_id` marks it as a Downlink file.
    #[must_use]
    pub fn is_our_file(&self) -> bool {
        self.application_id == APPLICATION_ID
    }

    /// What to do with this database. `is_shared` is whether it may belong to an
    /// application; `format` is the result of [`META_FORMAT`](crate::META_FORMAT) if it
    /// [`has_meta`](Self::has_meta).
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it belongs to another application, cannot have a log,
    /// or is of a newer release.
    pub fn setup(&self, is_shared: bool, format: Option<i64>) -> Result<Setup> {
        if self.is_our_file() {
            // Since format 2, the format is stored in the log.
            return format.map_or_else(|| of_user_version(self.user_version), of_format);
        }
        if !is_shared {
            return self.own_file();
        }
        if self.encoding != "UTF-8" {
            return Err(refused(format!(
                "the database encodes text as {}, and a log needs UTF-8: name a file of its own for the log",
                self.encoding
            )));
        }
        if let Some(triggers) = &self.triggers {
            return Err(refused(format!(
                "the database has triggers on the tables of the log ({triggers}): drop them, and \
                 use a projection instead"
            )));
        }
        match format {
            Some(format) => of_format(format),
            None if self.reserved > 0 => Err(refused(
                "the database has tables whose names begin with 'downlink_' and no log: rename them",
            )),
            None => Ok(Setup::Adopt),
        }
    }

    /// What to do with a file that is for a log alone.
    fn own_file(&self) -> Result<Setup> {
        match self {
            Self { application_id: 0, user_version: 0, objects: 0, .. } => Ok(Setup::Create),
            Self { application_id: 0, .. } => Err(refused(
                "the file is a database with other tables: name a file of its own for \
                 the log, or open it with Options::with_application_database",
            )),
            Self { application_id, .. } => Err(refused(format!(
                "the file belongs to another application (application_id {application_id}): name a \
                 file of its own for the log, or open it with Options::with_application_database"
            ))),
        }
    }
}

/// The setup for a Downlink file without a stored format.
fn of_user_version(version: i64) -> Result<Setup> {
    if version == 1 { Ok(Setup::MigrateFrom1) } else { of_format(version) }
}

fn of_format(format: i64) -> Result<Setup> {
    match format {
        FORMAT => Ok(Setup::Ready),
        2 => Ok(Setup::MigrateFrom2),
        3 => Ok(Setup::MigrateFrom3),
        newer if newer > FORMAT => Err(refused(format!(
            "the file has version {newer} of the tables and this release supports {FORMAT}: open it \
             with a newer release of Downlink"
        ))),
        other => Err(refused(format!(
            "the file has version {other} of the tables, which no release has written: restore a backup"
        ))),
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

/// The number of a SQLite version in text form; zero if the text is not a version.
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

    fn database(application_id: i64, user_version: i64, objects: i64) -> Identity {
        Identity {
            application_id,
            user_version,
            objects,
            has_meta: false,
            reserved: 0,
            triggers: None,
            encoding: "UTF-8".into(),
        }
    }

    fn own(application_id: i64, user_version: i64, objects: i64) -> Result<Setup> {
        database(application_id, user_version, objects).setup(false, None)
    }

    #[test]
    fn by_default_only_an_empty_database_or_a_downlink_file_is_accepted() {
        assert_eq!(own(0, 0, 0).unwrap(), Setup::Create);
        assert_eq!(own(APPLICATION_ID, FORMAT, 9).unwrap(), Setup::Ready);
        assert_eq!(own(APPLICATION_ID, 1, 9).unwrap(), Setup::MigrateFrom1);
        assert_eq!(database(7, 40, 9).setup(true, Some(2)).unwrap(), Setup::MigrateFrom2);
        assert_eq!(database(7, 40, 9).setup(true, Some(3)).unwrap(), Setup::MigrateFrom3);
        // The application counts its own versions in a file that Downlink created.
        let counted = database(APPLICATION_ID, 1, 9);
        assert_eq!(counted.setup(true, Some(FORMAT)).unwrap(), Setup::Ready);
        assert!(database(7, 0, 9).setup(true, Some(1)).is_err());
        for foreign in [own(0, 0, 1), own(0, 3, 0), own(7, 0, 0), own(7, FORMAT, 9)] {
            let error = foreign.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("with_application_database"), "{error}");
        }
    }

    #[test]
    fn the_error_for_a_newer_version_says_what_to_do() {
        for (found, setup) in [
            (FORMAT + 1, own(APPLICATION_ID, FORMAT + 1, 9)),
            (FORMAT + 1, database(0, 0, 9).setup(true, Some(FORMAT + 1))),
        ] {
            let error = setup.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("newer release"), "{error}");
            assert!(error.to_string().contains(&found.to_string()), "{error}");
        }
        assert!(own(APPLICATION_ID, 0, 9).is_err());
    }

    #[test]
    fn a_database_of_an_application_is_accepted_on_request_if_it_can_have_a_log() {
        let theirs = database(7, 40, 3);
        assert_eq!(theirs.setup(true, None).unwrap(), Setup::Adopt);
        assert_eq!(theirs.setup(true, Some(FORMAT)).unwrap(), Setup::Ready);
        assert_eq!(database(APPLICATION_ID, FORMAT, 9).setup(true, None).unwrap(), Setup::Ready);
        let wide = Identity { encoding: "UTF-16le".into(), ..theirs.clone() };
        let triggered = Identity { triggers: Some("audit".into()), ..theirs.clone() };
        let taken = Identity { reserved: 1, ..theirs };
        for (database, format, cause) in
            [(wide, None, "UTF-8"), (triggered, Some(FORMAT), "audit"), (taken, None, "downlink_")]
        {
            let error = database.setup(true, format).unwrap_err();
            assert!(error.to_string().contains(cause), "{error}");
        }
    }

    #[test]
    fn an_old_sqlite_is_named() {
        assert!(check_sqlite(MIN_SQLITE).is_ok());
        assert!(check_sqlite(sqlite_number("3.51.3")).is_ok());
        assert!(check_sqlite(sqlite_number("3.9.17")).is_err());
        assert!(check_sqlite(3_051_002).unwrap_err().to_string().contains("SQLite 3.51.2"));
    }
}
