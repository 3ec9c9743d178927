//! The owner and the mode of the files that Downlink creates. On systems other than
//! Unix, the system decides them.

use std::error::Error as StdError;
use std::fs::{self, File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, io};

use crate::open_files::FileIdentity;

/// Creates an empty file with this mode, unless there is one.
///
/// SQLite would make it readable for every user whom the umask of the process does not
/// exclude.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<()> {
    // Closing a file drops the locks that this process holds on it. Callers that want to open
    // a store on a new file wait here, so it has no locks yet.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Ok(());
    }
    match create_with_mode(&resolve_links(path), mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Creates a new file with the owner and the mode of a database.
pub(crate) fn create_like(path: &Path, database: &Path) -> io::Result<()> {
    let file = create_with_mode(path, 0o600)?;
    copy_permissions(&file, database);
    Ok(())
}

/// The final target of a symbolic link, through any other links: the file that opening the
/// link creates.
fn resolve_links(path: &Path) -> PathBuf {
    let mut named = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (Ok(target), Some(folder)) = (fs::read_link(&named), named.parent()) else { break };
        named = folder.join(target);
    }
    named
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// Opens a file next to a database, or creates an empty one, with the owner and the mode of
/// the database.
///
/// The folder may belong to another user, who could put a link to any file there. So this
/// neither opens nor changes anything but a regular file with one name.
pub(crate) fn open_beside(path: &Path, database: &Path) -> io::Result<File> {
    let mut tries = 1..MAX_TRIES;
    loop {
        match open_or_create(path) {
            Ok(file) => {
                copy_permissions(&file, database);
                return Ok(file);
            }
            Err(error) if is_race(&error) && tries.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

/// How often to look for a file that appears and disappears.
const MAX_TRIES: u32 = 10;

/// Whether the file may have appeared or disappeared in between.
fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound)
}

fn open_or_create(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(seen) => open_regular(path, &seen),
        // Creating a new file does not follow links.
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_new(path),
        Err(error) => Err(error),
    }
}

fn open_regular(path: &Path, seen: &Metadata) -> io::Result<File> {
    if !is_regular(seen) {
        return Err(NotRegular.into());
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let opened = file.metadata()?;
    // A link may have replaced the file in between.
    let is_seen = FileIdentity::from(&opened) == FileIdentity::from(seen);
    if is_seen && is_regular(&opened) { Ok(file) } else { Err(NotRegular.into()) }
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    restrict_to_owner(&mut options);
    options.open(path)
}

/// The file is a link, has other names, or is not a regular file.
#[derive(Debug)]
pub(crate) struct NotRegular;

impl NotRegular {
    /// Whether this is the cause of an error.
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        matches!(error.get_ref(), Some(cause) if cause.is::<Self>())
    }
}

impl fmt::Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is a link, has other names, or is not a regular file")
    }
}

impl StdError for NotRegular {}

impl From<NotRegular> for io::Error {
    fn from(cause: NotRegular) -> Self {
        Self::other(cause)
    }
}

/// Whether this user lacks permission or the disk is read-only. Other errors, such as too
/// many open files or a full disk, have other causes.
pub(crate) fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn create_with_mode(path: &Path, mode: u32) -> io::Result<File> {
    let file = create_new(path)?;
    set_mode(&file, mode)?;
    Ok(file)
}

/// Gives a file next to a database the owner and mode of the database, as SQLite does with
/// the WAL, where the system permits it. A user who can open one can then open the other.
pub(crate) fn copy_permissions(file: &File, database: &Path) {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(database)) else { return };
    unix::copy_permissions(file, &ours, &theirs);
}

use unix::is_regular;
use unix::set_mode;
pub(crate) use unix::{may_write, owner, owner_id, restrict_to_owner};

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;

    /// Restricts a new file to its owner until it gets its final mode.
    pub(crate) fn restrict_to_owner(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode & 0o777))
    }

    /// Ignores what the system refuses: if the file cannot be opened later, that is
    /// reported.
    pub(super) fn copy_permissions(file: &File, ours: &Metadata, theirs: &Metadata) {
        let mut is_same_group = ours.gid() == theirs.gid();
        if ours.uid() != theirs.uid() || !is_same_group {
            // Only root may change the owner of a file; the owner may change its group to
            // one of their own groups.
            is_same_group = fchown(file, Some(theirs.uid()), Some(theirs.gid()))
                .or_else(|_| fchown(file, None, Some(theirs.gid())))
                .is_ok();
        }
        let mode = mode_for(theirs.mode() & 0o777, is_same_group);
        if ours.mode() & 0o777 != mode {
            // The system refuses this for a file of another owner.
            let _ = set_mode(file, mode);
        }
    }

    /// A group other than the database's gets the permissions of all other users.
    fn mode_for(mode: u32, is_same_group: bool) -> u32 {
        if is_same_group { mode } else { mode & (0o707 | (mode & 0o007) << 3) }
    }

    pub(super) fn is_regular(metadata: &Metadata) -> bool {
        metadata.is_file() && metadata.nlink() == 1
    }

    /// Whether this user may read and write the file according to its mode.
    pub(crate) fn may_write(metadata: &Metadata, user: Option<u32>) -> bool {
        let is_owner = user == Some(metadata.uid()) && metadata.mode() & 0o600 == 0o600;
        is_owner || user == Some(0)
    }

    /// The owner of an open file.
    pub(crate) fn owner_id(file: &File) -> Option<u32> {
        file.metadata().ok().map(|metadata| metadata.uid())
    }

    /// The owner and mode of a file, in words.
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

    pub(crate) fn restrict_to_owner(_: &mut OpenOptions) {}

    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
    pub(crate) fn set_mode(_: &File, _: u32) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn copy_permissions(_: &File, _: &Metadata, _: &Metadata) {}

    pub(super) fn is_regular(metadata: &Metadata) -> bool {
        metadata.is_file()
    }

    pub(crate) fn may_write(_: &Metadata, _: Option<u32>) -> bool {
        false
    }

    pub(crate) fn owner_id(_: &File) -> Option<u32> {
        None
    }

    pub(crate) fn owner(_: &Path) -> Option<String> {
        None
    }
}
