use std::time::Duration;

use downlink::EventId;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Authorities;
use crate::process::DEADLINE;
use crate::support::connection::Connection;
use crate::support::protocol::Protocol;

/// The data of the event that ends a run.
pub(crate) const LAST: &str = r#"{"last":true}"#;

/// A client that appends to a stream of its own, one event after the other, and repeats each at
/// another server, with the same id, until it is acknowledged.
pub(crate) struct Appender {
    pub(crate) stream: String,
    /// The events that were acknowledged, in order.
    pub(crate) acknowledged: Vec<String>,
    /// How often a server did not acknowledge.
    pub(crate) failures: usize,
    servers: Authorities,
    at: usize,
    connection: Option<Connection>,
}

impl Appender {
    /// The appender with this number, of a stream with this number.
    pub(crate) fn new(servers: &Authorities, number: usize) -> Self {
        Self {
            stream: format!("flight-{number}"),
            acknowledged: Vec::new(),
            failures: 0,
            servers: servers.clone(),
            at: number,
            connection: None,
        }
    }

    /// Appends until it is stopped, and counts what was acknowledged.
    pub(crate) async fn run(
        mut self,
        stop: CancellationToken,
        count: watch::Sender<usize>,
    ) -> Self {
        while !stop.is_cancelled() {
            self.append(r#"{"gate":"C71"}"#).await;
            count.send_modify(|count| *count += 1);
        }
        self
    }

    pub(crate) async fn append(&mut self, data: &str) {
        let id = EventId::now();
        timeout(DEADLINE, self.append_as(id, data))
            .await
            .expect("no server acknowledges an append");
        self.acknowledged.push(id.to_string());
    }

    async fn append_as(&mut self, id: EventId, data: &str) {
        while let Err(error) = self.try_append(id, data).await {
            assert!(!error.contains("HTTP/1.1 4"), "an append is refused: {error}");
            self.failures += 1;
            (self.connection, self.at) = (None, self.at + 1);
            // All servers may be starting.
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn try_append(&mut self, id: EventId, data: &str) -> Result<(), String> {
        if self.connection.is_none() {
            let server = &self.servers[self.at % self.servers.len()];
            let opened = Connection::open(server, Protocol::Downlink).await;
            self.connection = Some(opened.map_err(|error| error.to_string())?);
        }
        let connection = self.connection.as_mut().expect("it is open");
        let appended = connection.append_data(&self.stream, id, data).await;
        appended.map_err(|error| error.to_string())
    }
}
