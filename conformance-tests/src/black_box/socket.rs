use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::TIMEOUT;

/// A minimal WebSocket client: text messages of one frame each.
#[derive(Debug)]
pub(super) struct Socket {
    socket: TcpStream,
    bytes: Vec<u8>,
}

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Socket {
    pub(super) fn new(socket: TcpStream, bytes: Vec<u8>) -> Self {
        Self { socket, bytes }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), String> {
        self.write(TEXT, text.as_bytes()).await
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> Result<(), String> {
        let length =
            u16::try_from(payload.len()).map_err(|_| "a message is too long".to_owned())?;
        // The last frame of its message, masked, with a length of two bytes.
        let mut frame = vec![0x80 | opcode, 0x80 | 0x7e];
        frame.extend(length.to_be_bytes());
        // A mask of zeros is valid.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.socket.write_all(&frame).await.map_err(|error| format!("the socket broke: {error}"))
    }

    /// The next message; answers pings.
    pub(super) async fn next(&mut self) -> Result<String, String> {
        loop {
            while let Some((opcode, payload)) = self.frame() {
                match opcode {
                    TEXT => {
                        return String::from_utf8(payload)
                            .map_err(|_| "a message is not UTF-8".to_owned());
                    }
                    PING => self.write(PONG, &payload).await?,
                    PONG => {}
                    _ => return Err(format!("the socket was closed, or sent opcode {opcode}")),
                }
            }
            let read = timeout(TIMEOUT, self.socket.read_buf(&mut self.bytes)).await;
            let read = read.map_err(|_| format!("no message came for {TIMEOUT:?}"))?;
            if read.map_err(|error| format!("the socket broke: {error}"))? == 0 {
                return Err("the socket ended without a close frame".to_owned());
            }
        }
    }

    /// Takes a complete frame, if one has arrived.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        let (length, begin) = match second & 0x7f {
            126 => (u16::from_be_bytes(self.bytes.get(2..4)?.try_into().ok()?).into(), 4),
            127 => (u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?), 10),
            length => (length.into(), 2),
        };
        let end = begin + usize::try_from(length).ok()?;
        let payload = self.bytes.get(begin..end)?.to_vec();
        self.bytes.drain(..end);
        Some((first & 0x0f, payload))
    }
}
