//! The end of a connection whose peer may still be sending.
//!
//! A socket that is closed with unread bytes resets its connection, and the
//! reset overtakes the answer. So the end is said first, by closing the writing
//! half, and the socket is closed once the peer has closed its own half, or has
//! gone on beyond the bounds.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::discard::{Discard, Discarded};

/// What is read at a time.
const SCRATCH: usize = 16 << 10;

/// Closes the writing half, and reads until the peer has closed the other.
pub(super) async fn close<T>(mut socket: T, bounds: Discard, drain: &CancellationToken) -> Discarded
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if socket.shutdown().await.is_err() {
        return Discarded::All;
    }
    let mut scratch = vec![0; SCRATCH];
    let next = |cx: &mut Context<'_>| {
        let mut buf = ReadBuf::new(&mut scratch);
        let read = ready!(Pin::new(&mut socket).poll_read(cx, &mut buf));
        let filled = buf.filled().len();
        Poll::Ready((read.is_ok() && filled > 0).then_some(filled))
    };
    bounds.run(drain, next).await
}

/// Whether bytes wait in the kernel that have not been read.
pub(super) fn has_unread(stream: &TcpStream) -> bool {
    let mut first = [MaybeUninit::uninit()];
    SockRef::from(stream).peek(&mut first).is_ok_and(|read| read > 0)
}
