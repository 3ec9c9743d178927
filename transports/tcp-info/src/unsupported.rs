use std::io;

use crate::TcpInfo;

/// Returns the error [`Unsupported`](io::ErrorKind::Unsupported), on this system.
pub fn tcp_info<S>(_socket: &S) -> io::Result<TcpInfo> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no TCP_INFO of Linux"))
}
