use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::support::Result;

/// How many connections have the same source address. Linux has 28,232 ports for them,
/// and searches ever longer for a free one.
const PER_ADDRESS: usize = 5_000;

/// Connects the client with this number.
pub(super) async fn connect(authority: &str, number: usize) -> Result<TcpStream> {
    let block = u8::try_from(number / PER_ADDRESS)?;
    if block == 0 {
        return Ok(TcpStream::connect(authority).await?);
    }
    let mut addresses = lookup_host(authority).await?;
    let address = addresses.find(SocketAddr::is_ipv4).ok_or("the server has no IPv4 address")?;
    let socket = TcpSocket::new_v4()?;
    if address.ip().is_loopback() {
        let source = Ipv4Addr::new(127, 0, 0, 1 + block);
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    }
    Ok(socket.connect(address).await?)
}
