use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

/// What the clients beside the measured streams request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    Nothing,
    /// Polls from the start of the log that match nothing and that no index helps.
    SparsePolls,
    /// Streams that begin at the last thousand events.
    LastThousand,
    /// Streams of the whole log.
    Replays,
}

impl Load {
    pub(crate) const ALL: [Self; 4] =
        [Self::Nothing, Self::SparsePolls, Self::LastThousand, Self::Replays];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SparsePolls => "sparse polls",
            Self::LastThousand => "streams of the last 1,000",
            Self::Replays => "streams of the whole log",
        }
    }

    fn request(self, authority: &str) -> Option<String> {
        let (query, accept) = match self {
            Self::Nothing => return None,
            Self::SparsePolls => ("not_type=FlightDelayed&wait=1", "*/*"),
            Self::LastThousand => ("after=last:1000&stream_prefix=flight-7", "text/event-stream"),
            Self::Replays => ("after=start", "text/event-stream"),
        };
        Some(format!(
            "GET /feed?{query} HTTP/1.1\r\nHost: {authority}\r\nAccept: {accept}\r\n\
             Feed-Client: bench/1\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Starts this many clients, which are stopped when the set is dropped.
    pub(crate) fn start(self, authority: &str, clients: usize) -> JoinSet<()> {
        let mut set = JoinSet::new();
        let Some(request) = self.request(authority) else { return set };
        for _ in 0..clients {
            let (authority, request) = (authority.to_owned(), request.clone());
            set.spawn(async move {
                loop {
                    // A connection that is refused or broken is only one that asks again.
                    let _ = ask(&authority, &request).await;
                }
            });
        }
        set
    }
}

/// Reads a response to its end, or a stream until it is live.
async fn ask(authority: &str, request: &str) -> Result<()> {
    let mut socket = TcpStream::connect(authority).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut tail = Vec::new();
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        tail.extend_from_slice(&buffer[..read]);
        if tail.windows(16).any(|part| part == b"event: feed.live") {
            return Ok(());
        }
        tail.drain(..tail.len().saturating_sub(16));
    }
}
