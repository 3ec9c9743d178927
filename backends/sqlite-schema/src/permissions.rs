//! The owner and the mode of the files that Downlink makes. On systems other than
//! Unix they are as the system makes them.

use std::error::Error as StdError;
use std::fs::{self, File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, io};

use crate::FileIdentity;

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

/// What a symbolic link names in the end, also through other links, which is made by
/// opening it.
fn named(path: &Path) -> PathBuf {
    let mut named = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (Ok(target), Some(folder)) = (fs::read_link(&named), named.parent()) else { break };
        named = folder.join(target);
    }
    named
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// Opens a file beside a database, or makes an empty one, with the owner and the mode of
/// the database.
///
/// The folder may be another user's, who could put a link to any file there. So what is
/// no plain file of one name is neither opened nor given away.
pub(crate) fn open_beside(path: &Path, database: &Path) -> io::Result<File> {
    let mut tries = 1..MAX_TRIES;
    loop {
        match open_or_make(path) {
            Ok(file) => {
                follow(&file, database);
                return Ok(file);
            }
            Err(error) if may_have_changed(&error) && tries.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

/// How often a file is looked for that comes and goes.
const MAX_TRIES: u32 = 10;

/// Whether it may have come or gone after it was looked for.
fn may_have_changed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound)
}

fn open_or_make(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(seen) => open_plain(path, &seen),
        // This follows no link.
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn open_plain(path: &Path, seen: &Metadata) -> io::Result<File> {
    if !is_plain(seen) {
        return Err(NotPlain.into());
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let opened = file.metadata()?;
    // A link may have come in between.
    let is_seen = FileIdentity::from(&opened) == FileIdentity::from(seen);
    if is_seen && is_plain(&opened) { Ok(file) } else { Err(NotPlain.into()) }
}

fn make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    of_nobody_else(&mut options);
    options.open(path)
}

/// The file is a link, has other names, or is no plain file.
#[derive(Debug)]
pub(crate) struct NotPlain;

impl NotPlain {
    /// Whether this is the cause.
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        matches!(error.get_ref(), Some(cause) if cause.is::<Self>())
    }
}

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is a link, has other names, or is no plain file")
    }
}

impl StdError for NotPlain {}

impl From<NotPlain> for io::Error {
    fn from(cause: NotPlain) -> Self {
        Self::other(cause)
    }
}

/// Whether the system refuses it to this user or on this disk: other errors, such as too
/// many open files or a full disk, are about something else.
pub(crate) fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn new(path: &Path, mode: u32) -> io::Result<File> {
    let file = make(path)?;
    set_mode(&file, mode)?;
    Ok(file)
}

/// Gives a file beside a database its owner and mode, as SQLite does with the WAL,
/// as far as the system lets us: then a user who can open the one can open the other.
pub(crate) fn follow(file: &File, database: &Path) {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(database)) else { return };
    unix::follow(file, &ours, &theirs);
}

use unix::is_plain;
use unix::set_mode;
pub(crate) use unix::{may_write, of_nobody_else, owner, owner_id};

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

    /// Whether it can be opened in the end is what matters, and is told: what the system
    /// refuses here is left as it is.
    pub(super) fn follow(file: &File, ours: &Metadata, theirs: &Metadata) {
        let mut is_same_group = ours.gid() == theirs.gid();
        if ours.uid() != theirs.uid() || !is_same_group {
            // Only the administrator may give a file away; its owner may give it to a
            // group that he is in.
            is_same_group = fchown(file, Some(theirs.uid()), Some(theirs.gid()))
                .or_else(|_| fchown(file, None, Some(theirs.gid())))
                .is_ok();
        }
        let mode = mode_for(theirs.mode() & 0o777, is_same_group);
        if ours.mode() & 0o777 != mode {
            // The system refuses it for a file of another owner.
            let _ = set_mode(file, mode);
        }
    }

    /// A group that is not the database's may do what everyone may.
    fn mode_for(mode: u32, is_same_group: bool) -> u32 {
        if is_same_group { mode } else { mode & (0o707 | (mode & 0o007) << 3) }
    }

    pub(super) fn is_plain(metadata: &Metadata) -> bool {
        metadata.is_file() && metadata.nlink() == 1
    }

    /// Whether this user may read and write it, as far as the mode alone says so.
    pub(crate) fn may_write(metadata: &Metadata, user: Option<u32>) -> bool {
        let is_owner = user == Some(metadata.uid()) && metadata.mode() & 0o600 == 0o600;
        is_owner || user == Some(0)
    }

    /// Whose an open file is.
    pub(crate) fn owner_id(file: &File) -> Option<u32> {
        file.metadata().ok().map(|metadata| metadata.uid())
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

    pub(super) fn follow(_: &File, _: &Metadata, _: &Metadata) {}

    pub(super) fn is_plain(metadata: &Metadata) -> bool {
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
