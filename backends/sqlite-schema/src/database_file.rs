use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};

use crate::{FileIdentity, FileOptions, Identity, OpenFile, OpenFiles, Seen, Setup, missing};

/// The file of one store: where it is, how it is opened, and which one it was
/// when a connection was last opened to it.
pub struct DatabaseFile<S: OpenFile> {
    path: PathBuf,
    options: FileOptions,
    on_connect: Option<S::OnConnect>,
    last: Mutex<Option<OpenFiles>>,
}

impl<S: OpenFile> DatabaseFile<S> {
    /// A file at an absolute path.
    #[must_use]
    pub fn new(path: PathBuf, options: FileOptions, on_connect: Option<S::OnConnect>) -> Self {
        Self { path, options, on_connect, last: Mutex::new(None) }
    }

    /// A file that is only looked at: whatever application owns it, its log is neither
    /// made nor migrated.
    #[must_use]
    pub fn existing(path: PathBuf) -> Self {
        Self::new(path, FileOptions::looking_only(), None)
    }

    /// Another file that is opened as this one, such as a copy of it.
    #[must_use]
    pub fn alike(&self, path: PathBuf) -> Self {
        Self::new(path, self.options, self.on_connect.clone())
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

    /// What the application does with each new connection.
    pub fn on_connect(&self) -> Option<&S::OnConnect> {
        self.on_connect.as_ref()
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

impl<S: OpenFile> fmt::Debug for DatabaseFile<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseFile")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl FileOptions {
    /// What has to be done with a database before a connection of these options
    /// can use it.
    ///
    /// # Errors
    ///
    /// Those of [`Identity::setup`], and [`Unavailable`](ErrorKind::Unavailable) if a log would
    /// have to be made or migrated where none may be.
    pub fn setup(&self, found: &Identity, format: Option<i64>, may_create: bool) -> Result<Setup> {
        let setup = found.setup(self.is_shared(), format)?;
        let message = match setup {
            Setup::Create | Setup::Adopt if !may_create => {
                "the file has no log: open the store anew to make one"
            }
            Setup::MigrateFrom1 | Setup::MigrateFrom2 if self.is_looking_only() => {
                "the file is of an earlier release: open a store on it once, which brings it up to date"
            }
            _ => return Ok(setup),
        };
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

/// A [`Backend`](ErrorKind::Backend): SQLite keeps another journal mode than a WAL.
#[must_use]
pub fn not_in_wal_mode(mode: &str) -> Error {
    let message =
        format!("SQLite keeps the journal mode '{mode}' here: put the file on a local disk");
    Error::new(ErrorKind::Backend, message)
}
