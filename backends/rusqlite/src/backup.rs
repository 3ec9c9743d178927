use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{
    Backup, BackupFiles, BackupProgress, CancelFlag, CancelOnDrop, CopyMonitor,
    INSTRUCTIONS_BETWEEN_TICKS, PublishedBackup, absolute_path, sql,
};
use tokio::sync::oneshot;

use crate::connection::{LazyConnection, Role};
use crate::error::failed;
use crate::file::File;
use crate::store::RusqliteStore;
use crate::thread::spawn;
use crate::verify::verify_here;

impl RusqliteStore {
    /// Makes a copy of the log, with its read models, while the store is in use.
    ///
    /// The copy is one snapshot of the file: a prefix of the log, and each read model as it
    /// was then. It is written under another name next to `path`
    /// (`flights-backup.db.partial-…`, which remains after a crash), [verified](Self::verify),
    /// synced to the disk, and only then gets its name. It is one file without sidecars, has
    /// the mode of the database, and opens as a store.
    ///
    /// The copy has a connection of its own, so reads and live delivery do not wait for it,
    /// and it pauses for as long as it works, so it slows writers down only a little. SQLite
    /// keeps what is written in the meantime in the WAL, which grows until the copy is
    /// complete.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is a file at `path`, or a WAL that
    ///   SQLite would apply to the copy: no file is replaced. The source is an
    ///   [`AlreadyExists`](std::io::ErrorKind::AlreadyExists);
    /// - [`StorageFull`](downlink::ErrorKind::StorageFull) if the copy does not fit on the disk;
    /// - [`Corrupt`](downlink::ErrorKind::Corrupt) if the copy is damaged, and so the log may be,
    ///   too;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable), [`Busy`](downlink::ErrorKind::Busy) and
    ///   [`Backend`](downlink::ErrorKind::Backend).
    ///
    /// After an error there is no copy.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the copy stops soon and leaves no file.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_rusqlite::RusqliteStore) -> downlink::Result<()> {
    /// let backup = store.backup("flights-monday.db").await?;
    /// println!("{} events up to {}", backup.report.events, backup.report.head);
    /// # Ok(()) }
    /// ```
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<Backup> {
        self.backup_with(path, |_| {}).await
    }

    /// The same, and calls `progress` ten times a second while copying, and once when the copy
    /// is complete; verifying comes after that. `progress` runs on the thread that copies and
    /// blocks it.
    ///
    /// # Errors
    ///
    /// As [`backup`](Self::backup); [`Backend`](downlink::ErrorKind::Backend) if `progress` panics.
    ///
    /// # Cancel safety
    ///
    /// As [`backup`](Self::backup).
    pub async fn backup_with<F>(&self, path: impl AsRef<Path>, progress: F) -> Result<Backup>
    where
        F: FnMut(BackupProgress) + Send + 'static,
    {
        let file = Arc::clone(self.file());
        let files = BackupFiles::new(absolute_path(path.as_ref())?, file.path())?;
        let (on_drop, cancelled) = CancelOnDrop::new();
        let (answer, answered) = oneshot::channel();
        let work = move || drop(answer.send(make(&file, files, progress, &cancelled)));
        spawn("downlink-backup", work)?;
        let published = answered.await.map_err(|_| panicked())?;
        drop(on_drop);
        Ok(published?.keep())
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Backend, "the backup panicked: check its progress callback")
}

fn make<F>(
    file: &Arc<File>,
    files: BackupFiles,
    progress: F,
    cancelled: &CancelFlag,
) -> Result<PublishedBackup>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    copy(Arc::clone(file), &files, progress, cancelled.clone())?;
    let report = verify_here(Arc::new(file.with_path(files.partial().to_owned())))?;
    files.publish(report, cancelled)
}

/// Writes the copy, and closes the connection, so that no snapshot keeps the WAL while the
/// copy is verified.
fn copy<F>(file: Arc<File>, files: &BackupFiles, progress: F, cancelled: CancelFlag) -> Result<()>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    let doing = "make a backup";
    let mut lazy = LazyConnection::new(file, Role::Backup);
    let connection = lazy.current()?.tx.raw();
    let total: i64 =
        connection.query_row(sql::DATABASE_SIZE, (), |row| row.get(0)).map_err(failed(doing))?;
    let monitor = CopyMonitor::new(files, total.unsigned_abs(), progress, cancelled);
    let monitor = Arc::new(Mutex::new(monitor));
    let ticking = Arc::clone(&monitor);
    let tick = move || ticking.lock().map_or(true, |mut monitor| monitor.must_stop());
    connection
        .progress_handler(INSTRUCTIONS_BETWEEN_TICKS, Some(tick))
        .and_then(|()| connection.execute(sql::VACUUM_INTO, [files.partial_text()]))
        .map_err(failed(doing))?;
    lazy.close();
    monitor.lock().unwrap_or_else(PoisonError::into_inner).complete();
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use downlink::{EventStoreExt, Expected, NewEvent};

    use super::*;

    #[tokio::test]
    async fn a_full_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let store = crate::open(path("flights.db")).await.unwrap();
        let departed = NewEvent::json("FlightDeparted", "{}").unwrap();
        store.append_to("flight-UA1545", Expected::NoStream, [departed]).await.unwrap();
        // A file on a disk that is always full.
        std::os::unix::fs::symlink("/dev/full", path("partial")).unwrap();
        let files = BackupFiles::with_partial(path("backup.db"), path("partial")).unwrap();
        let made = make(store.file(), files, |_| {}, &CancelFlag::default());
        let error = made.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert!(!path("backup.db").exists());
        assert!(fs::symlink_metadata(path("partial")).is_err());
        store.backup(path("backup.db")).await.unwrap();
    }
}
