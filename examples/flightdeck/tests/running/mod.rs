//! Runs FlightDeck in a test, and sends requests to it.
#![expect(clippy::unwrap_used, reason = "panics are failures")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use downlink::event::ContentType;
use downlink::transport::{Endpoint, Frame};
use downlink::{Append, Event, EventStore, Expected, NewEvent, Subscribe};
use downlink_transports::client::{Client, Follow};
use downlink_transports::serve::Signals;
use flightdeck::replay::Speed;
use flightdeck::{FlightDeck, LogOptions, Options};
use futures::TryStreamExt;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A test that takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// A temporary folder with a log.
pub(crate) struct Log {
    folder: TempDir,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("flightdeck.db")
    }

    /// Appends foreign events: an unknown type, and invalid payloads of known types, in
    /// FlightDeck's streams and in others.
    pub(crate) async fn append_foreign_events(&self) {
        let store = downlink_rusqlite::open(self.path()).await.unwrap();
        let binary = ContentType::new("application/octet-stream").unwrap();
        for stream in ["replay", "flight-XX1", "flight-UA1714", "weather"] {
            for event in [
                NewEvent::json("WeatherReported", "{}"),
                NewEvent::json("FlightScheduled", r#"{"at":"soon"}"#),
                NewEvent::json("FlightDelayed", "[20]"),
                NewEvent::json("ReplayPaused", "null"),
                NewEvent::bytes("FlightLanded", binary.clone(), vec![0, 255]),
            ] {
                let event = event.unwrap().with_tag("airport:EWR").unwrap();
                store.append(Append::to(stream, Expected::Any, [event]).unwrap()).await.unwrap();
            }
        }
        store.close().await;
    }

    /// Options for this log, with full speed.
    pub(crate) fn options(&self, listen: SocketAddr) -> Options {
        Options {
            log: LogOptions { db: self.path(), store: "rusqlite".into(), bus: None },
            listen,
            speed: Some(Speed::FASTEST),
            no_replay: false,
            fresh: false,
            command: None,
        }
    }
}

/// A loopback address with any free port.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A running FlightDeck.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    signals: Signals,
    task: JoinHandle<downlink::Result<()>>,
}

impl Running {
    pub(crate) async fn start(options: &Options) -> downlink::Result<Self> {
        let signals = Signals { drain: CancellationToken::new(), force: CancellationToken::new() };
        let flight_deck = FlightDeck::start(options, signals.clone()).await?;
        let address = flight_deck.address();
        Ok(Self { address, signals, task: tokio::spawn(flight_deck.run()) })
    }

    /// Stops it as Ctrl-C does.
    pub(crate) async fn end(self) {
        self.signals.drain.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task).await;
        ended.expect("the program to end").unwrap().unwrap();
    }

    /// Follows the feed, and reconnects after restarts.
    pub(crate) fn follow(&self, subscribe: Subscribe) -> Follow {
        let pause = Duration::from_millis(10)..=Duration::from_millis(20);
        let endpoint = Endpoint::new(format!("http://{}/api", self.address));
        let client = Client::new(endpoint).with_reconnect_delay(pause);
        client.with_max_server_delay(Duration::from_millis(50)).follow(subscribe).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        self.ask(head).await
    }

    /// The answer of a live query. On a busy machine, an evaluation may take longer than it is allowed to:
    /// then a client is told to ask again.
    pub(crate) async fn ask_live(&self, query: &str) -> Answer {
        let path = format!("/api/live/{query}");
        let answer = async {
            loop {
                let answer = self.get(&path).await;
                if answer.status() != 503 {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.expect("an answer in time")
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_from(&self.address.to_string(), None, path, body).await
    }

    /// Posts with this `Host` and `Origin`.
    pub(crate) async fn post_from(
        &self,
        host: &str,
        origin: Option<&str>,
        path: &str,
        body: &str,
    ) -> Answer {
        let origin: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        self.send(host, &origin, path, body).await
    }

    /// Posts with additional headers.
    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        path: &str,
        body: &str,
    ) -> Answer {
        self.send(&self.address.to_string(), headers, path, body).await
    }

    async fn send(&self, host: &str, more: &[(&str, &str)], path: &str, body: &str) -> Answer {
        let more: Vec<_> =
            more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let more = more.concat();
        self.ask(format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\n{more}content-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    async fn ask(&self, request: String) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(DEADLINE, read).await.expect("an answer").unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer with a head");
        Answer { head: head.to_owned(), body: body.to_owned() }
    }
}

/// `flightdeck replay` in a separate process.
pub(crate) struct ReplayProcess {
    child: Child,
}

impl ReplayProcess {
    pub(crate) fn start(db: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flightdeck"));
        command.args(["replay", "--speed", "3600", "--db"]).arg(db);
        let child = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        Self { child }
    }

    /// Stops it as Ctrl-C does.
    pub(crate) async fn end(&mut self) {
        let id = self.child.id().expect("a process that runs").to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().await.unwrap();
        assert!(sent.success());
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        assert!(ended.expect("the process to end").unwrap().success());
    }
}

/// A response of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(this, _)| this.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The next event of a feed.
pub(crate) async fn next_event(follow: &mut Follow) -> Event {
    let event = async {
        loop {
            let frame = follow.try_next().await.unwrap().expect("a feed without end");
            if let Frame::Event { event, .. } = frame {
                return event;
            }
        }
    };
    tokio::time::timeout(DEADLINE, event).await.expect("an event in time")
}

/// The next `count` events of a feed.
pub(crate) async fn next_events(follow: &mut Follow, count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        events.push(next_event(follow).await);
    }
    events
}
