use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{
    Abandoned, Backup, BackupFiles, BackupProgress, Copying, INSTRUCTIONS_BETWEEN_TICKS, Published,
    Waiting, absolute, sql,
};
use tokio::sync::oneshot;

use crate::connection::{Role, Slot};
use crate::error::failed;
use crate::reader::spawn;
use crate::store::{File, RusqliteStore};
use crate::verify::walk;

impl RusqliteStore {
    /// Makes a copy of the log, with its read models, while the store serves.
    ///
    /// The copy is one moment of the file: a prefix of the log, and each read
    /// model as it was then. It is written under another name beside `path`
    /// (`flights-backup.db.partial-…`, which a crash leaves there),
    /// [verified](Self::verify), stored by the disk, and only then given its
    /// name. It is one file without sidecars, with the mode of the database, and opens
    /// as a store.
    ///
    /// It has a connection of its own, so reads and live delivery do not wait
    /// for it, and it rests as long as it works, so writers are slowed down a
    /// little. SQLite keeps what is written meanwhile in the WAL, which grows
    /// until the copy is complete.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is a file at `path`, or a WAL that
    ///   would be taken for the copy's: none is replaced. The source is an
    ///   [`AlreadyExists`](std::io::ErrorKind::AlreadyExists);
    /// - [`StorageFull`](downlink::ErrorKind::StorageFull) if the copy does not fit the disk;
    /// - [`Corrupt`](downlink::ErrorKind::Corrupt) if the copy is not sound, and so the log may
    ///   not be;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable), [`Busy`](downlink::ErrorKind::Busy) and
    ///   [`Backend`](downlink::ErrorKind::Backend).
    ///
    /// After an error there is no copy.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the copy ends soon and no file is left.
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

    /// The same, telling `progress` ten times a second how far the copy is, and
    /// once when it is complete; verifying it comes after that. `progress` is
    /// called by the thread that copies, which it holds up.
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
        let files = BackupFiles::new(absolute(path.as_ref())?, file.path())?;
        let (waiting, abandoned) = Waiting::new();
        let (answer, answered) = oneshot::channel();
        let work = move || drop(answer.send(make(&file, files, progress, &abandoned)));
        spawn("downlink-backup", work)?;
        let published = answered.await.map_err(|_| panicked())?;
        drop(waiting);
        Ok(published?.keep())
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Backend, "the backup panicked: see what it was to tell its progress to")
}

fn make<F>(
    file: &Arc<File>,
    files: BackupFiles,
    progress: F,
    abandoned: &Abandoned,
) -> Result<Published>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    copy(Arc::clone(file), &files, progress, abandoned.clone())?;
    let report = walk(Arc::new(file.alike(files.partial().to_owned())))?;
    files.publish(report, abandoned)
}

/// The connection is closed, so that nothing holds up the WAL while the copy is
/// verified.
fn copy<F>(file: Arc<File>, files: &BackupFiles, progress: F, abandoned: Abandoned) -> Result<()>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    let doing = "make a backup";
    let mut slot = Slot::new(file, Role::Backup);
    let connection = slot.current()?.connection.own();
    let total: i64 =
        connection.query_row(sql::DATABASE_SIZE, (), |row| row.get(0)).map_err(failed(doing))?;
    let copying = Copying::new(files, total.unsigned_abs(), progress, abandoned);
    let copying = Arc::new(Mutex::new(copying));
    let ticking = Arc::clone(&copying);
    let tick = move || ticking.lock().map_or(true, |mut copying| copying.must_stop());
    connection
        .progress_handler(INSTRUCTIONS_BETWEEN_TICKS, Some(tick))
        .and_then(|()| connection.execute(sql::VACUUM_INTO, [files.partial_text()]))
        .map_err(failed(doing))?;
    slot.close();
    copying.lock().unwrap_or_else(PoisonError::into_inner).complete();
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
        let place = |name: &str| folder.path().join(name);
        let store = crate::open(place("flights.db")).await.unwrap();
        let departed = NewEvent::json("FlightDeparted", "{}").unwrap();
        store.append_to("flight-UA1545", Expected::NoStream, [departed]).await.unwrap();
        // A file on a disk that is always full.
        std::os::unix::fs::symlink("/dev/full", place("partial")).unwrap();
        let files = BackupFiles::with_partial(place("backup.db"), place("partial")).unwrap();
        let made = make(store.file(), files, |_| {}, &Abandoned::default());
        let error = made.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert!(!place("backup.db").exists());
        assert!(fs::symlink_metadata(place("partial")).is_err());
        store.backup(place("backup.db")).await.unwrap();
    }
}
