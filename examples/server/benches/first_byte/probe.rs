use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// How long new streams took.
#[derive(Debug, Default)]
pub(crate) struct Times {
    bytes: Vec<Duration>,
    readies: Vec<Duration>,
}

impl Times {
    /// The time to the first byte of the body, at this percentile.
    pub(crate) fn byte(&self, percentile: usize) -> Duration {
        at(&self.bytes, percentile)
    }

    /// The time to `ready`, at this percentile.
    pub(crate) fn ready(&self, percentile: usize) -> Duration {
        at(&self.readies, percentile)
    }
}

fn at(times: &[Duration], percentile: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get((times.len() * percentile / 100).min(times.len() - 1)).copied().unwrap_or_default()
}

/// Opens streams one after the other: the first from the start of the log, the others
/// at the cursor of its `ready`.
pub(crate) async fn open_streams(authority: &str, count: usize) -> Result<Times> {
    let mut times = Times::default();
    let mut id = String::new();
    for n in 0..count {
        let after = if n % 2 == 0 || id.is_empty() { "after=now" } else { "after=start" };
        let resume = if n % 2 == 1 { format!("Last-Event-ID: {id}\r\n") } else { String::new() };
        let request = format!(
            "GET /feed?{after} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n{resume}\r\n"
        );
        let began = Instant::now();
        let mut socket = TcpStream::connect(authority).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut received = Vec::new();
        let mut first = None;
        loop {
            let mut buffer = [0; 4_096];
            let read = socket.read(&mut buffer).await?;
            if read == 0 {
                return Err(format!("refused: {}", String::from_utf8_lossy(&received)).into());
            }
            received.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&received);
            if first.is_none() && text.contains("\r\n\r\n") {
                first = Some(began.elapsed());
            }
            if text.contains("event: feed.ready") {
                let ids = text.split("id: ").nth(1).and_then(|rest| rest.lines().next());
                ids.unwrap_or_default().clone_into(&mut id);
                break;
            }
        }
        times.bytes.extend(first);
        times.readies.push(began.elapsed());
    }
    Ok(times)
}
