use std::fs::{self, Metadata};
use std::path::Path;

use downlink::{Error, ErrorKind, Result};

/// Implements [`DatabaseFile::check_aliases`](crate::DatabaseFile::check_aliases). If the
/// file cannot be inspected, opening it reports why.
pub(crate) fn check_aliases(path: &Path) -> Result<()> {
    let Ok(real) = path.canonicalize() else { return Ok(()) };
    let Ok(metadata) = fs::metadata(&real) else { return Ok(()) };
    let names = names(&metadata);
    if metadata.is_file() && names > 1 {
        return Err(refused(format!(
            "the file {} has {names} names (hard links), and SQLite keeps a separate WAL for each: \
             remove the others, which `find / -xdev -inum {}` lists, or open a copy",
            path.display(),
            inode(&metadata)
        )));
    }
    if metadata.is_file() && is_mounted(&real) {
        return Err(refused(format!(
            "the file {} is itself a mount point, and its WAL would not be in the folder that it comes \
             from: mount that folder instead",
            path.display()
        )));
    }
    Ok(())
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(unix)]
fn names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// Whether exactly this path is a mount point, as far as the system reports it.
fn is_mounted(real: &Path) -> bool {
    let path = real.as_os_str().as_encoded_bytes();
    fs::read(MOUNTS).is_ok_and(|table| is_mount_point(&table, path))
}

#[cfg(target_os = "linux")]
const MOUNTS: &str = "/proc/self/mountinfo";

#[cfg(not(target_os = "linux"))]
const MOUNTS: &str = "";

/// The fifth field of a line is the mount point, in which blanks and backslashes are
/// written as three octal digits.
fn is_mount_point(table: &[u8], path: &[u8]) -> bool {
    let escaped = escaped(path);
    table
        .split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b' ').nth(4).is_some_and(|point| point == escaped))
}

fn escaped(path: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend(format!("\\{byte:03o}").bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_a_mount_point_is_found() {
        let table = b"36 35 98:0 / /srv rw - ext4 /dev/sda1 rw\n\
            37 35 98:0 /a.db /srv/my\\040flights.db rw - ext4 /dev/sda1 rw\n";
        assert!(is_mount_point(table, b"/srv/my flights.db"));
        assert!(!is_mount_point(table, b"/srv/flights.db"));
        assert!(!is_mount_point(table, b"/srv/my"));
    }
}
