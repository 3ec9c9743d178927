//! What Linux tells about the server's end of a connection.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Raw, soon};

/// One end of a connection over IPv4, by its line in `/proc/net/tcp`.
#[derive(Debug)]
pub(crate) struct KernelSocket {
    /// The bytes that the peer's system has not acknowledged.
    pub(crate) unacknowledged: usize,
    /// The bytes that the program has not read.
    pub(crate) unread: usize,
    /// When the peer is asked whether it is there, if that is the timer that runs.
    pub(crate) keepalive: Option<Duration>,
}

impl KernelSocket {
    fn find(local: SocketAddr, peer: SocketAddr) -> Option<Self> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let (local, peer) = (hex(local), hex(peer));
        table.lines().find_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            (columns[1] == local && columns[2] == peer).then(|| Self::parse(&columns))
        })
    }

    fn parse(columns: &[&str]) -> Self {
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        let (unacknowledged, unread) = columns[4].split_once(':').unwrap();
        let (timer, ticks) = columns[5].split_once(':').unwrap();
        // A tick is a hundredth of a second here, whatever it is inside of the kernel.
        let expires = Duration::from_millis(10) * u32::from_str_radix(ticks, 16).unwrap();
        Self {
            unacknowledged: number(unacknowledged),
            unread: number(unread),
            keepalive: (timer == "02").then_some(expires),
        }
    }
}

/// The address as `/proc/net/tcp` has it, with the bytes in the order of the machine.
fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not of IPv4") };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

impl Raw {
    /// The server's end of this connection.
    pub(crate) fn server_end(&self) -> Option<KernelSocket> {
        KernelSocket::find(self.0.peer_addr().unwrap(), self.0.local_addr().unwrap())
    }

    /// Waits until the server has read everything that was sent.
    pub(crate) async fn all_read(&self) {
        let is_read = || {
            let client =
                KernelSocket::find(self.0.local_addr().unwrap(), self.0.peer_addr().unwrap());
            let is_sent = client.is_some_and(|end| end.unacknowledged == 0);
            is_sent && self.server_end().is_some_and(|end| end.unread == 0)
        };
        soon("the server to read", async {
            while !is_read() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
