//! A minimal HTTP client that shows the bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tasks;

/// A response, or its beginning.
pub(super) struct Response {
    pub(super) status: u16,
    /// The header section, in lower case.
    pub(super) headers: String,
    /// The body, without chunk lengths.
    pub(super) body: Vec<u8>,
}

/// Requests a stream, and reads until `enough` is in the body, or to the end.
pub(super) async fn get(
    address: SocketAddr,
    target: &str,
    headers: &[(&str, &[u8])],
    enough: &[u8],
) -> Response {
    let what =
        format!("GET {target} was not responseed as far as {:?}", String::from_utf8_lossy(enough));
    let stream: [(&str, &[u8]); 1] = [("accept", b"text/event-stream")];
    let socket = request(address, target, &[headers, &stream].concat()).await;
    tasks::soon(what, read(socket, enough)).await
}

/// Requests a page, and reads all of it.
pub(super) async fn page(address: SocketAddr, target: &str) -> Response {
    let headers: [(&str, &[u8]); 2] = [("accept", b"application/json"), ("connection", b"close")];
    let socket = request(address, target, &headers).await;
    // No page contains this text, so the page is read to the end.
    let read = read(socket, b"\r\n\r\n");
    tasks::soon(format!("GET {target} was not responseed"), read).await
}

/// Sends a request.
pub(super) async fn request(
    address: SocketAddr,
    target: &str,
    headers: &[(&str, &[u8])],
) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let mut request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n").into_bytes();
    for (name, value) in headers {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    // A server may respond before it has read all of a request that is too large.
    let _ = socket.write_all(&request).await;
    socket
}

/// Reads until `enough` is in the body, or to the end.
pub(super) async fn read(mut socket: TcpStream, enough: &[u8]) -> Response {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let response = parse(&bytes);
        let is_enough =
            |response: &Response| contains(&response.body, enough) || response.status != 200;
        match response {
            Some(response) if read == 0 || is_enough(&response) => return response,
            None if read == 0 => {
                return Response { status: 0, headers: String::new(), body: Vec::new() };
            }
            _ => {}
        }
    }
}

/// Reads the head of a response and not a byte more.
pub(super) async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Reads until this text came.
pub(super) async fn until(socket: &mut TcpStream, text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !contains(&bytes, text) {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap_or(0), 0, "the connection ended");
    }
    bytes
}

/// Reads until the connection ends in any way.
pub(super) async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes).await;
    bytes
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}

fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked { dechunk(rest) } else { rest.to_vec() };
    if status != 200 && body.is_empty() && !head.contains("content-length: 0") {
        return None;
    }
    Some(Response { status, headers: head, body })
}

/// The chunks that have arrived so far.
fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..end]).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let chunk = &bytes[end + 2..];
        body.extend_from_slice(&chunk[..length.min(chunk.len())]);
        if length == 0 || chunk.len() < length + 2 {
            break;
        }
        bytes = &chunk[length + 2..];
    }
    body
}
