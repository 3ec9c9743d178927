use std::path::{Path, PathBuf};
use std::{fs, io};

use downlink::{Error, ErrorKind, Result};

/// Deletes the file of a log that is not open anywhere, with what belongs to it: the WAL, its index, and the
/// files of the [`FairLock`](crate::FairLock). Blocks.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) if one of them cannot be deleted.
pub fn delete_files(path: &Path) -> Result<()> {
    let failed = |path: &Path, error| {
        let message = format!("could not delete {}", path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    };
    let file = path.canonicalize().map_err(|error| failed(path, error))?;
    // The database first: what is left without it is no log, and SQLite discards a WAL without a database.
    for end in ["", "-wal", "-shm", "-gate", "-turn"] {
        let part = with_end(&file, end);
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&part, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_deleted_with_what_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        for end in ["", "-wal", "-shm", "-gate", "-turn"] {
            fs::write(folder.path().join(format!("flights.db{end}")), "").unwrap();
        }
        delete_files(&folder.path().join("flights.db")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let nothing = delete_files(&folder.path().join("flights.db")).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::Unavailable);
    }
}
