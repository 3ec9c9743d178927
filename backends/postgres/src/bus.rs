use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, LocalBus, Position, Result};
use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connection::{LazyConnection, Role, Server};
use crate::error::failed;
use crate::options::Options;
use crate::statement::Value;

/// How long a connection may be quiet before the bus asks the server whether it is still there.
const QUIET: Duration = Duration::from_secs(20);

/// The pauses between attempts to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A bus that notifies the followers of a log in PostgreSQL, in this process and in others, by
/// `LISTEN` and `NOTIFY`.
///
/// It has two connections of its own: one listens, one notifies. A notification is sent after the
/// commit, in a statement of its own, because PostgreSQL serializes commits that notify. Its
/// payload is a position. When the listening connection is lost, listeners get a hint, and
/// another one when it is back; between, hubs of other processes poll.
///
/// Behind a pooler in transaction mode `LISTEN` does not work. Set
/// [`Options::with_listen_url`] to a URL that reaches the server itself; without one the bus sends
/// notifications, but hears none, and the hubs of this process poll.
///
/// A handle: clones share the connections. When the last clone is dropped, the listeners end.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> downlink::Result<()> {
/// use downlink::Hub;
/// use downlink_postgres::{PostgresBus, PostgresStore};
///
/// let url = "postgres://flights@localhost/flights";
/// let store = PostgresStore::connect(url).await?;
/// let hub = Hub::builder(store, PostgresBus::connect(url).await?).start().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the bus is closed.
    local: RwLock<Option<LocalBus>>,
    notifier: Mutex<LazyConnection>,
    server: Arc<Server>,
    channel: String,
    task: Mutex<Option<Listening>>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Listening {
    _stop: DropGuard,
    task: JoinHandle<()>,
}

impl PostgresBus {
    /// Listens to the log in the schema `downlink` of the database of this URL.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the URL is not valid;
    /// [`Unavailable`](ErrorKind::Unavailable) if the connection fails or is refused.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    pub async fn connect(url: &str) -> Result<Self> {
        Options::new().connect_bus(url).await
    }

    /// Ends the listeners, and returns when the connections are closed. Later calls, also on
    /// other clones, fail with `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its task still ends.
    pub async fn close(&self) {
        *self.shared.local.write().unwrap_or_else(PoisonError::into_inner) = None;
        let listening = self.shared.task.lock().await.take();
        if let Some(Listening { _stop: stop, task }) = listening {
            drop(stop);
            // It ends by itself, and a panic was logged.
            let _ = task.await;
        }
        self.shared.notifier.lock().await.close().await;
    }

    fn local(&self) -> Result<LocalBus> {
        let local = self.shared.local.read().unwrap_or_else(PoisonError::into_inner);
        local.clone().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the bus is closed"))
    }
}

impl Options {
    /// Listens to the log in this schema of the database of this URL; see [`PostgresBus`].
    ///
    /// # Errors
    ///
    /// As [`PostgresBus::connect`], and [`Invalid`](ErrorKind::Invalid) for the name of the schema.
    ///
    /// # Panics
    ///
    /// As [`PostgresBus::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`PostgresBus::connect`].
    pub async fn connect_bus(self, url: &str) -> Result<PostgresBus> {
        self.check_schema()?;
        let server = Arc::new(Server::new(url, &self)?);
        let channel = server.sql.channel();
        let local = LocalBus::new();
        let heard = match self.listen_url() {
            Some(url) => Some(Arc::new(Server::new(url, &self.clone().with_pooler(false))?)),
            None if server.is_pooled => None,
            None => Some(Arc::clone(&server)),
        };
        let task = if let Some(server) = heard {
            Some(Listening::start(server, &channel, &local).await?)
        } else {
            tracing::warn!(
                "the bus hears nothing behind a pooler, so hubs poll: set Options::with_listen_url"
            );
            None
        };
        let mut notifier = LazyConnection::new(&server, Role::Notifier);
        notifier.connected().await?;
        let (notifier, task) = (Mutex::new(notifier), Mutex::new(task));
        let local = RwLock::new(Some(local));
        Ok(PostgresBus { shared: Arc::new(Shared { local, notifier, server, channel, task }) })
    }
}

impl Listening {
    async fn start(server: Arc<Server>, channel: &str, local: &LocalBus) -> Result<Self> {
        let listener = server.listen(channel).await?;
        let (channel, local) = (channel.to_owned(), local.clone());
        let task = Task { listener, server, channel, local };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopped => {}
                () = task.run() => {}
            }
        });
        Ok(Self { _stop: stop.drop_guard(), task })
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        let Shared { notifier, server, channel, .. } = &*self.shared;
        // Listeners of this process need not wait for the server.
        self.local()?.wake(hint);
        let position = hint.claimed_position().map(|position| position.to_string());
        let mut notifier = notifier.lock().await;
        let connection = notifier.connected().await?;
        let position = position.unwrap_or_default();
        let values = vec![Value::Text(channel), Value::Text(&position)];
        let notify = server.sql.run(connection, &server.sql.notify, values);
        let done = server.bounded("notify the followers of the log", notify).await;
        if done.is_err() {
            notifier.discard();
        }
        done.map(drop)
    }

    async fn listen(&self) -> Result<Listener> {
        self.local()?.listen().await
    }
}

/// The task that listens.
struct Task {
    listener: PgListener,
    server: Arc<Server>,
    channel: String,
    local: LocalBus,
}

impl Task {
    async fn run(mut self) {
        loop {
            let lost = self.follow().await;
            tracing::warn!(error = %lost, "the bus has lost its connection: connecting again");
            self.local.wake(Hint::anything());
            self.reconnect().await;
            self.local.wake(Hint::anything());
        }
    }

    /// Forwards notifications until the connection is lost.
    async fn follow(&mut self) -> Error {
        loop {
            match timeout(QUIET, self.listener.try_recv()).await {
                Ok(Ok(Some(notification))) => self.local.wake(hint(&notification)),
                Ok(Ok(None)) => return Error::new(ErrorKind::Unavailable, "the server closed it"),
                Ok(Err(error)) => return failed("listen to the log")(error),
                Err(_) => {
                    let ask = sqlx::query("SELECT 1").execute(&mut self.listener);
                    if let Err(error) = self.server.bounded("reach PostgreSQL", ask).await {
                        return error;
                    }
                }
            }
        }
    }

    async fn reconnect(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.server.listen(&self.channel).await {
                Ok(listener) => {
                    self.listener = listener;
                    return;
                }
                Err(error) => tracing::debug!(%error, "the bus could not connect: retrying"),
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

/// Any text that is not a position is a hint, too.
fn hint(notification: &PgNotification) -> Hint {
    let position = notification.payload().parse().ok().and_then(Position::new);
    position.map_or(Hint::anything(), Hint::at)
}
