use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use downlink::ErrorKind;

use crate::folder_probe::{FolderAccess, FolderProbe};
use crate::permissions;
use crate::result_code::{BUSY, CANTOPEN, LOCKED, NOTADB, PERM, READONLY};

/// Explains why a file cannot be opened, and what to do about it. SQLite has one result
/// code for several causes, so this also looks at the file system. `None` if the code is
/// about something else.
///
/// This does not open the file itself: closing it would drop the locks of this process.
pub(crate) fn explain_open_failure(
    path: &Path,
    code: i32,
    probe: &FolderProbe,
) -> Option<(ErrorKind, String)> {
    match code & 0xff {
        BUSY | LOCKED => {
            let what = "another program kept it locked past the deadline: end that program or its \
                        transaction";
            Some((ErrorKind::Busy, what.to_owned()))
        }
        NOTADB => {
            let what =
                "the file is not a SQLite database: name another file, or move this one away";
            Some((ErrorKind::Corrupt, what.to_owned()))
        }
        READONLY | PERM | CANTOPEN => Some(explain_path(path, code & 0xff, probe)),
        _ => None,
    }
}

fn explain_path(path: &Path, code: i32, probe: &FolderProbe) -> (ErrorKind, String) {
    let folder = path.parent().unwrap_or(path);
    let unavailable = |what: String| (ErrorKind::Unavailable, what);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let name = path.display();
            let what = format!("it is a folder: name a file in it, as in {name}/flights.db");
            (ErrorKind::Invalid, what)
        }
        Ok(metadata) => unavailable(explain_file(path, &metadata, code, probe)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unavailable(format!(
            "this process may not search the folder {}{}: grant its user access",
            folder.display(),
            owner_of(folder)
        )),
        Err(_) if !folder.exists() => {
            unavailable(format!("the folder {} does not exist: create it", folder.display()))
        }
        Err(_) if !folder.is_dir() => {
            unavailable(format!("{} is not a folder: name another one", folder.display()))
        }
        Err(error) => unavailable(explain_missing_file(path, folder, probe, &error)),
    }
}

fn explain_file(path: &Path, metadata: &Metadata, code: i32, probe: &FolderProbe) -> String {
    // SQLite follows a symbolic link and writes next to its target.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().unwrap_or(path);
    match probe.of(folder) {
        FolderAccess::Forbidden => read_only_folder(folder),
        FolderAccess::Failed(what) => what,
        // The mode is not the cause then, and the cause may have passed.
        FolderAccess::Writable { user } if permissions::may_write(metadata, user) => {
            "SQLite cannot open it or a file next to it, although this process may: check whether \
             it has too many files open, and retry"
                .to_owned()
        }
        FolderAccess::Writable { .. } => {
            let may = if code == READONLY { "only read" } else { "not open" };
            format!(
                "this process may {may} the file{}, and SQLite must write to it: let its user read and \
                 write it",
                owner_of(&real)
            )
        }
    }
}

fn explain_missing_file(
    path: &Path,
    folder: &Path,
    probe: &FolderProbe,
    error: &io::Error,
) -> String {
    match probe.of(folder) {
        FolderAccess::Forbidden => read_only_folder(folder),
        FolderAccess::Failed(what) => what,
        FolderAccess::Writable { .. } if path.is_symlink() => {
            "it is a link into a folder that does not exist or is not writable: create that \
             folder, or name another file"
                .to_owned()
        }
        FolderAccess::Writable { .. } if error.kind() == io::ErrorKind::NotFound => {
            "SQLite cannot create it, although this process may create files in its folder: check \
             whether it has too many files open, and retry"
                .to_owned()
        }
        FolderAccess::Writable { .. } => format!("the system reports: {error}"),
    }
}

fn read_only_folder(folder: &Path) -> String {
    format!(
        "this process may not write in the folder {}{}, where SQLite creates files next to the \
         database: grant its user access, and check whether the disk is read-only",
        folder.display(),
        owner_of(folder)
    )
}

fn owner_of(path: &Path) -> String {
    permissions::owner(path).map_or_else(String::new, |owner| format!(" of {owner}"))
}
