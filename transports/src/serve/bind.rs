use std::io;
use std::net::SocketAddr;

use downlink::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

/// Listens on an address, and returns it with the port that port 0 has become.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a text that is no address, and [`Unavailable`](ErrorKind::Unavailable) if
/// another program listens there, or the address is not of this machine. The messages say what to do.
///
/// # Cancel safety
///
/// If the future is dropped, nothing listens.
pub async fn bind(address: impl ToString) -> Result<(TcpListener, SocketAddr)> {
    let address = address.to_string();
    let listener = TcpListener::bind(&*address).await.map_err(|error| refused(&address, error))?;
    let bound = listener.local_addr().map_err(|error| refused(&address, error))?;
    Ok((listener, bound))
}

fn refused(address: &str, error: io::Error) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            ErrorKind::Unavailable,
            format!(
                "{address} is already in use: stop the program that listens there, or choose another address, \
                 such as 127.0.0.1:0 for any free port"
            ),
        ),
        io::ErrorKind::InvalidInput => (
            ErrorKind::Invalid,
            format!("{address} is not an address: use one such as 127.0.0.1:3000"),
        ),
        _ => {
            (ErrorKind::Unavailable, format!("cannot listen on {address}: choose another address"))
        }
    };
    Error::with_source(kind, message, error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_say_what_to_do() {
        let (_taken, address) = bind("127.0.0.1:0").await.unwrap();
        assert_ne!(address.port(), 0);
        for (address, kind, advice) in [
            (address.to_string(), ErrorKind::Unavailable, "already in use"),
            ("127.0.0.1".into(), ErrorKind::Invalid, "127.0.0.1:3000"),
            ("192.0.2.1:80".into(), ErrorKind::Unavailable, "another address"),
        ] {
            let refused = bind(address).await.unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
            assert!(refused.to_string().contains(advice), "{refused}");
        }
    }
}
