//! Backups, as far as they do not depend on the driver: where the copy is
//! written, how far it is, and how it gets its name.
//!
//! The copy itself is one statement, [`VACUUM_INTO`](crate::sql::VACUUM_INTO).

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use downlink::{Error, ErrorKind, Result};

use crate::{Abandoned, VerifyReport, permissions};

/// How many of its instructions SQLite executes before it tells a [`Copying`]:
/// those for a few dozen events.
pub const INSTRUCTIONS_BETWEEN_TICKS: i32 = 250;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// What the walk through it has found; it is sound, and tells the cursor of
    /// the last event.
    pub report: VerifyReport,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// The bytes that were written.
    pub done: u64,
    /// How many there will be at most. The copy leaves out what is free in the
    /// database; when it is complete, both numbers are its size.
    pub total: u64,
}

/// The files of a backup that is being made. Dropping it removes what was
/// written so far.
#[derive(Debug)]
pub struct BackupFiles {
    target: PathBuf,
    partial: String,
}

impl BackupFiles {
    /// A backup of `database` that is to be at the absolute path `target`, and an
    /// empty file beside it with the owner and the mode of the database.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) if there is such a file, or a WAL that would be taken for
    ///   the copy's, or if the name is not UTF-8;
    /// - [`StorageFull`](ErrorKind::StorageFull) and [`Unavailable`](ErrorKind::Unavailable) as the
    ///   system says.
    pub fn new(target: PathBuf, database: &Path) -> Result<Self> {
        // Others of this process may not have begun to write yet.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let partial = with_end(&target, &format!(".partial-{}-{number}", process::id()));
            if !exists(&partial) {
                let files = Self::with_partial(target, partial)?;
                permissions::create_like(files.partial(), database)
                    .map_err(|error| refused(&files.target, error))?;
                return Ok(files);
            }
        }
    }

    /// The same with a given name for what is not complete, which SQLite makes.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) as [`new`](Self::new).
    pub fn with_partial(target: PathBuf, partial: PathBuf) -> Result<Self> {
        let Ok(partial) = partial.into_os_string().into_string() else {
            let message = format!("SQLite takes only names in UTF-8, not {}", target.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let taken = ["", "-wal", "-shm", "-journal"].map(|end| with_end(&target, end));
        if let Some(taken) = taken.iter().find(|path| exists(path)) {
            return Err(already_there(taken));
        }
        Ok(Self { target, partial })
    }

    /// Where the copy is written, and verified.
    #[must_use]
    pub fn partial(&self) -> &Path {
        Path::new(&self.partial)
    }

    /// The same as text, for a statement.
    #[must_use]
    pub fn partial_text(&self) -> &str {
        &self.partial
    }

    /// Has the disk store the copy, and gives it its name. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// - [`Corrupt`](ErrorKind::Corrupt) if the walk found anything wrong;
    /// - [`Invalid`](ErrorKind::Invalid) if a file with the name has come meanwhile;
    /// - [`StorageFull`](ErrorKind::StorageFull) and [`Unavailable`](ErrorKind::Unavailable) as the
    ///   system says.
    ///
    /// After each of them there is no file.
    pub fn publish(self, report: VerifyReport, abandoned: &Abandoned) -> Result<Published> {
        if !report.is_sound() {
            let message = format!("the copy is damaged, and so may be the log: {report}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let synced = File::open(&self.partial).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let bytes = synced.map_err(|error| refused(&self.target, error))?.len();
        if abandoned.is_abandoned() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the caller of the backup has gone away",
            ));
        }
        self.link()?;
        let backup = Backup { path: self.target.clone(), bytes, report };
        let published = Published { backup, is_kept: false };
        drop(self);
        sync_folder(&published.backup.path)
            .map_err(|error| refused(&published.backup.path, error))?;
        Ok(published)
    }

    /// A second name for the copy: unlike renaming, this replaces no file.
    fn link(&self) -> Result<()> {
        match fs::hard_link(&self.partial, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(already_there(&self.target))
            }
            // Some file systems give a file one name only.
            Err(_) if exists(&self.target) => Err(already_there(&self.target)),
            Err(_) => fs::rename(&self.partial, &self.target)
                .map_err(|error| refused(&self.target, error)),
            Ok(()) => Ok(()),
        }
    }
}

impl Drop for BackupFiles {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            // What is not there need not be removed.
            let _ = fs::remove_file(with_end(self.partial(), end));
        }
    }
}

/// A copy that has its name. Unless it is [kept](Self::keep), the file is
/// removed: the caller has gone away.
#[derive(Debug)]
pub struct Published {
    backup: Backup,
    is_kept: bool,
}

impl Published {
    /// Leaves the file where it is.
    #[must_use]
    pub fn keep(mut self) -> Backup {
        self.is_kept = true;
        self.backup.clone()
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if !self.is_kept {
            // It cannot be told to anybody if the system refuses.
            let _ = fs::remove_file(&self.backup.path);
        }
    }
}

/// Looks after a copy while SQLite writes it: tells how far it is, rests now and
/// then, and stops when the caller has gone away.
pub struct Copying<F> {
    partial: PathBuf,
    total: u64,
    tell: F,
    abandoned: Abandoned,
    woke: Instant,
    told: Instant,
}

impl<F: FnMut(BackupProgress)> Copying<F> {
    /// A copy of at most `total` bytes that begins now.
    pub fn new(files: &BackupFiles, total: u64, tell: F, abandoned: Abandoned) -> Self {
        let (partial, now) = (files.partial().to_owned(), Instant::now());
        Self { partial, total, tell, abandoned, woke: now, told: now }
    }

    /// Whether SQLite has to stop. Sleeps so that the copy takes a part of the
    /// processor and the disk only.
    pub fn must_stop(&mut self) -> bool {
        let worked = self.woke.elapsed();
        if worked < WORK {
            return false;
        }
        if self.told.elapsed() >= TELL_EVERY {
            let done = self.written().min(self.total);
            (self.tell)(BackupProgress { done, total: self.total });
            self.told = Instant::now();
        }
        thread::sleep(worked * REST);
        self.woke = Instant::now();
        self.abandoned.is_abandoned()
    }

    /// Tells that the copy is complete.
    pub fn complete(&mut self) {
        let bytes = self.written();
        (self.tell)(BackupProgress { done: bytes, total: bytes });
    }

    fn written(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |file| file.len())
    }
}

impl<F> fmt::Debug for Copying<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copying")
            .field("partial", &self.partial)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// How long SQLite copies before it rests, and how many times as long it rests.
const WORK: Duration = Duration::from_millis(2);
const REST: u32 = 1;

const TELL_EVERY: Duration = Duration::from_millis(100);

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Also a link that leads nowhere.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn already_there(path: &Path) -> Error {
    let message = format!(
        "the file {} is there already, and a backup replaces none: name another or move it away",
        path.display()
    );
    Error::with_source(ErrorKind::Invalid, message, io::Error::from(io::ErrorKind::AlreadyExists))
}

fn refused(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::StorageFull
        }
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, format!("the backup {} cannot be stored", path.display()), error)
}

/// So that the name survives a power cut, too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Problem, Waiting};

    fn files(folder: &Path) -> BackupFiles {
        let files = BackupFiles::new(folder.join("backup.db"), &folder.join("flights.db")).unwrap();
        fs::write(files.partial(), "a copy").unwrap();
        files
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        fs::read_dir(folder).unwrap().map(|entry| name(entry).into_string().unwrap()).collect()
    }

    #[test]
    fn a_copy_gets_its_name_only_if_the_caller_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let (waiting, abandoned) = Waiting::new();
        let published = files(folder.path()).publish(VerifyReport::default(), &abandoned).unwrap();
        assert_eq!(names(folder.path()), ["backup.db"]);
        drop(published);
        assert!(names(folder.path()).is_empty());
        let published = files(folder.path()).publish(VerifyReport::default(), &abandoned).unwrap();
        assert_eq!(published.keep().bytes, 6);
        assert_eq!(names(folder.path()), ["backup.db"]);
        fs::remove_file(folder.path().join("backup.db")).unwrap();
        drop(waiting);
        files(folder.path()).publish(VerifyReport::default(), &abandoned).unwrap_err();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_damaged_copy_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = VerifyReport::default();
        report.problems.push(Problem::File("a page is missing".into()));
        let error = files(folder.path()).publish(report, &Abandoned::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn no_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let late = files(folder.path());
        for name in ["backup.db-wal", "backup.db"] {
            let path = folder.path().join(name);
            fs::write(&path, "mine").unwrap();
            let target = folder.path().join("backup.db");
            let error = BackupFiles::new(target, &folder.path().join("flights.db")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(name), "{error}");
            if name == "backup.db-wal" {
                fs::remove_file(&path).unwrap();
            }
        }
        let error = late.publish(VerifyReport::default(), &Abandoned::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(fs::read_to_string(folder.path().join("backup.db")).unwrap(), "mine");
        assert_eq!(names(folder.path()), ["backup.db"]);
    }
}
