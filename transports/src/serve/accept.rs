use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::slot::Slot;
use super::stats::{Counters, count};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What one socket may buffer towards its peer, in bytes. The kernel's own
/// choice grows to megabytes for a peer that does not read.
const SEND_BUFFER: usize = 64 << 10;

/// Accepts the next connection. Waits out errors such as a full table of file
/// descriptors, with pauses that grow to a second.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) if the listener does not listen.
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
        match weigh(&error) {
            Weight::OneConnection => {}
            Weight::Passing => {
                count(&counters.failed_accepts);
                tracing::warn!(%error, ?pause, "cannot accept: is the limit of open files too low?");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Weight::Final => {
                let message = "the listener accepts no connections";
                return Err(Error::with_source(ErrorKind::Unavailable, message, error));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Weight {
    /// A peer went away before it was accepted.
    OneConnection,
    /// Descriptors or memory are short, or the network is down.
    Passing,
    /// This is no listening socket.
    Final,
}

fn weigh(error: &io::Error) -> Weight {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput};
    match error.kind() {
        ConnectionAborted | ConnectionReset | Interrupted => Weight::OneConnection,
        InvalidInput => Weight::Final,
        _ => Weight::Passing,
    }
}

/// Sets the options of an accepted socket: no delay, a small send buffer, and
/// the same patience for what the kernel has buffered as for a write.
pub(super) fn tune(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // Without it a peer that vanished holds its connection for a quarter of an hour.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(patience))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = patience;
    Ok(())
}

/// Makes the next close of this socket discard what the peer has not read.
pub(super) fn abort_on_close(stream: &TcpStream, slot: &Slot) {
    slot.stalled();
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a stalled socket keeps its buffer until the kernel gives up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_are_weighed() {
        let weight = |errno| weigh(&io::Error::from_raw_os_error(errno));
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO.
        for errno in [24, 23, 105, 12, 71] {
            assert_eq!(weight(errno), Weight::Passing, "{errno}");
        }
        let (econnaborted, einval) = (103, 22);
        assert_eq!(weight(econnaborted), Weight::OneConnection);
        assert_eq!(weight(einval), Weight::Final);
    }
}
