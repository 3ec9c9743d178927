use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Ports that nothing listens on.
pub(crate) fn free<const COUNT: usize>() -> io::Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    // Open together, so that they differ.
    let mut open = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        open.push(listener);
    }
    Ok(ports)
}
