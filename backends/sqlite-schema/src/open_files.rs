use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use downlink::{Error, ErrorKind, Result};

/// The device and inode of the file that a path names.
///
/// They come from the metadata of the path, never from opening the file: closing a
/// descriptor of our own would drop the locks that SQLite holds for this process.
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
    /// Any error of the system except "not found".
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
    /// All files are equal: on such systems an open file cannot be replaced.
    fn from(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// The files of one open database, to detect that they are removed or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    path: PathBuf,
    database: Option<FileIdentity>,
    /// The WAL and its index, if they exist.
    sidecars: Vec<(PathBuf, FileIdentity)>,
}

/// Whether an open connection still has the files that its path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It has.
    Same,
    /// The path names another file: close the connection and open another.
    Replaced,
    /// The database is the same, but its WAL or the WAL's index is gone or another file:
    /// what this connection writes is not in the log that others open.
    SidecarsLost,
}

impl OpenFiles {
    /// The files as they are now. Call this right after opening, when the database and
    /// its sidecars exist.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if their metadata cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let database = identity(path)?;
        // SQLite puts them next to the target of a symbolic link.
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

    /// Whether both have the same database, regardless of their sidecars.
    #[must_use]
    pub fn is_same_database(&self, other: &Self) -> bool {
        self.database == other.database
    }

    /// Compares with the files as they are now. Call this for an open connection only:
    /// closing the last one removes the sidecars.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the database is gone, or if another
    /// database is next to the sidecars of this one, which SQLite would apply to it.
    pub fn check(&self) -> Result<FileState> {
        if self.is_database_same()? {
            // SQLite removes the sidecars with the last connection, and this one is open.
            let lost = self.lost_sidecar()?;
            return Ok(if lost.is_some() { FileState::SidecarsLost } else { FileState::Same });
        }
        for (path, file) in &self.sidecars {
            if identity(path)? == Some(*file) {
                let message = format!(
                    "the file {} was replaced, and {} of the previous file is still there: remove it",
                    self.path.display(),
                    path.display()
                );
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        }
        Ok(FileState::Replaced)
    }

    /// Whether the path still names the database.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the path names no file.
    pub fn is_database_same(&self) -> Result<bool> {
        let database = identity(&self.path)?.ok_or_else(|| missing(&self.path))?;
        Ok(Some(database) == self.database)
    }

    /// The first sidecar that is gone or another file now.
    fn lost_sidecar(&self) -> Result<Option<&Path>> {
        for (path, file) in &self.sidecars {
            if identity(path)? != Some(*file) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Whether another program has its own sidecars in the place of these. Then do not
    /// close a connection to these files: SQLite would move its WAL into the database
    /// that the other program has changed since.
    #[must_use]
    pub fn are_others_there(&self) -> bool {
        let is_other = |(path, file): &(PathBuf, FileIdentity)| {
            FileIdentity::of(path).is_ok_and(|found| found.is_some_and(|found| found != *file))
        };
        self.is_database_same().is_ok_and(|same| same) && self.sidecars.iter().any(is_other)
    }

    /// An [`Unavailable`](ErrorKind::Unavailable): the files are
    /// [`FileState::SidecarsLost`].
    #[must_use]
    pub fn sidecars_lost(&self) -> Error {
        let sidecar = self.lost_sidecar().ok().flatten().unwrap_or(&self.path);
        let message = format!(
            "{} was removed or replaced while {} was open, and appends would be lost: stop all \
             programs that have the log open, and start them again",
            sidecar.display(),
            self.path.display()
        );
        Error::new(ErrorKind::Unavailable, message)
    }
}

/// An [`Unavailable`](ErrorKind::Unavailable): the database is gone, and no empty one is
/// created in its place.
#[must_use]
pub fn missing(path: &Path) -> Error {
    let message =
        format!("the file {} does not exist: restore it, or open the store again", path.display());
    Error::new(ErrorKind::Unavailable, message)
}

fn identity(path: &Path) -> Result<Option<FileIdentity>> {
    FileIdentity::of(path).map_err(|error| {
        let message = format!("could not read the metadata of the file {}", path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}

fn sidecar(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
