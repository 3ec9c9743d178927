use std::io::Write;

use downlink::EventId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Result;
use super::protocol::Protocol;

const DATA: &str = r#"{"flight":"UA1545","from":"EWR","to":"IAH","gate":"C71","delay":2}"#;

/// A keep-alive connection that needs little CPU: it writes a request in one piece, and
/// parses only the status and the length of the response.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    /// What precedes the path.
    prefix: String,
    protocol: Protocol,
    stream: TcpStream,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(authority: &str, protocol: Protocol) -> Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (authority, prefix) = (authority.to_owned(), String::new());
        let (request, response) = (Vec::new(), Vec::new());
        Ok(Self { authority, prefix, protocol, stream, request, response })
    }

    /// Sets the path that the server's routes are nested in.
    pub(crate) fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    /// Appends one small event.
    pub(crate) async fn append(&mut self, stream: &str, id: EventId) -> Result<()> {
        self.append_data(stream, id, DATA).await
    }

    /// Appends one event with this JSON.
    pub(crate) async fn append_data(
        &mut self,
        stream: &str,
        id: EventId,
        data: &str,
    ) -> Result<()> {
        let body = format!(r#"{{"id":"{id}","type":"FlightDeparted","data":{data}}}"#);
        self.send("POST", stream, &body).await
    }

    /// Sends a request for a stream. A response without a success status is an error.
    pub(crate) async fn send(&mut self, method: &str, stream: &str, body: &str) -> Result<()> {
        self.request.clear();
        write!(
            self.request,
            "{method} {}{}{stream} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.prefix,
            self.protocol.streams(),
            self.authority,
            body.len()
        )?;
        self.exchange().await
    }

    /// Reads what is at this path.
    pub(crate) async fn get(&mut self, path: &str) -> Result<()> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.authority)?;
        self.exchange().await
    }

    async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        self.response.clear();
        while !is_complete(&self.response)? {
            if self.stream.read_buf(&mut self.response).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        if self.response.starts_with(b"HTTP/1.1 2") {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&self.response).into())
    }
}

/// Whether the response is complete.
pub(crate) fn is_complete(response: &[u8]) -> Result<bool> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&response[..end])?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    Ok(response.len() >= end + 4 + length.unwrap_or_default())
}
