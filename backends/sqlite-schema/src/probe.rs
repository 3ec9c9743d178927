use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::permissions;

/// Whether a file can be made in a folder. To make one is the one way to know.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    folder: PathBuf,
    probed: Probed,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// It can, and belongs to this user then, where there are users.
    Writable { user: Option<u32> },
    /// This user may not, or the disk is read-only.
    Forbidden,
    /// It cannot, for another reason that the system names.
    Failed(String),
}

impl Probe {
    /// Makes a file in the folder and removes it, unless that was done a moment ago: who
    /// tries to connect again and again does not write as often.
    pub(crate) fn of(&self, folder: &Path) -> Probed {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.folder == folder
            && last.at.elapsed() < KEPT
        {
            return last.probed.clone();
        }
        let probed = Probed::from(make(folder));
        *last = Some(Last { at: Instant::now(), folder: folder.into(), probed: probed.clone() });
        probed
    }
}

const KEPT: Duration = Duration::from_secs(30);

impl From<io::Result<Option<u32>>> for Probed {
    fn from(made: io::Result<Option<u32>>) -> Self {
        match made {
            Ok(user) => Self::Writable { user },
            Err(error) if permissions::is_forbidden(&error) => Self::Forbidden,
            Err(error) => Self::Failed(format!("the system says: {error}")),
        }
    }
}

fn make(folder: &Path) -> io::Result<Option<u32>> {
    let path = folder.join(format!(".downlink-probe-{}", process::id()));
    let file = match open(&path) {
        // A process with this number was killed and has left it, or another store makes
        // the same: whether it can be removed says as much.
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
    permissions::of_nobody_else(&mut options);
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
    fn what_a_killed_process_has_left_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!(".downlink-probe-{}", process::id()));
        fs::write(&left, "").unwrap();
        assert!(matches!(Probe::default().of(folder.path()), Probed::Writable { .. }));
        assert!(!left.exists());
        // Where it cannot be removed it says nothing: here not even root can.
        fs::create_dir(&left).unwrap();
        let probed = Probe::default().of(folder.path());
        assert!(!matches!(probed, Probed::Writable { .. }), "{probed:?}");
    }

    #[test]
    fn no_file_is_made_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, probe) = (folder.path().to_owned(), Probe::default());
        let first = probe.of(&path);
        assert!(matches!(first, Probed::Writable { .. }));
        drop(folder);
        assert_eq!(probe.of(&path), first);
        assert!(matches!(Probe::default().of(&path), Probed::Failed(_)));
    }

    #[test]
    fn only_what_is_forbidden_is_told_so() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert_eq!(Probed::from(Err(kind.into())), Probed::Forbidden);
        }
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let failed = Probed::from(Err(kind.into()));
            let Probed::Failed(what) = failed else { panic!("{failed:?}") };
            assert_eq!(what, format!("the system says: {}", io::Error::from(kind)));
        }
    }
}
