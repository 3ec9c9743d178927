use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

use super::stats::{Counters, count};

/// After how long without a byte the kernel asks a peer whether it is there.
const KEEPALIVE: Duration = Duration::from_mins(1);

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The send buffer of a socket, in bytes. The kernel's default grows to megabytes
/// for a peer that does not read.
const SEND_BUFFER: usize = 64 << 10;

/// Accepts the next connection. Retries temporary errors, such as a full table of
/// file descriptors, with pauses that grow to a second.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) if the listener is not listening.
///
/// # Cancel safety
///
/// No connection is lost.
pub(super) async fn accept(
    listener: &TcpListener,
    counters: &Counters,
) -> Result<(TcpStream, SocketAddr)> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        match classify(&error) {
            AcceptError::OneConnection => {}
            AcceptError::Temporary => {
                count(&counters.failed_accepts);
                tracing::warn!(%error, ?pause, "cannot accept: is the limit of open files too low?");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            AcceptError::Fatal => {
                let message = "the listener does not accept connections";
                return Err(Error::with_source(ErrorKind::Unavailable, message, error));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum AcceptError {
    /// A peer disconnected before it was accepted.
    OneConnection,
    /// Descriptors or memory are short, or the network is down.
    Temporary,
    /// This is not a listening socket.
    Fatal,
}

fn classify(error: &io::Error) -> AcceptError {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput};
    match error.kind() {
        ConnectionAborted | ConnectionReset | Interrupted => AcceptError::OneConnection,
        InvalidInput => AcceptError::Fatal,
        _ => AcceptError::Temporary,
    }
}

/// Sets the options of an accepted socket: no delay, and a small send buffer.
pub(super) fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Otherwise a peer that vanished while nothing was to be sent is never noticed.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    SockRef::from(stream).set_send_buffer_size(SEND_BUFFER)
}

/// Limits how long the kernel tries to send what it has buffered of a socket that is
/// closed. Not for open ones, because its time goes on while a slow reader advances.
pub(super) fn limit_buffer_time(stream: &TcpStream, timeout: Duration) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(timeout)) {
        tracing::debug!(%error, "a closed socket may keep its buffer for long");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (stream, timeout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_are_classified() {
        let class = |errno| classify(&io::Error::from_raw_os_error(errno));
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO.
        for errno in [24, 23, 105, 12, 71] {
            assert_eq!(class(errno), AcceptError::Temporary, "{errno}");
        }
        let (econnaborted, einval) = (103, 22);
        assert_eq!(class(econnaborted), AcceptError::OneConnection);
        assert_eq!(class(einval), AcceptError::Fatal);
    }
}
