//! Why a file cannot be opened: SQLite gives one code for several causes, and the
//! system knows which it is.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process;

use downlink::ErrorKind;

use crate::code::{BUSY, CANTOPEN, LOCKED, NOTADB, PERM, READONLY};
use crate::permissions;

/// What is in the way, and what to do about it, of a result code and what the
/// system says. `None` if the code is about something else.
///
/// The file itself is not opened to find out: closing it would drop the locks of
/// this process.
pub(crate) fn obstacle(path: &Path, code: i32) -> Option<(ErrorKind, String)> {
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
        READONLY | PERM | CANTOPEN => Some(of_place(path, code & 0xff)),
        _ => None,
    }
}

fn of_place(path: &Path, code: i32) -> (ErrorKind, String) {
    let folder = path.parent().unwrap_or(path);
    let unavailable = |what: String| (ErrorKind::Unavailable, what);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let name = path.display();
            let what = format!("it is a folder: name a file in it, as in {name}/flights.db");
            (ErrorKind::Invalid, what)
        }
        Ok(_) => unavailable(of_file(path, folder, code)),
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
        Err(_) => unavailable(read_only_folder(folder)),
    }
}

fn of_file(path: &Path, folder: &Path, code: i32) -> String {
    // SQLite follows a symbolic link, and writes where that leads.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().unwrap_or(folder);
    if !is_writable(folder) {
        return read_only_folder(folder);
    }
    let may = if code == READONLY { "only read" } else { "not open" };
    format!(
        "this process may {may} the file{}, and SQLite has to write: let its user read and write it",
        whose(&real)
    )
}

fn read_only_folder(folder: &Path) -> String {
    format!(
        "this process may not write in the folder {}{}, where SQLite makes files beside the \
         database: let its user do so, and see whether the disk is read-only",
        folder.display(),
        whose(folder)
    )
}

/// Whether a file can be made there, which is the one way to know.
fn is_writable(folder: &Path) -> bool {
    let probe = folder.join(format!(".downlink-probe-{}", process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    permissions::of_nobody_else(&mut options);
    match options.open(&probe) {
        Ok(_) => fs::remove_file(&probe).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
    }
}

fn whose(path: &Path) -> String {
    permissions::owner(path).map_or_else(String::new, |owner| format!(" of {owner}"))
}
