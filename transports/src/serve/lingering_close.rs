//! Closes a connection whose peer may still be sending.
//!
//! Closing a socket with unread bytes resets the connection, and the peer may
//! lose its response to the reset. So only the write half is closed first, and
//! the socket once the peer has closed its half or has reached the limits.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::discard::{DiscardLimits, DiscardOutcome};

/// How many bytes are read at a time.
const SCRATCH: usize = 16 << 10;

/// Closes the write half, and reads until the peer has closed the other.
pub(super) async fn lingering_close<T>(
    mut socket: T,
    limits: DiscardLimits,
    drain: &CancellationToken,
) -> DiscardOutcome
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if socket.shutdown().await.is_err() {
        return DiscardOutcome::All;
    }
    let next = |cx: &mut Context<'_>| {
        // On the stack, because a draining server waits for all its clients at once.
        let mut scratch = [MaybeUninit::uninit(); SCRATCH];
        let mut buf = ReadBuf::uninit(&mut scratch);
        let read = ready!(Pin::new(&mut socket).poll_read(cx, &mut buf));
        let filled = buf.filled().len();
        Poll::Ready((read.is_ok() && filled > 0).then_some(filled))
    };
    limits.run(drain, next).await
}
