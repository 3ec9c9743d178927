use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use downlink::{Error, ErrorKind, Result};
use sqlx::postgres::PgConnectOptions;

/// Where a log is, and the driver for it.
///
/// As text, `rusqlite:FILE`, `sqlx:FILE` or `postgres://USER@HOST/DATABASE`. It is displayed without a password.
/// The drivers for files use the same format of files.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// In a SQLite file, through rusqlite.
    Rusqlite(PathBuf),
    /// In a SQLite file, through sqlx.
    Sqlx(PathBuf),
    /// In the PostgreSQL database of this URL.
    Postgres(String),
}

impl StoreUrl {
    /// The texts that are parsed, for messages.
    pub const FORMS: &str = "`rusqlite:FILE`, `sqlx:FILE` or `postgres://USER@HOST/DATABASE`";

    /// Parses text that need not be UTF-8, because names of files need not.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid), without the text, which may have a password.
    pub fn parse(text: &OsStr) -> Result<Self> {
        if let Some(file) = file_after("rusqlite:", text) {
            return Ok(Self::Rusqlite(file));
        }
        if let Some(file) = file_after("sqlx:", text) {
            return Ok(Self::Sqlx(file));
        }
        let is_postgres = |text: &&str| {
            ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
        };
        let url = text.to_str().filter(is_postgres);
        url.map(|url| Self::Postgres(url.into())).ok_or_else(Self::refused)
    }

    fn refused() -> Error {
        let forms = Self::FORMS;
        Error::new(ErrorKind::Invalid, format!("use {forms}, for example `rusqlite:flights.db`"))
    }

    /// The file, if the log is in one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Rusqlite(file) | Self::Sqlx(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

/// The name of a file after this prefix.
fn file_after(prefix: &str, text: &OsStr) -> Option<PathBuf> {
    let bytes = text.as_encoded_bytes();
    let file = bytes.strip_prefix(prefix.as_bytes()).filter(|file| !file.is_empty())?;
    // The rest of text after a prefix in ASCII is text.
    let file = match std::str::from_utf8(file) {
        Ok(file) => OsString::from(file),
        Err(_) => rest_of(text, prefix.len())?,
    };
    Some(file.into())
}

#[cfg(unix)]
fn rest_of(text: &OsStr, from: usize) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;

    text.as_bytes().get(from..).map(|rest| OsStr::from_bytes(rest).to_owned())
}

#[cfg(not(unix))]
fn rest_of(_: &OsStr, _: usize) -> Option<OsString> {
    None
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(OsStr::new(text))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rusqlite(file) | Self::Sqlx(file) => file.display().fmt(f),
            Self::Postgres(url) => match url.parse::<PgConnectOptions>() {
                Ok(options) => {
                    let (host, port) = (options.get_host(), options.get_port());
                    let database = options.get_database().unwrap_or_default();
                    write!(f, "postgres://{host}:{port}/{database}")
                }
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

/// Without a password.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn stores_are_parsed() {
        let file = StoreUrl::Rusqlite("C:\\flights.db".into());
        assert_eq!("rusqlite:C:\\flights.db".parse::<StoreUrl>().unwrap(), file);
        assert_eq!("sqlx:x.db".parse::<StoreUrl>().unwrap(), StoreUrl::Sqlx("x.db".into()));
        for bad in ["", "rusqlite", "rusqlite:", "flights.db", "postgres:x", "memory"] {
            let error = bad.parse::<StoreUrl>().unwrap_err();
            assert!(error.to_string().contains("rusqlite:FILE"), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_name_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;

        let url = StoreUrl::parse(OsStr::from_bytes(b"sqlx:\xff.db")).unwrap();
        assert_eq!(url.file().unwrap().as_os_str().as_bytes(), b"\xff.db");
    }

    #[test]
    fn a_password_is_not_shown() {
        for url in [
            "postgres://me:secret@host/db?sslmode=require",
            "postgres://me:se%3Fcret@host/db",
            "postgres://host/db?password=se@cret",
        ] {
            let url: StoreUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), "postgres://host:5432/db");
            assert_eq!(format!("{url:?}"), "StoreUrl(postgres://host:5432/db)");
        }
        let wrong: StoreUrl = "postgres://me:se?cret@host/db".parse().unwrap();
        assert!(!wrong.to_string().contains("cret"), "{wrong}");
        let refused = "mysql://me:secret@host".parse::<StoreUrl>().unwrap_err();
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
