use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use futures::FutureExt;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio::time::timeout;

use crate::error::failed;
use crate::sql::{FORMAT, Statements, WRITER_SESSION};

/// The server, and what all connections to it share.
pub(crate) struct Server {
    options: PgConnectOptions,
    pub(crate) sql: Statements,
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
    pub(crate) fn new(url: &str, schema: &str, deadline: Duration) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(failed("read the address"))?;
        let options = options.application_name("downlink").disable_statement_logging();
        Ok(Self { options, sql: Statements::of(schema), deadline })
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

    async fn connect(&self) -> Result<PgConnection> {
        let connect = self.options.connect().map(Ok);
        match self.bounded("connect to PostgreSQL", connect).await? {
            Err(error @ sqlx::Error::Io(_)) => Err(self.not_there(error)),
            connected => connected.map_err(failed("connect to PostgreSQL")),
        }
    }

    fn not_there(&self, error: sqlx::Error) -> Error {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let message = format!(
            "could not connect to PostgreSQL at {host}, port {port}: start it there, or install it \
             (Debian: apt-get install postgresql), and check the URL"
        );
        Error::with_source(ErrorKind::Unavailable, message, error)
    }

    /// Sets up a connection. Statements are prepared here, and not while the lock is held.
    async fn set_up(&self, connection: &mut PgConnection, role: Role) -> Result<()> {
        let set_up = async {
            match role {
                Role::Notifier => return Ok(()),
                Role::Reader => {
                    let session = Statements::reader_session(self.deadline).sql();
                    return sqlx::raw_sql(session).execute(connection).await.map(drop);
                }
                Role::Writer => {}
            }
            sqlx::raw_sql(WRITER_SESSION).execute(&mut *connection).await?;
            for text in [&self.sql.facts, &self.sql.insert] {
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
        let mut connection = self.server.connect().await?;
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
            let mut connection = self.server.connect().await?;
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
