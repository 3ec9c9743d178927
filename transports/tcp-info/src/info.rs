use std::time::Duration;

/// A snapshot of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// What the two ends have closed.
    pub state: State,
    /// How many times the oldest unacknowledged bytes were sent again since the last
    /// acknowledgement of new bytes.
    pub retransmits: u8,
    /// How many probes of a closed window, or keep-alive probes, were sent since the
    /// last acknowledgement of any kind.
    pub unanswered_probes: u8,
    /// How long ago the last acknowledgement of any kind arrived.
    pub last_ack_received: Duration,
    /// How many bytes the other end has acknowledged since the connection was
    /// opened.
    pub bytes_acked: u64,
    /// How many segments were sent that are not acknowledged.
    pub segments_in_flight: u32,
    /// How many bytes were written that have not been sent even once.
    pub bytes_not_sent: u32,
}

impl TcpInfo {
    /// Whether something that was written is not acknowledged yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.segments_in_flight > 0 || self.bytes_not_sent > 0
    }
}

/// What the two ends of a connection have closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Both ends are open.
    Established,
    /// The other end has closed its half: it sends nothing more, and may read or be
    /// gone.
    CloseWait,
    /// The connection was reset, has timed out, or was never opened.
    Closed,
    /// This end has closed its half, or the connection is being opened.
    Other,
}
