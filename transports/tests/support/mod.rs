//! Helpers of the tests over real sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part, and panics are failures"
)]

#[cfg(target_os = "linux")]
mod kernel;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Waits for a future, and panics with `what` if it takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let deadline = Duration::from_secs(30);
    tokio::time::timeout(deadline, future)
        .await
        .unwrap_or_else(|_| panic!("timed out waiting for {what}"))
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A client that reads and writes raw bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(soon("a connection", TcpStream::connect(address)).await.unwrap())
    }

    pub(crate) async fn get(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        raw
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `end` was read.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        soon(&format!("{end:?} in the response"), async {
            while !text.ends_with(end.as_bytes()) {
                text.push(self.0.read_u8().await.unwrap_or_else(|error| {
                    panic!("{error} instead of {end:?} after {:?}", String::from_utf8_lossy(&text))
                }));
            }
        })
        .await;
        String::from_utf8(text).unwrap()
    }

    /// Reads one response, which must have a `Content-Length`.
    pub(crate) async fn answer(&mut self) -> String {
        let head = self.until("\r\n\r\n").await;
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.expect("a response with a Content-Length")];
        soon("the body of the response", self.0.read_exact(&mut body)).await.unwrap();
        head + &String::from_utf8(body).unwrap()
    }

    /// Reads until the server closes or resets the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        let _ = soon("the end of the connection", self.0.read_to_end(&mut text)).await;
        String::from_utf8_lossy(&text).into_owned()
    }
}
