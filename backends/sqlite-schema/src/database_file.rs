use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};

use crate::{FileIdentity, FileOptions, OpenFiles, Seen, Setup, missing};

/// The file of one store: where it is, how it is opened, and which one it was
/// when a connection was last opened to it.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    options: FileOptions,
    last: Mutex<Option<OpenFiles>>,
}

impl DatabaseFile {
    /// A file at an absolute path.
    #[must_use]
    pub fn new(path: PathBuf, options: FileOptions) -> Self {
        Self { path, options, last: Mutex::new(None) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is opened.
    pub fn options(&self) -> &FileOptions {
        &self.options
    }

    /// What is done, for messages.
    #[must_use]
    pub fn opening(&self) -> String {
        format!("open {}", self.path.display())
    }

    /// Refuses to open a connection beside sidecars of the file before, which
    /// another connection may know.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`].
    pub fn check_last(&self) -> Result<()> {
        self.last().as_ref().map_or(Ok(Seen::Same), OpenFiles::check).map(drop)
    }

    /// The file that the path names before a connection is opened to it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if there is none and none may be made:
    /// a log that is gone is not an empty one.
    pub fn before_opening(&self, may_create: bool) -> Result<Option<FileIdentity>> {
        let before = FileIdentity::of(&self.path).ok().flatten();
        if before.is_none() && !may_create { Err(missing(&self.path)) } else { Ok(before) }
    }

    /// The files of a connection that was just opened, if the path names the
    /// same file as before: then that is the one which was opened.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::of`].
    pub fn opened(&self, before: Option<FileIdentity>) -> Result<Option<OpenFiles>> {
        let files = OpenFiles::of(&self.path)?;
        if before.is_some() && !files.is_of(before) {
            return Ok(None);
        }
        *self.last() = Some(files.clone());
        Ok(Some(files))
    }

    /// Whether an open connection still has the file that the path names.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`].
    pub fn is_replaced(&self, files: &OpenFiles) -> Result<bool> {
        let is_replaced = files.check()? == Seen::Replaced;
        Ok(is_replaced)
    }

    /// A [`Busy`](ErrorKind::Busy): the turn to write did not come.
    #[must_use]
    pub fn kept_out(&self, waited: Duration) -> Error {
        let message = format!(
            "another process has been writing to {} for {waited:?}: see whether it hangs, or repeat later",
            self.path.display()
        );
        Error::new(ErrorKind::Busy, message)
    }

    fn last(&self) -> MutexGuard<'_, Option<OpenFiles>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses to make a log of an empty file that should have been one.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable).
pub fn check_setup(setup: Setup, may_create: bool) -> Result<()> {
    if setup == Setup::Create && !may_create {
        let message = "the file is empty: open the store anew to make a log of it";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(())
}

/// A [`Backend`](ErrorKind::Backend): SQLite keeps another journal mode than a WAL.
#[must_use]
pub fn not_in_wal_mode(mode: &str) -> Error {
    let message =
        format!("SQLite keeps the journal mode '{mode}' here: put the file on a local disk");
    Error::new(ErrorKind::Backend, message)
}
