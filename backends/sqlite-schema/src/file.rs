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

/// The files of one open database, to notice that they are removed or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The database is the same, and its WAL or the index of that is not: what
    /// this connection writes is not in the log that others open.
    Torn,
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

    /// Whether both are of one database, whatever their sidecars.
    #[must_use]
    pub fn is_same_database(&self, other: &Self) -> bool {
        self.database == other.database
    }

    /// Compares with the files as they are now. Ask of an open connection only:
    /// the last one that is closed takes the sidecars away.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the database is gone, or if
    /// another one stands beside the sidecars of this one, which SQLite would
    /// mistake for its own and mix in.
    pub fn check(&self) -> Result<Seen> {
        if self.is_database_same()? {
            // SQLite removes the sidecars with the last connection, and this one is open.
            let torn = self.torn()?;
            return Ok(if torn.is_some() { Seen::Torn } else { Seen::Same });
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
    fn torn(&self) -> Result<Option<&Path>> {
        for (path, file) in &self.sidecars {
            if identity(path)? != Some(*file) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Whether another program has sidecars of its own in the place of these. A
    /// connection to these had better not be closed: SQLite would move its WAL into
    /// the database that the other has changed meanwhile.
    #[must_use]
    pub fn are_others_there(&self) -> bool {
        let is_other = |(path, file): &(PathBuf, FileIdentity)| {
            FileIdentity::of(path).is_ok_and(|found| found.is_some_and(|found| found != *file))
        };
        self.is_database_same().is_ok_and(|same| same) && self.sidecars.iter().any(is_other)
    }

    /// An [`Unavailable`](ErrorKind::Unavailable): the files are [`Seen::Torn`].
    #[must_use]
    pub fn torn_apart(&self) -> Error {
        let sidecar = self.torn().ok().flatten().unwrap_or(&self.path);
        let message = format!(
            "{} was removed or replaced while {} was open, so that what is appended would be lost: \
             stop every program that has the log open, and start them again",
            sidecar.display(),
            self.path.display()
        );
        Error::new(ErrorKind::Unavailable, message)
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
