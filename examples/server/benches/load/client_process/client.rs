use std::io::ErrorKind;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Shared;
use super::connect::connect;
use super::pings::pong;
use crate::support::Result;
use crate::transport::Transport;

/// More than the last frame before a client is live.
const TAIL: usize = 512;

/// A client that receives a stream of events.
#[derive(Debug)]
pub(super) struct Client {
    shared: Rc<Shared>,
    number: usize,
    stream: TcpStream,
}

impl Client {
    pub(super) async fn connect(shared: &Rc<Shared>, number: usize) -> Result<Self> {
        let stream = connect(&shared.requests.authority, number).await?;
        Ok(Self { shared: Rc::clone(shared), number, stream })
    }

    /// Connects, and reads until the client is live.
    pub(super) async fn open(shared: &Rc<Shared>, number: usize) -> Result<Self> {
        let mut client = Self::connect(shared, number).await?;
        client.request().await?;
        let mut text = Vec::new();
        while !contains(&text, shared.requests.transport.live()) {
            if client.stream.read_buf(&mut text).await? == 0 {
                return Err(String::from_utf8_lossy(&text).into());
            }
        }
        Ok(client)
    }

    pub(super) async fn request(&mut self) -> Result<()> {
        let request = self.shared.requests.first(self.number);
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Counts events until the connection ends.
    pub(super) async fn follow(self) {
        let Err(error) = self.read(|_| false).await else { return };
        self.shared.close(self.number, &error);
    }

    /// Counts events until the client is live.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let sign = self.shared.requests.transport.live();
        let mut tail = Vec::new();
        self.read(|bytes| {
            tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
            tail.drain(..tail.len().saturating_sub(TAIL));
            contains(&tail, sign)
        })
        .await
    }

    fn answer_ping(&self, bytes: &[u8]) -> Result<()> {
        if self.shared.requests.transport != Transport::WebSocket {
            return Ok(());
        }
        let Some(pong) = pong(bytes) else { return Ok(()) };
        match self.stream.try_write(&pong) {
            Ok(written) if written == pong.len() => Ok(()),
            // The buffer of the kernel holds many.
            Ok(_) => Err("a pong could not be written".into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads into the buffer that all clients share, until this is true of the bytes.
    async fn read(&self, mut is_end: impl FnMut(&[u8]) -> bool) -> Result<()> {
        loop {
            self.stream.readable().await?;
            let mut buffer = self.shared.buffer.borrow_mut();
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err("end of the stream".into()),
                Ok(read) => {
                    self.shared.count(&buffer[..read]);
                    self.answer_ping(&buffer[..read])?;
                    if is_end(&buffer[..read]) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|bytes| bytes == part)
}
