//! The server's side of WebSocket, byte by byte.
#![allow(dead_code, reason = "each test file uses a part")]

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The answer that accepts this request for an upgrade.
pub(crate) fn accept(request: &str) -> String {
    let key = request.split("sec-websocket-key: ").nth(1).expect("a key in the request");
    let accept = derive_accept_key(key.lines().next().unwrap_or_default().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: feed.v1.json\r\n\r\n"
    )
}

/// One text message of less than 64 KiB.
pub(crate) fn message(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short message");
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = if length < 126 { &[0x81, low] } else { &[0x81, 126, high, low] };
    [head, text.as_bytes()].concat()
}

/// A close frame with the reason "why".
pub(crate) fn close(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x88, 5, high, low, b'w', b'h', b'y']
}
