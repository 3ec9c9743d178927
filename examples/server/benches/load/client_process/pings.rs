/// The head of a Ping of the server, whose payload has 8 bytes.
const PING: [u8; 2] = [0x89, 8];

/// The head of a Pong, with a mask of zeros.
const PONG: [u8; 6] = [0x8a, 0x88, 0, 0, 0, 0];

/// How far from the end of what was read a Ping is looked for: to examine all bytes of a
/// burst would cost too much.
const TAIL: usize = 1 << 10;

/// The answer to the last Ping in these bytes of a WebSocket.
pub(super) fn pong(bytes: &[u8]) -> Option<Vec<u8>> {
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    let ping = tail.windows(10).rfind(|part| part.starts_with(&PING))?;
    Some([&PONG, &ping[2..]].concat())
}
