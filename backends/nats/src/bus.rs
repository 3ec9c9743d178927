use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, EventId, LocalBus, Position, Result};
use futures::StreamExt;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long each of connecting, subscribing and publishing may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many hints may wait for the task that forwards them, which never waits for anything.
const CAPACITY: usize = 1_024;

/// A bus that notifies the followers of a log, in this process and in others, over NATS.
///
/// When the connection is lost, the client connects again by itself, and listeners get a hint
/// then.
///
/// A handle: clones share the connection. When the last clone is dropped, the listeners end.
#[derive(Clone)]
pub struct NatsBus {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    subject: String,
    /// `None` once the bus is closed.
    local: RwLock<Option<LocalBus>>,
    task: Mutex<Option<Forwarding>>,
}

/// A task that ends when this is dropped.
struct Forwarding {
    _stop: DropGuard,
    task: JoinHandle<()>,
}

impl NatsBus {
    /// Connects to the server or cluster of this URL, `nats://host:4222` or several separated
    /// by commas, and listens to this subject, which is for one log.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the URL or the subject is not valid;
    /// [`Unavailable`](ErrorKind::Unavailable) if no server can be reached or it refuses the
    /// connection.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    pub async fn connect(url: &str, subject: &str) -> Result<Self> {
        Self::connect_with(ConnectOptions::new(), url, subject).await
    }

    /// As [`connect`](Self::connect), with options of the client for TLS and authentication.
    /// Their event callback is replaced.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(options: ConnectOptions, url: &str, subject: &str) -> Result<Self> {
        check_subject(subject)?;
        let servers = servers(url)?;
        let local = LocalBus::new();
        let waking = local.clone();
        let options = options.name("downlink").subscription_capacity(CAPACITY);
        let options = options.event_callback(move |event| {
            connection_changed(&waking, &event);
            std::future::ready(())
        });
        let place = places(&servers);
        let client = bounded("connect", options.connect(servers)).await.map_err(|error| {
            let message = format!(
                "could not connect to NATS at {place}: start nats-server there, or install it \
                 (Debian: apt-get install nats-server)"
            );
            Error::with_source(ErrorKind::Unavailable, message, error)
        })?;
        let subscriber = subscribed(&client, subject).await?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(forward(subscriber, local.clone(), stop.clone()));
        let task = Mutex::new(Some(Forwarding { _stop: stop.drop_guard(), task }));
        let local = RwLock::new(Some(local));
        let shared = Shared { client, subject: subject.to_owned(), local, task };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Ends the listeners, sends what is buffered, and closes the connection. Later calls, also
    /// on other clones, fail with `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its task still ends.
    pub async fn close(&self) {
        *self.shared.local.write().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(Forwarding { _stop: stop, task }) = self.shared.task.lock().await.take() {
            drop(stop);
            // It ends by itself, and a panic was logged.
            let _ = task.await;
        }
        // The connection ends in any case.
        let _ = timeout(DEADLINE, self.shared.client.drain()).await;
    }

    fn local(&self) -> Result<LocalBus> {
        let local = self.shared.local.read().unwrap_or_else(PoisonError::into_inner);
        local.clone().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the bus is closed"))
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus").field("subject", &self.shared.subject).finish_non_exhaustive()
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        // Listeners of this process need not wait for the server.
        self.local()?.wake(hint);
        let Shared { client, subject, .. } = &*self.shared;
        let position = hint.claimed_position().map(|position| position.to_string());
        let send = async {
            client.publish(subject.clone(), position.unwrap_or_default().into()).await?;
            Ok::<_, downlink::BoxError>(client.flush().await?)
        };
        bounded("publish a hint on NATS", send).await
    }

    async fn listen(&self) -> Result<Listener> {
        self.local()?.listen().await
    }
}

/// Subscribes, and returns when the server has the subscription: a message of this client comes
/// back.
async fn subscribed(client: &Client, subject: &str) -> Result<Subscriber> {
    let probe = EventId::now().to_string();
    let subscribe = async {
        let mut subscriber = client.subscribe(subject.to_owned()).await?;
        client.publish(subject.to_owned(), probe.clone().into()).await?;
        while let Some(message) = subscriber.next().await {
            if message.payload == probe.as_bytes() {
                return Ok(subscriber);
            }
        }
        Err(downlink::BoxError::from("the connection was closed"))
    };
    bounded("subscribe on NATS: may this user publish and subscribe on the subject?", subscribe)
        .await
}

async fn forward(mut subscriber: Subscriber, local: LocalBus, stop: CancellationToken) {
    let hints = async {
        while let Some(message) = subscriber.next().await {
            local.wake(hint(&message.payload));
        }
        // Listeners that would wait for ever learn that nothing comes any more.
        tracing::error!("the connection to NATS was closed: followers poll");
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = hints => {}
    }
}

/// Any payload that is not a position is a hint, too.
fn hint(payload: &[u8]) -> Hint {
    let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
    number.and_then(Position::new).map_or(Hint::anything(), Hint::at)
}

fn connection_changed(local: &LocalBus, event: &Event) {
    match event {
        // Hints may have been missed.
        Event::Connected | Event::SlowConsumer(_) => local.wake(Hint::anything()),
        Event::Disconnected => tracing::warn!("the connection to NATS was lost"),
        Event::ServerError(error) => tracing::warn!(%error, "NATS reports an error"),
        Event::ClientError(error) => tracing::warn!(%error, "the client of NATS reports an error"),
        other => tracing::info!(event = %other, "the connection to NATS has changed"),
    }
}

/// Runs a step within the deadline.
async fn bounded<T, E: Into<downlink::BoxError>>(
    doing: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    let Ok(done) = timeout(DEADLINE, step).await else {
        let message = format!("could not {doing} within {DEADLINE:?}");
        return Err(Error::new(ErrorKind::Unavailable, message));
    };
    done.map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, format!("could not {doing}"), error)
    })
}

/// The hosts and ports, without what is secret in a URL.
fn places(servers: &[async_nats::ServerAddr]) -> String {
    let places: Vec<_> =
        servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
    places.join(", ")
}

/// The addresses of a URL that may name several servers.
fn servers(url: &str) -> Result<Vec<async_nats::ServerAddr>> {
    url.split(',')
        .map(|server| {
            server.trim().parse().map_err(|error| {
                let message = "the address of NATS is not valid: write nats://host:4222";
                Error::with_source(ErrorKind::Invalid, message, error)
            })
        })
        .collect()
}

/// Refuses a subject on which nothing can be published.
fn check_subject(subject: &str) -> Result<()> {
    let is_token = |token: &str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
        !token.is_empty() && token.bytes().all(plain)
    };
    if subject.split('.').all(is_token) {
        return Ok(());
    }
    let message = format!(
        "{subject:?} is not a subject for a log: use words of visible ASCII characters, separated \
         by dots, without '*' and '>'"
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_one_log() {
        for good in ["flights", "downlink.flights.ewr", "a_b-c.1"] {
            assert!(check_subject(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a..b", "a.*", "a.>", "a b", "é", "a\r\n"] {
            assert_eq!(check_subject(bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn a_hint_is_a_position_or_anything() {
        assert_eq!(hint(b"42"), Hint::at(Position::new(42).unwrap()));
        for other in [&b""[..], b"-1", b"\xff", b"99999999999999999999999", b"hello"] {
            assert_eq!(hint(other), Hint::anything());
        }
    }
}
