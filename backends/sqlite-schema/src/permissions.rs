//! The owner and the mode of the files that Downlink makes. On systems other than
//! Unix they are as the system makes them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Makes an empty file with this mode, unless there is one.
///
/// SQLite would make it readable for everyone whom the umask of the process does
/// not keep out.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<()> {
    // Closing a file drops the locks that this process has on it. As long as all that would
    // open a store on it wait here, there are none.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Ok(());
    }
    match new(&named(path), mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Makes a new file with the owner and the mode of a database.
pub(crate) fn create_like(path: &Path, database: &Path) -> io::Result<()> {
    let file = new(path, 0o600)?;
    follow(&file, database);
    Ok(())
}

/// What a symbolic link names, which is made by opening it.
fn named(path: &Path) -> PathBuf {
    match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    }
}

fn new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    of_nobody_else(&mut options);
    let file = options.open(path)?;
    set_mode(&file, mode)?;
    Ok(file)
}

/// Gives a file beside a database its owner and mode, as SQLite does with the WAL,
/// as far as the system lets us: then whoever can open the one can open the other.
pub(crate) fn follow(file: &File, database: &Path) {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(database)) else { return };
    // Whether it can be opened is what matters in the end, and is told.
    let _ = unix::follow(file, &ours, &theirs);
}

use unix::set_mode;
pub(crate) use unix::{of_nobody_else, owner};

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;

    /// Until it has its own mode.
    pub(crate) fn of_nobody_else(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode & 0o777))
    }

    pub(super) fn follow(file: &File, ours: &Metadata, theirs: &Metadata) -> io::Result<()> {
        if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
            // Only the administrator may, and a file of another owner keeps its mode.
            fchown(file, Some(theirs.uid()), Some(theirs.gid()))?;
        }
        if ours.mode() & 0o777 == theirs.mode() & 0o777 {
            return Ok(());
        }
        set_mode(file, theirs.mode())
    }

    /// Whose a file is, in words.
    pub(crate) fn owner(path: &Path) -> Option<String> {
        let metadata = path.metadata().ok()?;
        Some(format!("user {} with mode {:03o}", metadata.uid(), metadata.mode() & 0o777))
    }
}

#[cfg(not(unix))]
mod unix {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(crate) fn of_nobody_else(_: &mut OpenOptions) {}

    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
    pub(crate) fn set_mode(_: &File, _: u32) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
    pub(super) fn follow(_: &File, _: &Metadata, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn owner(_: &Path) -> Option<String> {
        None
    }
}
