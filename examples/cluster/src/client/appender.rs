use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Result;
use crate::client::http::{Connection, is_final};
use crate::client::ledger::Ledger;

/// An event that is not acknowledged for so long is a failure of the run.
const DEADLINE: Duration = Duration::from_mins(1);

/// A client that appends to a stream of its own at a steady rate. An event that is not
/// acknowledged is sent again with the same id until it is.
#[derive(Debug)]
pub(crate) struct Appender {
    authority: String,
    stream: String,
    ledger: Arc<Mutex<Ledger>>,
    connection: Option<Connection>,
}

impl Appender {
    pub(crate) fn new(authority: &str, number: usize, ledger: &Arc<Mutex<Ledger>>) -> Self {
        let (authority, stream) = (authority.to_owned(), format!("flight-{number}"));
        Self { authority, stream, ledger: ledger.clone(), connection: None }
    }

    /// Appends until it is stopped, or an event is refused.
    pub(crate) async fn run(mut self, pause: Duration, stop: CancellationToken) {
        let mut ticks = interval_at(Instant::now() + pause.mul_f64(rand::random()), pause);
        // Those that were missed during an append are due at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let due = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                due = ticks.tick() => due,
            };
            let id = Uuid::now_v7();
            self.ledger().send(id, due);
            let appended = timeout(DEADLINE, self.append(id)).await;
            let appended = appended.unwrap_or_else(|_| Err("not acknowledged in a minute".into()));
            if let Err(problem) = appended {
                let stream = &self.stream;
                self.ledger().report(format!("an append to {stream}: {problem}"));
                return;
            }
            self.ledger().acknowledge(id, Instant::now());
        }
    }

    /// Sends the event until it is acknowledged. An error is a refusal.
    async fn append(&mut self, id: Uuid) -> Result<()> {
        let event =
            json!({ "id": id.to_string(), "type": "FlightDeparted", "data": { "gate": "C71" } });
        loop {
            match self.try_append(event.to_string()).await {
                Ok(None) => return Ok(()),
                Ok(Some(refusal)) => return Err(refusal.into()),
                Err(_) => self.ledger().fail(),
            }
            self.connection = None;
            // All servers may be starting.
            let pause = rand::rng().random_range(20..100);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Returns what a server says that refuses the event for good.
    async fn try_append(&mut self, event: String) -> Result<Option<String>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(&self.authority).await?),
        };
        let path = format!("/streams/{}", self.stream);
        let (status, text) = connection.post(&path, event).await?;
        if status.is_success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        if is_final(status) {
            return Ok(Some(format!("{status}: {text}")));
        }
        Err(format!("{status}: {text}").into())
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
