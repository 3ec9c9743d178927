use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};

use crate::aliases::check_aliases;
use crate::file_options::FileOptions;
use crate::folder_probe::FolderProbe;
use crate::open_failure::explain_open_failure;
use crate::open_files::{FileIdentity, FileState, OpenFiles, missing};
use crate::permissions;

/// The file of one store: its path, how it is opened, and which file a connection
/// was last opened to. `C` is what the application runs on each new connection.
pub struct DatabaseFile<C> {
    path: PathBuf,
    options: FileOptions,
    on_connect: Option<C>,
    last: Mutex<Option<Last>>,
    probe: FolderProbe,
}

/// What the last connection was opened to.
#[derive(Debug)]
struct Last {
    /// Shared by the open connections.
    files: Arc<OpenFiles>,
    /// Set when a connection found its sidecars gone. No other connection is opened
    /// then, because it would make new sidecars.
    sidecars_lost: Option<Error>,
}

impl<C> DatabaseFile<C> {
    /// A file at an absolute path.
    #[must_use]
    pub fn new(path: PathBuf, options: FileOptions, on_connect: Option<C>) -> Self {
        Self { path, options, on_connect, last: Mutex::new(None), probe: FolderProbe::default() }
    }

    /// A file that is opened only to look at it: its log is neither created nor
    /// migrated, whichever application owns it.
    #[must_use]
    pub fn existing(path: PathBuf) -> Self {
        Self::new(path, FileOptions::existing_only(), None)
    }

    /// Another file that is opened in the same way, such as a copy of this one.
    #[must_use]
    pub fn with_path(&self, path: PathBuf) -> Self
    where
        C: Clone,
    {
        Self::new(path, self.options, self.on_connect.clone())
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is opened.
    pub fn options(&self) -> &FileOptions {
        &self.options
    }

    /// What the application runs on each new connection.
    pub fn on_connect(&self) -> Option<&C> {
        self.on_connect.as_ref()
    }

    /// The action of opening the file, for messages.
    #[must_use]
    pub fn opening(&self) -> String {
        format!("open {}", self.path.display())
    }

    /// Explains why a connection could not be opened, from the result code of SQLite
    /// and from what the system reports. Returns an error with another cause
    /// unchanged.
    #[must_use]
    pub fn cannot_open(&self, code: i32, error: Error) -> Error {
        match explain_open_failure(&self.path, code, &self.probe) {
            Some((kind, what)) => {
                Error::with_source(kind, format!("could not {}: {what}", self.opening()), error)
            }
            None => error,
        }
    }

    /// Refuses a file that another program could open by another name: SQLite keeps
    /// the WAL next to the name, so each name would have a log of its own. Call this
    /// when a store or a bus is opened.
    ///
    /// A symbolic link does not count as another name, because SQLite follows it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a file with hard links, and on Linux for
    /// one that is a mount point.
    pub fn check_aliases(&self) -> Result<()> {
        check_aliases(&self.path)
    }

    /// Refuses to open a connection next to sidecars of the previous file, which
    /// another connection may still use, and next to a connection that has lost its
    /// own sidecars.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`]; [`Unavailable`](ErrorKind::Unavailable) if the files
    /// are [`FileState::SidecarsLost`].
    pub fn check_last(&self) -> Result<()> {
        let mut last = self.last();
        let Some(Last { files, sidecars_lost }) = last.as_mut() else { return Ok(()) };
        if files.is_database_same()? {
            let are_lost = is_open(files) && files.check()? == FileState::SidecarsLost;
            // The connection may have been closed since, which removes the sidecars.
            if are_lost && is_open(files) {
                sidecars_lost.get_or_insert_with(|| files.sidecars_lost());
            }
            return sidecars_lost.clone().map_or(Ok(()), Err);
        }
        files.check().map(drop)
    }

    /// The file that the path names before a connection is opened to it. If there is
    /// none and `may_create` is set, creates an empty one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if there is none and `may_create` is not
    /// set: a log that is gone is not an empty log.
    pub fn before_opening(&self, may_create: bool) -> Result<Option<FileIdentity>> {
        if may_create {
            // If this fails, SQLite reports why.
            let _ = permissions::create(&self.path, self.options.file_mode());
        }
        let before = FileIdentity::of(&self.path).ok().flatten();
        if before.is_none() && !may_create { Err(missing(&self.path)) } else { Ok(before) }
    }

    /// The files of a connection that was just opened, if the path still names the
    /// file that it named before: then that is the file which was opened.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::of`], and [`Unavailable`](ErrorKind::Unavailable) if another
    /// connection has lost its sidecars.
    pub fn opened(&self, before: Option<FileIdentity>) -> Result<Option<Arc<OpenFiles>>> {
        let files = Arc::new(OpenFiles::of(&self.path)?);
        if before.is_some() && !files.is_of(before) {
            return Ok(None);
        }
        let mut last = self.last();
        if let Some(Last { files: others, sidecars_lost }) = last.as_mut() {
            if *others == files {
                return sidecars_lost.clone().map_or_else(|| Ok(Some(Arc::clone(others))), Err);
            }
            if others.is_same_database(&files) && is_open(others) {
                return Err(sidecars_lost.get_or_insert_with(|| others.sidecars_lost()).clone());
            }
        }
        *last = Some(Last { files: Arc::clone(&files), sidecars_lost: None });
        Ok(Some(files))
    }

    /// Whether the path names another file than that of an open connection.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`]; [`Unavailable`](ErrorKind::Unavailable) if the files
    /// are [`FileState::SidecarsLost`], from then on until another file replaces this
    /// one.
    pub fn is_replaced(&self, files: &OpenFiles) -> Result<bool> {
        match files.check()? {
            FileState::Same => self.sidecars_lost().map_or(Ok(false), Err),
            FileState::Replaced => Ok(true),
            FileState::SidecarsLost => Err(self.set_sidecars_lost(files)),
        }
    }

    /// Checks after a COMMIT that it went into the files that others open.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if it did not; whether the commit is kept is
    /// then unknown.
    pub fn check_committed(&self, files: &OpenFiles) -> Result<()> {
        match files.check()? {
            FileState::Same => Ok(()),
            FileState::Replaced => {
                let message = format!(
                    "the file {} was replaced while a transaction was committed to it",
                    self.path.display()
                );
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            FileState::SidecarsLost => Err(self.set_sidecars_lost(files)),
        }
    }

    fn sidecars_lost(&self) -> Option<Error> {
        self.last().as_ref().and_then(|last| last.sidecars_lost.clone())
    }

    fn set_sidecars_lost(&self, files: &OpenFiles) -> Error {
        let error = files.sidecars_lost();
        let mut last = self.last();
        match last.as_mut() {
            Some(last) => last.sidecars_lost.get_or_insert(error).clone(),
            None => error,
        }
    }

    /// A [`Busy`](ErrorKind::Busy): the [fair lock](crate::FairLock) was not acquired in
    /// time.
    #[must_use]
    pub fn lock_timeout(&self, waited: Duration) -> Error {
        let message = format!(
            "another process has been writing to {} for {waited:?}: check whether it hangs, or retry later",
            self.path.display()
        );
        Error::new(ErrorKind::Busy, message)
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is logged when a connection stays open until the process ends; see
/// [`OpenFiles::are_others_there`].
pub const LEFT_OPEN: &str = "another program has a WAL in the place of ours, so ours is not moved into the \
                             database: the last appends are lost";

/// Whether a connection to these files is open. A connection drops its share before
/// it is closed.
fn is_open(files: &Arc<OpenFiles>) -> bool {
    Arc::strong_count(files) > 1
}

impl<C> fmt::Debug for DatabaseFile<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseFile")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
