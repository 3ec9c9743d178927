use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::cluster::Authorities;
use crate::support::Result;

/// An event as it was delivered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) cursor: String,
    pub(crate) id: String,
    pub(crate) stream: String,
    pub(crate) version: u64,
}

/// A client that follows the whole log over server-sent events, written by hand. After each
/// interruption it resumes by the last id, at the next server.
pub(crate) struct Follower {
    pub(crate) delivered: Vec<Delivered>,
    /// How often it has resumed.
    pub(crate) resumed: usize,
    servers: Authorities,
    last_id: Option<String>,
    has_ended: bool,
}

/// A block of an event stream.
#[derive(Default)]
struct Block {
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
}

impl Follower {
    pub(crate) fn new(servers: &Authorities) -> Self {
        let servers = servers.clone();
        Self { delivered: Vec::new(), resumed: 0, servers, last_id: None, has_ended: false }
    }

    /// Follows until the last event of the run, beginning at this server.
    pub(crate) async fn run(mut self, mut at: usize) -> Self {
        while !self.has_ended {
            let server = self.servers[at % self.servers.len()].clone();
            // The connection of a server that was killed is closed or reset.
            let _ = self.follow(&server).await;
            (at, self.resumed) = (at + 1, self.resumed + 1);
            // All servers may be starting.
            sleep(Duration::from_millis(5)).await;
        }
        self
    }

    async fn follow(&mut self, server: &str) -> Result<()> {
        let mut stream = TcpStream::connect(server).await?;
        let last = self.last_id.as_ref();
        let resume = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /feed HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n{resume}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next_line().await?.unwrap_or_default();
        // A cursor that was delivered must not be refused.
        assert!(!status.contains(" 4"), "the feed refuses {last:?}: {status}");
        while !lines.next_line().await?.unwrap_or_default().is_empty() {}
        let mut block = Block::default();
        while let Some(line) = lines.next_line().await? {
            match line.split_once(": ") {
                Some(("id", id)) => block.id = Some(id.to_owned()),
                Some(("event", name)) => block.event = Some(name.to_owned()),
                Some(("data", data)) => block.data = Some(data.to_owned()),
                _ if line.is_empty() => self.take(std::mem::take(&mut block)),
                _ => {}
            }
            if self.has_ended {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, block: Block) {
        assert_ne!(block.event.as_deref(), Some("feed.reset"), "the log was replaced");
        if let (None, Some(data)) = (block.event, block.data) {
            let event: Value = serde_json::from_str(&data).expect("an envelope");
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            self.has_ended = event["data"]["last"] == true;
            self.delivered.push(Delivered {
                cursor: text("cursor"),
                id: text("id"),
                stream: text("stream"),
                version: event["version"].as_u64().expect("a version"),
            });
        }
        self.last_id = block.id.or(self.last_id.take());
    }
}
