use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use downlink::{Error, ErrorKind, Result};

/// The file that a path names, as the system knows it.
///
/// Found by asking for the path's metadata, never by opening the file: closing
/// a descriptor of our own would drop the locks that SQLite holds for this
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The file at this path; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What the system says but for "not found".
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::from(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(unix)]
impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[cfg(not(unix))]
impl From<&Metadata> for FileIdentity {
    /// Every file looks the same: an open file cannot be replaced there.
    fn from(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// The files of one open database, to notice that somebody replaced them.
#[derive(Clone, Debug)]
pub struct OpenFiles {
    path: PathBuf,
    database: Option<FileIdentity>,
    /// The WAL and its index, where there are such.
    sidecars: Vec<(PathBuf, FileIdentity)>,
}

/// Whether a connection still has the file that its path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has.
    Same,
    /// The path names another file: close the connection and open another.
    Replaced,
}

impl OpenFiles {
    /// The files as they are now. Ask right after opening, when the database
    /// and its sidecars exist.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the system does not tell.
    pub fn of(path: &Path) -> Result<Self> {
        let database = identity(path)?;
        // SQLite puts them beside the file that a symbolic link names.
        let real = path.canonicalize().unwrap_or_else(|_| path.into());
        let mut sidecars = Vec::new();
        for path in ["-wal", "-shm"].map(|end| sidecar(&real, end)) {
            sidecars.extend(identity(&path)?.map(|file| (path, file)));
        }
        Ok(Self { path: path.into(), database, sidecars })
    }

    /// Whether the database is this file.
    #[must_use]
    pub fn is_of(&self, database: Option<FileIdentity>) -> bool {
        self.database == database
    }

    /// Compares with the files as they are now.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the database is gone, or if
    /// another one stands beside the sidecars of this one, which SQLite would
    /// mistake for its own and mix in.
    pub fn check(&self) -> Result<Seen> {
        let database = identity(&self.path)?.ok_or_else(|| missing(&self.path))?;
        if Some(database) == self.database {
            return Ok(Seen::Same);
        }
        for (path, file) in &self.sidecars {
            if identity(path)? == Some(*file) {
                let message = format!(
                    "the file {} was replaced, and {} of the one before is still there: remove it",
                    self.path.display(),
                    path.display()
                );
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        }
        Ok(Seen::Replaced)
    }
}

/// An [`Unavailable`](ErrorKind::Unavailable): the database is gone, and an
/// empty one is not made in its place.
#[must_use]
pub fn missing(path: &Path) -> Error {
    let message =
        format!("the file {} is not there: put it back, or open the store anew", path.display());
    Error::new(ErrorKind::Unavailable, message)
}

fn identity(path: &Path) -> Result<Option<FileIdentity>> {
    FileIdentity::of(path).map_err(|error| {
        let message = format!("the file {} cannot be looked at", path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}

fn sidecar(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
