use std::io::ErrorKind;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Shared;
use super::connect::connect;
use crate::support::Result;
use crate::support::connection::is_complete;

/// A client that polls for events after its cursor, on one connection.
#[derive(Debug)]
pub(super) struct PollClient {
    shared: Rc<Shared>,
    number: usize,
    stream: TcpStream,
}

impl PollClient {
    /// Connects, learns the cursor, and polls for what follows.
    pub(super) async fn open(shared: &Rc<Shared>, number: usize) -> Result<Self> {
        let stream = connect(&shared.requests.authority, number).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { shared: Rc::clone(shared), number, stream };
        client.send(&shared.requests.first(number)).await?;
        if shared.requests.wait_at_once {
            return Ok(client);
        }
        let cursor = cursor(&client.response().await?)?;
        client.poll(&cursor).await?;
        Ok(client)
    }

    /// Counts events until the connection ends.
    pub(super) async fn follow(mut self) {
        let Err(error) = self.poll_forever().await else { return };
        self.shared.close(self.number, &error);
    }

    async fn poll_forever(&mut self) -> Result<()> {
        loop {
            let response = self.response().await?;
            self.shared.count(&response);
            self.poll(&cursor(&response)?).await?;
        }
    }

    async fn poll(&mut self, cursor: &str) -> Result<()> {
        let request = self.shared.requests.poll(self.number, cursor);
        self.send(&request).await
    }

    async fn send(&mut self, request: &str) -> Result<()> {
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Reads a response. Holds no memory while it waits for the first byte.
    async fn response(&self) -> Result<Vec<u8>> {
        let mut response = Vec::new();
        loop {
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut response) {
                Ok(0) => return Err("end of the stream".into()),
                Ok(_) if is_complete(&response)? => break,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        if response.starts_with(b"HTTP/1.1 200") {
            return Ok(response);
        }
        Err(String::from_utf8_lossy(&response).into())
    }
}

/// The cursor after a page, which follows those of its events.
fn cursor(response: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(response)?;
    let rest = text.rsplit("\"cursor\":\"").next().unwrap_or_default();
    Ok(rest.split_once('"').ok_or("a page without a cursor")?.0.to_owned())
}
