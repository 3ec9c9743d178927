//! Backups, without a driver: the files of a copy, its progress, and how it gets its
//! name.
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

use crate::cancel::CancelFlag;
use crate::permissions;
use crate::verify::VerifyReport;

/// How many instructions SQLite executes between two calls of
/// [`CopyMonitor::must_stop`]: those for a few dozen events.
pub const INSTRUCTIONS_BETWEEN_TICKS: i32 = 250;

/// A completed backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The result of verifying it, which found no problems and has the cursor of the last
    /// event.
    pub report: VerifyReport,
}

/// The progress of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// How many bytes are written.
    pub done: u64,
    /// How many bytes there will be at most. The copy leaves out free pages of the
    /// database; when it is complete, both numbers are its size.
    pub total: u64,
}

/// The files of a backup in progress. Dropping it removes what was written so far.
#[derive(Debug)]
pub struct BackupFiles {
    target: PathBuf,
    partial: String,
}

impl BackupFiles {
    /// Prepares a backup of `database` to the absolute path `target`: creates an empty file
    /// next to it with the owner and the mode of the database.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) if the target exists, or a WAL that SQLite would apply to
    ///   it, or if the name is not UTF-8;
    /// - [`StorageFull`](ErrorKind::StorageFull) and [`Unavailable`](ErrorKind::Unavailable)
    ///   depending on the error of the system.
    pub fn new(target: PathBuf, database: &Path) -> Result<Self> {
        // Other backups of this process may not have begun to write yet.
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

    /// The same with a given name for the incomplete copy, which SQLite creates.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) as [`new`](Self::new).
    pub fn with_partial(target: PathBuf, partial: PathBuf) -> Result<Self> {
        let Ok(partial) = partial.into_os_string().into_string() else {
            let message =
                format!("SQLite accepts only file names in UTF-8, not {}", target.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let taken = ["", "-wal", "-shm", "-journal"].map(|end| with_end(&target, end));
        if let Some(taken) = taken.iter().find(|path| exists(path)) {
            return Err(already_there(taken));
        }
        Ok(Self { target, partial })
    }

    /// The path where the copy is written and verified.
    #[must_use]
    pub fn partial(&self) -> &Path {
        Path::new(&self.partial)
    }

    /// The same as text, for a statement.
    #[must_use]
    pub fn partial_text(&self) -> &str {
        &self.partial
    }

    /// Syncs the copy to the disk and gives it its name. Blocks.
    ///
    /// # Errors
    ///
    /// - [`Corrupt`](ErrorKind::Corrupt) if the report lists problems;
    /// - [`Invalid`](ErrorKind::Invalid) if a file with the name has appeared since;
    /// - [`StorageFull`](ErrorKind::StorageFull) and [`Unavailable`](ErrorKind::Unavailable)
    ///   depending on the error of the system.
    ///
    /// After any error there is no file.
    pub fn publish(self, report: VerifyReport, cancelled: &CancelFlag) -> Result<PublishedBackup> {
        if !report.is_sound() {
            let message = format!("the copy is damaged, and the log may be too: {report}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let synced = File::open(&self.partial).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let bytes = synced.map_err(|error| refused(&self.target, error))?.len();
        if cancelled.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "the backup was cancelled"));
        }
        self.link()?;
        let backup = Backup { path: self.target.clone(), bytes, report };
        let published = PublishedBackup { backup, is_kept: false };
        drop(self);
        sync_folder(&published.backup.path)
            .map_err(|error| refused(&published.backup.path, error))?;
        Ok(published)
    }

    /// Gives the copy its name by a hard link, which unlike renaming replaces no file.
    fn link(&self) -> Result<()> {
        match fs::hard_link(&self.partial, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(already_there(&self.target))
            }
            // Some file systems do not support hard links.
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
            // Most of these files do not exist.
            let _ = fs::remove_file(with_end(self.partial(), end));
        }
    }
}

/// A copy that has its name. Dropping it removes the file unless it was
/// [kept](Self::keep): its caller may be gone.
#[derive(Debug)]
pub struct PublishedBackup {
    backup: Backup,
    is_kept: bool,
}

impl PublishedBackup {
    /// Leaves the file where it is.
    #[must_use]
    pub fn keep(mut self) -> Backup {
        self.is_kept = true;
        self.backup.clone()
    }
}

impl Drop for PublishedBackup {
    fn drop(&mut self) {
        if !self.is_kept {
            // An error could not be reported to any caller.
            let _ = fs::remove_file(&self.backup.path);
        }
    }
}

/// Monitors a copy while SQLite writes it: reports the progress, pauses now and then, and
/// stops when the backup is cancelled.
pub struct CopyMonitor<F> {
    partial: PathBuf,
    total: u64,
    report: F,
    cancelled: CancelFlag,
    resumed: Instant,
    reported: Instant,
}

impl<F: FnMut(BackupProgress)> CopyMonitor<F> {
    /// Monitors a copy of at most `total` bytes that begins now.
    pub fn new(files: &BackupFiles, total: u64, report: F, cancelled: CancelFlag) -> Self {
        let (partial, now) = (files.partial().to_owned(), Instant::now());
        Self { partial, total, report, cancelled, resumed: now, reported: now }
    }

    /// Whether SQLite has to stop. Sleeps so that the copy takes only a part of the
    /// processor and the disk.
    pub fn must_stop(&mut self) -> bool {
        let worked = self.resumed.elapsed();
        if worked < WORK {
            return false;
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            let done = self.written().min(self.total);
            (self.report)(BackupProgress { done, total: self.total });
            self.reported = Instant::now();
        }
        thread::sleep(worked * REST);
        self.resumed = Instant::now();
        self.cancelled.is_cancelled()
    }

    /// Reports that the copy is complete.
    pub fn complete(&mut self) {
        let bytes = self.written();
        (self.report)(BackupProgress { done: bytes, total: bytes });
    }

    fn written(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |file| file.len())
    }
}

impl<F> fmt::Debug for CopyMonitor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyMonitor")
            .field("partial", &self.partial)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// How long SQLite copies before a pause, and how many times as long the pause is.
const WORK: Duration = Duration::from_millis(2);
const REST: u32 = 1;

const REPORT_EVERY: Duration = Duration::from_millis(100);

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Whether the path exists, also as a broken link.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn already_there(path: &Path) -> Error {
    let message = format!(
        "the file {} already exists, and a backup does not replace it: name another or move it away",
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
    Error::with_source(kind, format!("could not store the backup {}", path.display()), error)
}

/// Makes the name durable, too.
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
    use crate::cancel::CancelOnDrop;
    use crate::verify::Problem;

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
    fn a_published_copy_is_removed_unless_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (on_drop, cancelled) = CancelOnDrop::new();
        let published = files(folder.path()).publish(VerifyReport::default(), &cancelled).unwrap();
        assert_eq!(names(folder.path()), ["backup.db"]);
        drop(published);
        assert!(names(folder.path()).is_empty());
        let published = files(folder.path()).publish(VerifyReport::default(), &cancelled).unwrap();
        assert_eq!(published.keep().bytes, 6);
        assert_eq!(names(folder.path()), ["backup.db"]);
        fs::remove_file(folder.path().join("backup.db")).unwrap();
        drop(on_drop);
        files(folder.path()).publish(VerifyReport::default(), &cancelled).unwrap_err();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_damaged_copy_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = VerifyReport::default();
        report.problems.push(Problem::File("a page is missing".into()));
        let error = files(folder.path()).publish(report, &CancelFlag::default()).unwrap_err();
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
        let error = late.publish(VerifyReport::default(), &CancelFlag::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(fs::read_to_string(folder.path().join("backup.db")).unwrap(), "mine");
        assert_eq!(names(folder.path()), ["backup.db"]);
    }
}
