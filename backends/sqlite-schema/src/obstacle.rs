//! Why a file cannot be opened: SQLite gives one code for several causes, and the
//! system knows which it is.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use downlink::ErrorKind;

use crate::code::{BUSY, CANTOPEN, LOCKED, NOTADB, PERM, READONLY};
use crate::permissions;
use crate::probe::{Probe, Probed};

/// What is in the way, and what to do about it, of a result code and what the
/// system says. `None` if the code is about something else.
///
/// The file itself is not opened to find out: closing it would drop the locks of
/// this process.
pub(crate) fn obstacle(path: &Path, code: i32, probe: &Probe) -> Option<(ErrorKind, String)> {
    match code & 0xff {
        BUSY | LOCKED => {
            let what = "another program has locked it past the deadline: end that program or its \
                        transaction";
            Some((ErrorKind::Busy, what.to_owned()))
        }
        NOTADB => {
            let what = "the file is not a SQLite database: name another, or move this one away";
            Some((ErrorKind::Corrupt, what.to_owned()))
        }
        READONLY | PERM | CANTOPEN => Some(of_place(path, code & 0xff, probe)),
        _ => None,
    }
}

fn of_place(path: &Path, code: i32, probe: &Probe) -> (ErrorKind, String) {
    let folder = path.parent().unwrap_or(path);
    let unavailable = |what: String| (ErrorKind::Unavailable, what);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let name = path.display();
            let what = format!("it is a folder: name a file in it, as in {name}/flights.db");
            (ErrorKind::Invalid, what)
        }
        Ok(metadata) => unavailable(of_file(path, &metadata, code, probe)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unavailable(format!(
            "this process may not look into the folder {}{}: let its user do so",
            folder.display(),
            whose(folder)
        )),
        Err(_) if !folder.exists() => {
            unavailable(format!("the folder {} does not exist: make it", folder.display()))
        }
        Err(_) if !folder.is_dir() => {
            unavailable(format!("{} is not a folder: name another", folder.display()))
        }
        Err(error) => unavailable(of_no_file(path, folder, probe, &error)),
    }
}

fn of_file(path: &Path, metadata: &Metadata, code: i32, probe: &Probe) -> String {
    // SQLite follows a symbolic link, and writes where that leads.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().unwrap_or(path);
    match probe.of(folder) {
        Probed::Forbidden => read_only_folder(folder),
        Probed::Failed(what) => what,
        // Then the cause is not the mode, and may have passed since.
        Probed::Writable { user } if permissions::may_write(metadata, user) => {
            "SQLite cannot open it or a file beside it, though this process may: see whether it has \
             too many files open, and repeat"
                .to_owned()
        }
        Probed::Writable { .. } => {
            let may = if code == READONLY { "only read" } else { "not open" };
            format!(
                "this process may {may} the file{}, and SQLite has to write: let its user read and \
                 write it",
                whose(&real)
            )
        }
    }
}

fn of_no_file(path: &Path, folder: &Path, probe: &Probe, error: &io::Error) -> String {
    match probe.of(folder) {
        Probed::Forbidden => read_only_folder(folder),
        Probed::Failed(what) => what,
        Probed::Writable { .. } if path.is_symlink() => {
            "it is a link into a folder that does not exist or may not be written to: make that \
             folder, or name another file"
                .to_owned()
        }
        Probed::Writable { .. } if error.kind() == io::ErrorKind::NotFound => {
            "SQLite cannot make it, though this process may make files in its folder: see whether \
             it has too many files open, and repeat"
                .to_owned()
        }
        Probed::Writable { .. } => format!("the system says: {error}"),
    }
}

fn read_only_folder(folder: &Path) -> String {
    format!(
        "this process may not write in the folder {}{}, where SQLite makes files beside the \
         database: let its user do so, and see whether the disk is read-only",
        folder.display(),
        whose(folder)
    )
}

fn whose(path: &Path) -> String {
    permissions::owner(path).map_or_else(String::new, |owner| format!(" of {owner}"))
}
