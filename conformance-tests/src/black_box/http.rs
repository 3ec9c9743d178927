//! A minimal HTTP client, so that the checks do not depend on the code they
//! check.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a check waits for something that has to happen.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// The most that is read of a response, in bytes.
const LONGEST: usize = 64 << 20;

/// A request, without its `Host`.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a str,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, headers: Vec::new(), body: "" }
    }

    pub(super) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(mut self, body: &'a str) -> Self {
        self.body = body;
        self
    }

    fn text(&self, host: &str) -> String {
        let Self { method, path, headers, body } = self;
        let length = body.len().to_string();
        let length = ("content-length", &*length);
        let given = headers.iter().copied().chain((!body.is_empty()).then_some(length));
        let lines: Vec<_> = given.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{}\r\n{body}", lines.concat())
    }
}

/// A complete response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// The value of a header; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    pub(super) fn json(&self) -> Result<Value, String> {
        let read = serde_json::from_str(&self.body);
        read.map_err(|error| format!("the body is not valid JSON ({error}): {:.200}", self.body))
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// A response that is being read.
#[derive(Debug)]
pub(super) struct Exchange {
    socket: TcpStream,
    bytes: Vec<u8>,
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_over: bool,
}

impl Exchange {
    /// Sends a request and reads the head of the response.
    pub(super) async fn ask(
        address: &str,
        host: &str,
        request: &Request<'_>,
    ) -> Result<Self, String> {
        let what = format!("{} {}", request.method, request.path);
        let asked = timeout(TIMEOUT, async {
            let mut socket = TcpStream::connect(address).await?;
            socket.write_all(request.text(host).as_bytes()).await?;
            let (mut bytes, mut end) = (Vec::new(), None);
            while end.is_none() && socket.read_buf(&mut bytes).await? > 0 {
                end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
            }
            Ok::<_, std::io::Error>((socket, bytes, end))
        });
        let asked = asked.await.map_err(|_| format!("{what} was not answered in {TIMEOUT:?}"))?;
        let (socket, bytes, end) = asked.map_err(|error| format!("{what}: {error}"))?;
        let end = end.ok_or_else(|| format!("{what}: the connection ended before the response"))?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Self {
            socket,
            bytes: bytes[end + 4..].to_vec(),
            status: status.ok_or_else(|| format!("{what}: {head:.100} is not an HTTP response"))?,
            headers,
            body: Vec::new(),
            is_over: false,
        })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// Reads the body to its end.
    pub(super) async fn whole(mut self, has_body: bool) -> Result<Answer, String> {
        while has_body && !self.is_over {
            self.read().await?;
        }
        let body = String::from_utf8(self.body).map_err(|_| "the body is not UTF-8".to_owned())?;
        Ok(Answer { status: self.status, headers: self.headers, body })
    }

    /// Reads the body until this is enough, or it ends.
    pub(super) async fn until(&mut self, enough: impl Fn(&str) -> bool) -> Result<&str, String> {
        loop {
            if self.is_over || enough(self.text()) {
                return Ok(self.text());
            }
            self.read().await?;
        }
    }

    /// The body up to the last complete character.
    fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.body[..error.valid_up_to()]).unwrap_or(""),
        }
    }

    async fn read(&mut self) -> Result<(), String> {
        if self.take() {
            return Ok(());
        }
        let read = timeout(TIMEOUT, self.socket.read_buf(&mut self.bytes)).await;
        let read = read.map_err(|_| format!("nothing came for {TIMEOUT:?}"))?;
        let read = read.map_err(|error| format!("the connection broke: {error}"))?;
        self.is_over = read == 0;
        if self.body.len() > LONGEST {
            return Err(format!("the response is longer than {LONGEST} bytes"));
        }
        self.take();
        Ok(())
    }

    /// Moves what has arrived into the body; returns whether anything was
    /// moved.
    fn take(&mut self) -> bool {
        let before = (self.body.len(), self.is_over);
        if self.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            while let Some((length, begin)) = chunk(&self.bytes) {
                if length == 0 {
                    self.is_over = true;
                    break;
                }
                if self.bytes.len() < begin + length + 2 {
                    break;
                }
                self.body.extend_from_slice(&self.bytes[begin..begin + length]);
                self.bytes.drain(..begin + length + 2);
            }
        } else {
            self.body.append(&mut self.bytes);
            let length = self.header("content-length").parse::<usize>();
            self.is_over |= length.is_ok_and(|length| self.body.len() >= length);
        }
        before != (self.body.len(), self.is_over)
    }

    /// The socket after an upgrade, and the bytes that have already arrived.
    pub(super) fn upgraded(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.bytes)
    }
}

/// The length of the next chunk, and where it begins.
fn chunk(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(2).position(|window| window == b"\r\n")?;
    let digits = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((usize::from_str_radix(digits.split(';').next()?.trim(), 16).ok()?, end + 2))
}
