use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::{State, TcpInfo};

/// How much of the kernel's `struct tcp_info` is asked for: up to and including
/// `tcpi_notsent_bytes`, which Linux has since 4.6.
const LEN: usize = 148;

/// Where the fields are in `struct tcp_info` of `linux/tcp.h`, which only ever grows
/// at its end. The struct of the C library lacks fields, depending on its version.
mod offset {
    pub(super) const STATE: usize = 0;
    pub(super) const RETRANSMITS: usize = 2;
    pub(super) const PROBES: usize = 3;
    pub(super) const UNACKED: usize = 24;
    pub(super) const LAST_ACK_RECV: usize = 56;
    pub(super) const BYTES_ACKED: usize = 120;
    pub(super) const NOTSENT_BYTES: usize = 144;
}

/// Asks the kernel about the connection of this socket.
///
/// # Errors
///
/// [`Unsupported`](io::ErrorKind::Unsupported) if the kernel is older than Linux 4.6,
/// and on other systems; otherwise that of the kernel, for example if this is not a
/// TCP socket.
pub fn tcp_info(socket: &impl AsFd) -> io::Result<TcpInfo> {
    let mut buf = [0; LEN];
    let len = read(socket.as_fd(), &mut buf)?;
    if len < LEN {
        let message = "TCP_INFO of this kernel lacks the acknowledged bytes: it needs Linux 4.6";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    Ok(TcpInfo {
        state: state(buf[offset::STATE]),
        retransmits: buf[offset::RETRANSMITS],
        unanswered_probes: buf[offset::PROBES],
        last_ack_received: Duration::from_millis(u32_at(&buf, offset::LAST_ACK_RECV).into()),
        bytes_acked: u64::from_ne_bytes(bytes_at(&buf, offset::BYTES_ACKED)),
        segments_in_flight: u32_at(&buf, offset::UNACKED),
        bytes_not_sent: u32_at(&buf, offset::NOTSENT_BYTES),
    })
}

/// Fills the buffer, and returns how many bytes the kernel has written.
#[expect(unsafe_code, reason = "no safe crate offers TCP_INFO")]
fn read(socket: BorrowedFd<'_>, buf: &mut [u8; LEN]) -> io::Result<usize> {
    let mut len = libc::socklen_t::try_from(LEN).expect("148 fits");
    // SAFETY: The descriptor is open, because it is borrowed. The kernel writes at most `len` bytes
    // to `buf`, which has as many, and the new length to `len`; both are borrowed exclusively until
    // it returns. Every bit pattern is valid for bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            buf.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(len).map_or(LEN, |len| len.min(LEN)))
}

/// The states of `net/tcp_states.h`.
fn state(number: u8) -> State {
    match number {
        1 => State::Established,
        7 => State::Closed,
        8 => State::CloseWait,
        _ => State::Other,
    }
}

fn u32_at(buf: &[u8; LEN], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes_at(buf, offset))
}

fn bytes_at<const N: usize>(buf: &[u8; LEN], offset: usize) -> [u8; N] {
    *buf[offset..].first_chunk().expect("the fields are within the buffer")
}
