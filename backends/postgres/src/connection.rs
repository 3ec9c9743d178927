use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use futures::FutureExt;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio::time::timeout;

use crate::connect_error::not_connected;
use crate::error::failed;
use crate::options::Options;
use crate::sql::{FORMAT, Statements, read_alone, reader_settings, save_alone};
use crate::statement::Form;

/// The server, and what all connections to it share.
pub(crate) struct Server {
    options: PgConnectOptions,
    /// Whether connections share sessions with those of other clients.
    pub(crate) is_pooled: bool,
    /// For open transactions.
    pub(crate) sql: Statements,
    /// For reads without a transaction.
    pub(crate) reads: Statements,
    /// For writes without a transaction, which a crash may lose.
    pub(crate) saves: Statements,
    pub(crate) deadline: Duration,
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
    /// Notifies, and reads and writes nothing.
    Notifier,
}

/// A connection of one task, opened when it is needed.
#[derive(Debug)]
pub(crate) struct LazyConnection {
    server: Arc<Server>,
    role: Role,
    open: Option<PgConnection>,
}

impl Server {
    pub(crate) fn new(url: &str, options: &Options) -> Result<Self> {
        let (schema, deadline) = (options.schema(), options.step_deadline());
        let parsed: PgConnectOptions = url.parse().map_err(failed("read the address"))?;
        let parsed = parsed.application_name("downlink").disable_statement_logging();
        let is_pooled = options.is_pooled() || is_without_cache(&parsed);
        let (within, alone, parsed) = if is_pooled {
            // Poolers refuse the other parameter that sqlx begins with.
            let parsed = parsed.statement_cache_capacity(0).extra_float_digits(None);
            (Form::Inlined(String::new()), read_alone(deadline), parsed)
        } else {
            (Form::Prepared, Form::Prepared, parsed)
        };
        Ok(Self {
            options: parsed,
            is_pooled,
            sql: Statements::of(schema, within),
            reads: Statements::of(schema, alone),
            saves: Statements::of(schema, save_alone(deadline)),
            deadline,
        })
    }

    /// Runs a step within the deadline. If it is dropped before it completes, the state of its
    /// connection is unknown.
    pub(crate) async fn bounded<T>(
        &self,
        doing: &str,
        step: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let Ok(done) = timeout(self.deadline, step).await else {
            let message = format!("could not {doing} within {:?}", self.deadline);
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        done.map_err(failed(doing))
    }

    async fn connect(&self, role: Role) -> Result<PgConnection> {
        let options = match role {
            // The first message has them, so they take no round trip; and a pooler for which this
            // was not made refuses them.
            Role::Reader if !self.is_pooled => {
                self.options.clone().options(reader_settings(self.deadline))
            }
            _ => self.options.clone(),
        };
        let connected = self.bounded("connect to PostgreSQL", options.connect().map(Ok)).await?;
        match connected {
            Ok(connection) => Ok(connection),
            Err(error) => Err(not_connected(&options, error).await),
        }
    }

    /// A connection that listens to this channel.
    pub(crate) async fn listen(&self, channel: &str) -> Result<PgListener> {
        // A pool retries and then reports a time-out, so this tells why there is no connection.
        self.connect(Role::Notifier).await?.close().await.map_err(failed(LISTEN))?;
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let listening = async {
            let pool = pool.connect_with(self.options.clone()).await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        };
        self.bounded(LISTEN, listening).await
    }

    /// Sets up a connection. Statements are prepared here, and not while the lock is held.
    async fn set_up(&self, connection: &mut PgConnection, role: Role) -> Result<()> {
        if role != Role::Writer || self.is_pooled {
            return Ok(());
        }
        let set_up = async {
            for text in [&self.sql.facts, &self.sql.insert, &self.sql.insert_new] {
                connection.prepare(text.sql()).await?;
            }
            Ok(())
        };
        self.bounded("set up a connection", set_up).await
    }
}

impl LazyConnection {
    pub(crate) fn new(server: &Arc<Server>, role: Role) -> Self {
        Self { server: Arc::clone(server), role, open: None }
    }

    /// Connects, and creates the log if there is none.
    pub(crate) async fn create(&mut self) -> Result<()> {
        let mut connection = self.server.connect(self.role).await?;
        let made = sqlx::raw_sql(self.server.sql.create().sql()).fetch_all(&mut connection);
        let rows = self.server.bounded("create an empty log", made).await?;
        check(rows.last())?;
        self.server.set_up(&mut connection, self.role).await?;
        self.open = Some(connection);
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The connection, opened if necessary.
    pub(crate) async fn connected(&mut self) -> Result<&mut PgConnection> {
        if self.open.is_none() {
            let mut connection = self.server.connect(self.role).await?;
            self.server.set_up(&mut connection, self.role).await?;
            self.open = Some(connection);
        }
        self.opened()
    }

    /// The connection, which has just answered, or is new.
    pub(crate) async fn checked(&mut self) -> Result<&mut PgConnection> {
        if let Some(open) = &mut self.open {
            // The outcome is whether it stays.
            if self.server.bounded("reach PostgreSQL", open.ping()).await.is_err() {
                self.discard();
            }
        }
        self.connected().await
    }

    /// The connection with the open transaction.
    pub(crate) fn opened(&mut self) -> Result<&mut PgConnection> {
        self.open.as_mut().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the connection was closed within its transaction")
        })
    }

    /// Drops the connection in whatever state it is. The server rolls an open transaction back
    /// when it detects that.
    pub(crate) fn discard(&mut self) {
        self.open = None;
    }

    /// Closes the connection gracefully if the server responds.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.open.take() {
            // It is closed in any case.
            let _ = self.server.bounded("close a connection", connection.close()).await;
        }
    }
}

const LISTEN: &str = "listen to the log";

/// Whether the URL turns the cache of prepared statements off, as poolers need it.
fn is_without_cache(options: &PgConnectOptions) -> bool {
    let url = options.to_url_lossy();
    url.query_pairs().any(|(name, value)| name == "statement-cache-capacity" && value == "0")
}

/// Refuses a log that this release does not support.
fn check(row: Option<&PgRow>) -> Result<()> {
    use sqlx::Row;

    let missing =
        || Error::new(ErrorKind::Corrupt, "the row that serves as the lock of the log is missing");
    let row = row.ok_or_else(missing)?;
    let doing = "inspect the log";
    let format: i32 = row.try_get(0).map_err(failed(doing))?;
    let encoding: String = row.try_get(1).map_err(failed(doing))?;
    if format != FORMAT {
        let message = format!("the log has format {format}, and this release supports {FORMAT}");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if encoding != "UTF8" {
        let message =
            format!("the database has the encoding {encoding}: create one with ENCODING 'UTF8'");
        return Err(Error::new(ErrorKind::Backend, message));
    }
    Ok(())
}
