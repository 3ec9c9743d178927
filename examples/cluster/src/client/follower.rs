use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use rand::Rng;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::Result;
use crate::client::event_stream::{Block, EventStream};
use crate::client::http::{Connection, is_final};
use crate::client::ledger::Ledger;

/// A stream that is silent for longer is dead: heartbeats come every 15 seconds.
const SILENCE: Duration = Duration::from_secs(40);

/// A client that follows the whole log over server-sent events. After each interruption it
/// resumes after the last id that it has seen.
#[derive(Debug)]
pub(crate) struct Follower {
    authority: String,
    number: usize,
    ledger: Arc<Mutex<Ledger>>,
    last_id: Option<String>,
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
struct Envelope {
    cursor: String,
    id: String,
}

/// Why a follower cannot go on.
#[derive(Debug)]
struct Refused(String);

impl Follower {
    pub(crate) fn new(authority: &str, number: usize, ledger: &Arc<Mutex<Ledger>>) -> Self {
        Self { authority: authority.to_owned(), number, ledger: ledger.clone(), last_id: None }
    }

    /// Follows without an end, unless it is refused.
    pub(crate) async fn run(mut self) {
        loop {
            // Streams of killed servers end with an error, which is what happens here.
            if let Ok(Some(Refused(problem))) = self.follow().await {
                let number = self.number;
                self.ledger().report(format!("follower {number}: {problem}"));
                return;
            }
            let pause = rand::rng().random_range(20..100);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Follows until the stream ends.
    async fn follow(&mut self) -> Result<Option<Refused>> {
        let mut connection = Connection::open(&self.authority).await?;
        let (status, mut body) = connection.follow("/feed", self.last_id.as_deref()).await?;
        if is_final(status) {
            return Ok(Some(Refused(format!("{status} after {:?}", self.last_id))));
        }
        if !status.is_success() {
            return Err(status.to_string().into());
        }
        if self.last_id.is_some() {
            self.ledger().resume();
        }
        let mut stream = EventStream::default();
        while let Some(frame) = timeout(SILENCE, body.frame()).await? {
            let bytes = frame?.into_data().unwrap_or_default();
            for block in stream.push(&bytes) {
                if let Err(refused) = self.take(block) {
                    return Ok(Some(refused));
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, block: Block) -> Result<(), Refused> {
        match (block.event.as_deref(), block.data) {
            (None, Some(data)) => self.count(&data)?,
            (Some("feed.reset"), data) => {
                return Err(Refused(format!("the log was replaced: {data:?}")));
            }
            _ => {}
        }
        self.last_id = block.id.or(self.last_id.take());
        Ok(())
    }

    fn count(&self, data: &str) -> Result<(), Refused> {
        let now = Instant::now();
        let event: Envelope = serde_json::from_str(data)
            .map_err(|error| Refused(format!("not an event: {error}: {data}")))?;
        let id = Uuid::parse_str(&event.id)
            .map_err(|error| Refused(format!("not an id: {error}: {data}")))?;
        self.ledger().deliver(self.number, id, &event.cursor, now);
        Ok(())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const EVENTS: u128 = 6;

    fn block(number: u128) -> String {
        let id = Uuid::from_u128(number);
        format!("id: {number:016x}\ndata: {{\"cursor\":\"{number:016x}\",\"id\":\"{id}\"}}\n\n")
    }

    /// A server that sends these events after each `Last-Event-ID`, and then ends the stream.
    /// After the last it waits.
    async fn serve(listener: TcpListener, after: fn(u128) -> Vec<u128>) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let last = head.lines().find_map(|line| line.strip_prefix("last-event-id: "));
            let last = last.map_or(0, |id| u128::from_str_radix(id, 16).unwrap());
            let mut text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
                .to_owned();
            for number in after(last) {
                let block = block(number);
                write!(text, "{:x}\r\n{block}\r\n", block.len()).unwrap();
            }
            stream.write_all(text.as_bytes()).await.unwrap();
            if last == EVENTS {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What the ledger says of a follower of that server.
    async fn account(after: fn(u128) -> Vec<u128>) -> crate::client::Counts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let mut ledger = Ledger::new(1);
        for number in 1..=EVENTS {
            ledger.send(Uuid::from_u128(number), Instant::now());
            ledger.acknowledge(Uuid::from_u128(number), Instant::now());
        }
        let ledger = Arc::new(Mutex::new(ledger));
        let ends = async {
            // It resumes after the last event, too.
            while ledger.lock().unwrap().counts().resumed < 3 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = serve(listener, after) => {}
            () = Follower::new(&authority, 0, &ledger).run() => panic!("the follower gave up"),
            ended = timeout(Duration::from_mins(1), ends) => ended.expect("the last event"),
        }
        ledger.lock().unwrap().close()
    }

    #[tokio::test]
    async fn a_follower_resumes_after_the_last_id() {
        let counts = account(|last| (last + 1..=EVENTS).take(2).collect()).await;
        assert_eq!((counts.delivered, counts.lost, counts.repeated), (6, 0, 0));
    }

    #[tokio::test]
    async fn a_server_that_skips_an_event_is_caught() {
        let counts =
            account(|last| (last + 1..=EVENTS).take(2).filter(|n| *n != 3).collect()).await;
        assert_eq!((counts.delivered, counts.lost, counts.repeated), (5, 1, 0));
    }

    #[tokio::test]
    async fn a_server_that_sends_an_event_again_is_caught() {
        let counts = account(|last| {
            let again = (last == 2).then_some(2);
            again.into_iter().chain((last + 1..=EVENTS).take(2)).collect()
        })
        .await;
        assert_eq!((counts.delivered, counts.lost, counts.repeated), (7, 0, 1));
    }
}
