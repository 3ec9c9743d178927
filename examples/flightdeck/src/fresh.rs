use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::LogOptions;
use crate::start_error::StartError;

/// Deletes a log and its sidecar files, if they exist.
///
/// # Errors
///
/// [`StartError::NotALog`] if the file is not a log, and [`StartError::NotAFile`] for a
/// database; then nothing is deleted.
pub(crate) async fn delete(log: &LogOptions) -> Result<(), StartError> {
    if !log.store.is_file() {
        return Err(StartError::NotAFile(log.place()));
    }
    delete_file(&log.db).await
}

async fn delete_file(path: &Path) -> Result<(), StartError> {
    let file = match path.canonicalize() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StartError::Delete(path.into(), error)),
    };
    // Opening succeeds only if the file is a log.
    let log = downlink_rusqlite::open(&file).await;
    log.map_err(|error| StartError::NotALog(path.into(), error))?.close().await;
    for suffix in ["", "-wal", "-shm", "-gate", "-turn"] {
        remove(&with_suffix(&file, suffix))
            .map_err(|error| StartError::Delete(path.into(), error))?;
    }
    Ok(())
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_is_deleted_with_its_sidecars() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flightdeck.db");
        downlink_rusqlite::open(&path).await.unwrap().close().await;
        fs::write(with_suffix(&path, "-wal"), "").unwrap();
        delete_file(&path).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        delete_file(&path).await.expect("nothing to delete");
    }

    #[tokio::test]
    async fn other_files_are_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.txt");
        fs::write(&path, "three years of work").unwrap();
        let refused = delete_file(&path).await.unwrap_err();
        assert!(matches!(refused, StartError::NotALog(..)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three years of work");
        assert!(matches!(delete_file(folder.path()).await, Err(StartError::NotALog(..))));
    }
}
