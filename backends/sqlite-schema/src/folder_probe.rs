use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::permissions;

/// Finds out whether this process can create files in a folder, by creating one.
#[derive(Debug, Default)]
pub(crate) struct FolderProbe {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    folder: PathBuf,
    access: FolderAccess,
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FolderAccess {
    /// It can. `user` owns the new file, on systems that have owners.
    Writable { user: Option<u32> },
    /// It lacks permission, or the disk is read-only.
    Forbidden,
    /// It cannot for another reason, which the system reports.
    Failed(String),
}

impl FolderProbe {
    /// Creates a file in the folder and removes it. A recent result is reused, so that
    /// repeated attempts to connect do not write each time.
    pub(crate) fn of(&self, folder: &Path) -> FolderAccess {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.folder == folder
            && last.at.elapsed() < KEPT
        {
            return last.access.clone();
        }
        let access = FolderAccess::from(make(folder));
        *last = Some(Last { at: Instant::now(), folder: folder.into(), access: access.clone() });
        access
    }
}

const KEPT: Duration = Duration::from_secs(30);

impl From<io::Result<Option<u32>>> for FolderAccess {
    fn from(made: io::Result<Option<u32>>) -> Self {
        match made {
            Ok(user) => Self::Writable { user },
            Err(error) if permissions::is_forbidden(&error) => Self::Forbidden,
            Err(error) => Self::Failed(format!("the system reports: {error}")),
        }
    }
}

fn make(folder: &Path) -> io::Result<Option<u32>> {
    let path = folder.join(format!(".downlink-probe-{}", process::id()));
    let file = match open(&path) {
        // A killed process with this number has left it, or another store probes at the
        // same time: whether it can be removed answers the question as well.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(&path)?;
            open(&path)?
        }
        opened => opened?,
    };
    let user = permissions::owner_id(&file);
    remove(&path)?;
    Ok(user)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    permissions::restrict_to_owner(&mut options);
    options.open(path)
}

/// Another store of this process may have removed it.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_left_by_a_killed_process_is_removed_first() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!(".downlink-probe-{}", process::id()));
        fs::write(&left, "").unwrap();
        assert!(matches!(FolderProbe::default().of(folder.path()), FolderAccess::Writable { .. }));
        assert!(!left.exists());
        // Not even root can remove this one, so the folder does not count as writable.
        fs::create_dir(&left).unwrap();
        let access = FolderProbe::default().of(folder.path());
        assert!(!matches!(access, FolderAccess::Writable { .. }), "{access:?}");
    }

    #[test]
    fn a_recent_result_is_reused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, probe) = (folder.path().to_owned(), FolderProbe::default());
        let first = probe.of(&path);
        assert!(matches!(first, FolderAccess::Writable { .. }));
        drop(folder);
        assert_eq!(probe.of(&path), first);
        assert!(matches!(FolderProbe::default().of(&path), FolderAccess::Failed(_)));
    }

    #[test]
    fn only_missing_permission_is_forbidden() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert_eq!(FolderAccess::from(Err(kind.into())), FolderAccess::Forbidden);
        }
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let failed = FolderAccess::from(Err(kind.into()));
            let FolderAccess::Failed(what) = failed else { panic!("{failed:?}") };
            assert_eq!(what, format!("the system reports: {}", io::Error::from(kind)));
        }
    }
}
