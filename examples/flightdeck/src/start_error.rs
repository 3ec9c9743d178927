use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why FlightDeck cannot start. The message says what to do.
#[derive(Debug)]
pub enum StartError {
    /// The address is in use, or not an address of this machine.
    Listen(SocketAddr, io::Error),
    /// Other machines can reach the address.
    Exposed(SocketAddr),
    /// The log cannot be opened, read or written.
    Log(PathBuf, downlink::Error),
    /// The file to delete is not a log.
    NotALog(PathBuf, downlink::Error),
    /// The log to delete is in a database.
    NotAFile(PathBuf),
    /// The log cannot be deleted.
    Delete(PathBuf, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "{address} is already in use, perhaps by another FlightDeck: choose another address with \
                 --listen, or any free port with --listen 127.0.0.1:0"
            ),
            Self::Listen(address, _) => {
                write!(f, "cannot listen on {address}: choose another address with --listen")
            }
            Self::Exposed(address) => write!(
                f,
                "other machines can reach {address}, and FlightDeck has no authentication: choose a \
                 loopback address with --listen, such as 127.0.0.1:3000"
            ),
            Self::Log(path, _) => {
                write!(
                    f,
                    "cannot use {} as the log: choose another one with --db or --store",
                    path.display()
                )
            }
            Self::NotALog(path, _) => write!(
                f,
                "{} was not deleted, because it is not a Downlink log: choose another file with --db, \
                 or delete it yourself",
                path.display()
            ),
            Self::NotAFile(database) => write!(
                f,
                "--fresh deletes a file only: to start the day again in {}, run DROP SCHEMA downlink \
                 CASCADE there, or choose another database with --store",
                database.display()
            ),
            Self::Delete(path, _) => write!(f, "cannot delete {}", path.display()),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Listen(_, error) | Self::Delete(_, error) => Some(error),
            Self::Exposed(_) | Self::NotAFile(_) => None,
            Self::Log(_, error) | Self::NotALog(_, error) => Some(error),
        }
    }
}
