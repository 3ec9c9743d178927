use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};

use crate::names::check_names;
use crate::obstacle::obstacle;
use crate::permissions;
use crate::probe::Probe;
use crate::{FileIdentity, FileOptions, Identity, OpenFile, OpenFiles, Seen, Setup, missing};

/// The file of one store: where it is, how it is opened, and which one it was
/// when a connection was last opened to it.
pub struct DatabaseFile<S: OpenFile> {
    path: PathBuf,
    options: FileOptions,
    on_connect: Option<S::OnConnect>,
    last: Mutex<Option<Last>>,
    probe: Probe,
}

/// What the last connection was opened to.
#[derive(Debug)]
struct Last {
    /// Connections that are open share it.
    files: Arc<OpenFiles>,
    /// That a connection found its sidecars gone. No other is opened then: it
    /// would make new ones.
    torn: Option<Error>,
}

impl<S: OpenFile> DatabaseFile<S> {
    /// A file at an absolute path.
    #[must_use]
    pub fn new(path: PathBuf, options: FileOptions, on_connect: Option<S::OnConnect>) -> Self {
        Self { path, options, on_connect, last: Mutex::new(None), probe: Probe::default() }
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

    /// Says what keeps a connection from being opened, of the code that SQLite gave and
    /// of what the system knows. An error with another cause is left as it is.
    #[must_use]
    pub fn cannot_open(&self, code: i32, error: Error) -> Error {
        match obstacle(&self.path, code, &self.probe) {
            Some((kind, what)) => {
                Error::with_source(kind, format!("could not {}: {what}", self.opening()), error)
            }
            None => error,
        }
    }

    /// Refuses to write or to follow a file that another program could open by
    /// another name: SQLite keeps the WAL beside the name, so each name would have
    /// a log of its own. To be asked when a store or a bus is opened.
    ///
    /// A symbolic link is no other name, since SQLite follows it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a file with hard links, and on Linux for
    /// one that is mounted itself.
    pub fn check_names(&self) -> Result<()> {
        check_names(&self.path)
    }

    /// Refuses to open a connection beside sidecars of the file before, which
    /// another connection may know, and beside a connection that has lost its own.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`]; [`Unavailable`](ErrorKind::Unavailable) if the files
    /// are [`Seen::Torn`].
    pub fn check_last(&self) -> Result<()> {
        let mut last = self.last();
        let Some(Last { files, torn }) = last.as_mut() else { return Ok(()) };
        if files.is_database_same()? {
            let is_torn = is_open(files) && files.check()? == Seen::Torn;
            // The connection may have been closed meanwhile, and with it the sidecars.
            if is_torn && is_open(files) {
                torn.get_or_insert_with(|| files.torn_apart());
            }
            return torn.clone().map_or(Ok(()), Err);
        }
        files.check().map(drop)
    }

    /// The file that the path names before a connection is opened to it. If there is
    /// none and one may be made, it is made, empty.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if there is none and none may be made:
    /// a log that is gone is not an empty one.
    pub fn before_opening(&self, may_create: bool) -> Result<Option<FileIdentity>> {
        if may_create {
            // If it cannot be made, SQLite says why.
            let _ = permissions::create(&self.path, self.options.file_mode());
        }
        let before = FileIdentity::of(&self.path).ok().flatten();
        if before.is_none() && !may_create { Err(missing(&self.path)) } else { Ok(before) }
    }

    /// The files of a connection that was just opened, if the path names the
    /// same file as before: then that is the one which was opened.
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
        if let Some(Last { files: others, torn }) = last.as_mut() {
            if *others == files {
                return torn.clone().map_or_else(|| Ok(Some(Arc::clone(others))), Err);
            }
            if others.is_same_database(&files) && is_open(others) {
                return Err(torn.get_or_insert_with(|| others.torn_apart()).clone());
            }
        }
        *last = Some(Last { files: Arc::clone(&files), torn: None });
        Ok(Some(files))
    }

    /// Whether the path names another file than that of an open connection.
    ///
    /// # Errors
    ///
    /// As [`OpenFiles::check`]; [`Unavailable`](ErrorKind::Unavailable) if the files
    /// are [`Seen::Torn`], from then on until another file replaces this one.
    pub fn is_replaced(&self, files: &OpenFiles) -> Result<bool> {
        match files.check()? {
            Seen::Same => self.torn().map_or(Ok(false), Err),
            Seen::Replaced => Ok(true),
            Seen::Torn => Err(self.tear(files)),
        }
    }

    /// Checks after a COMMIT that it went into the files that others open.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if not, and whether the commit will be
    /// there is not known.
    pub fn check_committed(&self, files: &OpenFiles) -> Result<()> {
        match files.check()? {
            Seen::Same => Ok(()),
            Seen::Replaced => {
                let message = format!(
                    "the file {} was replaced while a transaction was committed to it",
                    self.path.display()
                );
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Seen::Torn => Err(self.tear(files)),
        }
    }

    fn torn(&self) -> Option<Error> {
        self.last().as_ref().and_then(|last| last.torn.clone())
    }

    fn tear(&self, files: &OpenFiles) -> Error {
        let error = files.torn_apart();
        let mut last = self.last();
        match last.as_mut() {
            Some(last) => last.torn.get_or_insert(error).clone(),
            None => error,
        }
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

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an operator is told when a connection is left open until the process ends;
/// see [`OpenFiles::are_others_there`].
pub const LEFT_OPEN: &str = "another program has a WAL in the place of ours, so that ours is not moved \
                             into the database: what was appended last is lost";

/// Whether a connection to these files is open. It gives its share up before it
/// is closed.
fn is_open(files: &Arc<OpenFiles>) -> bool {
    Arc::strong_count(files) > 1
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
