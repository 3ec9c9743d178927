use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{
    Abandoned, Backup, BackupFiles, BackupProgress, Copying, INSTRUCTIONS_BETWEEN_TICKS, Published,
    Waiting, absolute, sql,
};
use sqlx::SqliteConnection;
use tokio::task::{JoinError, spawn_blocking};

use crate::connection::{Role, Slot};
use crate::error::failed;
use crate::store::{File, SqlxStore};
use crate::verify::walk;

impl SqlxStore {
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
    /// # async fn example(store: downlink_sqlx::SqlxStore) -> downlink::Result<()> {
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
        let making = tokio::spawn(make(file, files, progress, abandoned));
        let published = making.await.map_err(ended)?;
        drop(waiting);
        Ok(published?.keep())
    }
}

fn ended(error: JoinError) -> Error {
    Error::with_source(ErrorKind::Backend, "the backup panicked, or its runtime has ended", error)
}

async fn make<F>(
    file: Arc<File>,
    files: BackupFiles,
    progress: F,
    abandoned: Abandoned,
) -> Result<Published>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    let mut slot = Slot::new(Arc::clone(&file), Role::Backup);
    let copied = match slot.current().await {
        Ok(current) => copy(current.connection, &files, progress, abandoned.clone()).await,
        Err(error) => Err(error),
    };
    // Nothing is to hold up the WAL while the copy is verified.
    slot.close().await;
    copied?;
    let report = walk(Arc::new(file.alike(files.partial().to_owned()))).await?;
    spawn_blocking(move || files.publish(report, &abandoned)).await.map_err(ended)?
}

async fn copy<F>(
    connection: &mut SqliteConnection,
    files: &BackupFiles,
    progress: F,
    abandoned: Abandoned,
) -> Result<()>
where
    F: FnMut(BackupProgress) + Send + 'static,
{
    let doing = "make a backup";
    let total: i64 = sqlx::query_scalar(sql::DATABASE_SIZE)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?;
    let copying = Copying::new(files, total.unsigned_abs(), progress, abandoned);
    let copying = Arc::new(Mutex::new(copying));
    let ticking = Arc::clone(&copying);
    let goes_on = move || ticking.lock().is_ok_and(|mut copying| !copying.must_stop());
    let handle = connection.lock_handle().await;
    handle.map_err(failed(doing))?.set_progress_handler(INSTRUCTIONS_BETWEEN_TICKS, goes_on);
    sqlx::query(sql::VACUUM_INTO)
        .bind(files.partial_text())
        .execute(connection)
        .await
        .map_err(failed(doing))?;
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
        let made = make(Arc::clone(store.file()), files, |_| {}, Abandoned::default());
        let error = made.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert!(!place("backup.db").exists());
        assert!(fs::symlink_metadata(place("partial")).is_err());
        store.backup(place("backup.db")).await.unwrap();
    }
}
