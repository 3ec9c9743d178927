//! Connections: opened, checked, set, and given up when the file under them is
//! replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{
    self as schema, FileOptions, Identity, OpenFiles, Setup, batch_sql, sql,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use tokio::time::sleep;

use crate::error::{code_under, failed};
use crate::file::File;
use crate::guard::LogGuard;
use crate::row::{column, missing};

/// What a connection is for.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Writer(LogGuard),
    Reader,
    /// Runs queries of the application.
    Query,
    Backup,
}

/// A connection of one task, opened when it is needed, and reopened whenever the path names
/// another file.
///
/// It reads the metadata of the file on the runtime itself: the file is open, and the
/// metadata of an open file on a local disk is in memory.
#[derive(Debug)]
pub(crate) struct LazyConnection {
    file: Arc<File>,
    role: Role,
    /// The files are dropped before the connection is closed.
    open: Option<(Arc<OpenFiles>, SqliteConnection)>,
}

/// The connection, and whether it is another one than the last time.
pub(crate) struct Current<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
    pub(crate) is_new: bool,
}

impl LazyConnection {
    pub(crate) fn new(file: Arc<File>, role: Role) -> Self {
        Self { file, role, open: None }
    }

    /// Opens the log, or creates an empty one if there is no file.
    pub(crate) async fn create(&mut self) -> Result<()> {
        self.file.check_aliases()?;
        self.open = Some(self.open_same(true).await?);
        Ok(())
    }

    /// The connection to the file that the path names now. If there is none, none is created:
    /// a log that is gone is not an empty log.
    pub(crate) async fn current(&mut self) -> Result<Current<'_>> {
        if let Some((files, _)) = &self.open
            && self.file.is_replaced(files)?
        {
            tracing::warn!(path = %self.file.path().display(), "the file was replaced: opening the new one");
            self.close().await;
        }
        let is_new = self.open.is_none();
        if is_new {
            self.file.check_last()?;
            self.open = Some(self.open_same(false).await?);
        }
        let (_, connection) = self.open.as_mut().expect("it was opened just now");
        Ok(Current { connection, is_new })
    }

    /// The connection with the open transaction.
    pub(crate) fn opened(&mut self) -> Result<&mut SqliteConnection> {
        self.open.as_mut().map(|(_, connection)| connection).ok_or_else(|| {
            Error::new(ErrorKind::Backend, "the connection was closed within its transaction")
        })
    }

    /// Closes the connection, whatever state it is in. Waits until its locks are released.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.take() {
            // It is closed in any case.
            let _ = connection.close().await;
        }
    }

    /// Closes the connection that writes, after all others of the store, and moves the WAL
    /// into the database.
    pub(crate) async fn close_last(&mut self) {
        let is_ours = self.check_committed().is_ok();
        if let Some((_, connection)) = &mut self.open
            && is_ours
            && let Err(error) = run(connection, schema::EMPTY_WAL.into()).await
        {
            tracing::warn!(%error, path = %self.file.path().display(), "could not move the WAL into the database, so it remains next to the file");
        }
        self.close().await;
    }

    /// Checks after a COMMIT that it went into the files that others open.
    pub(crate) fn check_committed(&self) -> Result<()> {
        self.open.as_ref().map_or(Ok(()), |(files, _)| self.file.check_committed(files))
    }

    /// The connection, if it may be closed.
    fn take(&mut self) -> Option<SqliteConnection> {
        let (files, connection) = self.open.take()?;
        if files.are_others_there() {
            // Before logging: a panic in a tracing subscriber would close the connection.
            std::mem::forget(connection);
            tracing::error!(path = %self.file.path().display(), "{}", schema::LEFT_OPEN);
            return None;
        }
        Some(connection)
    }

    /// Opens a connection. Retries until the path names the same file before and after, so
    /// that the recorded files are those of the connection.
    async fn open_same(&self, may_create: bool) -> Result<(Arc<OpenFiles>, SqliteConnection)> {
        loop {
            let before = self.file.before_opening(may_create)?;
            let connection = self
                .connect(may_create)
                .await
                .map_err(|error| self.file.cannot_open(code_under(&error), error))?;
            if let Some(files) = self.file.opened(before)? {
                return Ok((files, connection));
            }
        }
    }

    async fn connect(&self, may_create: bool) -> Result<SqliteConnection> {
        let (doing, options) = (self.file.opening(), self.file.options());
        if self.file.path().to_str().is_none() {
            let message =
                format!("could not {doing}: sqlx accepts only file names in UTF-8: rename it");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let connect = SqliteConnectOptions::new()
            .filename(self.file.path())
            .create_if_missing(may_create)
            .busy_timeout(options.busy_deadline())
            .statement_cache_capacity(STATEMENTS)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let mut connection = connect.connect().await.map_err(failed(&doing))?;
        if let Some(on_connect) = self.file.on_connect() {
            on_connect(&mut connection).await.map_err(failed(&doing))?;
            let timeout = format!("PRAGMA busy_timeout = {}", options.busy_deadline().as_millis());
            run(&mut connection, timeout).await.map_err(failed(&doing))?;
        }
        prepare_file(&mut connection, *options, may_create).await.map_err(|error| {
            Error::with_source(error.kind(), format!("could not {doing}: {error}"), error)
        })?;
        self.configure(&mut connection).await.map_err(failed(&doing))?;
        Ok(connection)
    }

    async fn configure(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let pragmas = self.file.options().pragmas();
        let guard = match &self.role {
            Role::Writer(guard) => guard,
            Role::Reader => return run(connection, pragmas.reader()).await,
            Role::Query => {
                run(connection, pragmas.reader()).await?;
                return refuse_commits(connection).await;
            }
            Role::Backup => return run(connection, pragmas.backup()).await,
        };
        run(connection, pragmas.writer()).await?;
        guard.install(connection).await?;
        if let Some(bytes) = self.file.options().max_bytes() {
            let page: i64 =
                sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut *connection).await?;
            let pages = (bytes / page.unsigned_abs()).max(1);
            run(connection, format!("PRAGMA max_page_count = {pages}")).await?;
        }
        Ok(())
    }
}

impl Drop for LazyConnection {
    fn drop(&mut self) {
        drop(self.take());
    }
}

const STATEMENTS: usize = 64;

/// How many rows SQLite reads ahead. Each may have a block of large events.
const ROWS_AHEAD: usize = 2;

/// Makes SQLite roll back every write, in case a query finds a way to write.
async fn refuse_commits(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    connection.lock_handle().await?.set_commit_hook(|| false);
    Ok(())
}

/// Runs a script of the store.
async fn run(connection: &mut SqliteConnection, script: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(script)).execute(connection).await.map(drop)
}

/// Refuses a database that cannot have a log, and creates or migrates the log if necessary.
async fn prepare_file(
    connection: &mut SqliteConnection,
    options: FileOptions,
    may_create: bool,
) -> Result<()> {
    check_sqlite(connection).await?;
    // Nothing is changed before it is known that the log is or may be in this file.
    let setup = setup(connection, options, may_create).await?;
    switch_to_wal(connection, options.busy_deadline()).await?;
    if setup == Setup::Ready {
        check_writable(connection, options.busy_deadline()).await
    } else {
        set_up(connection, options, may_create).await
    }
}

async fn check_sqlite(connection: &mut SqliteConnection) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(failed("read the version of SQLite"))?;
    schema::check_sqlite(schema::sqlite_number(&version))
}

async fn setup(
    connection: &mut SqliteConnection,
    options: FileOptions,
    may_create: bool,
) -> Result<Setup> {
    let doing = "read the file's header";
    let row: SqliteRow = sqlx::query(schema::IDENTITY)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(doing))?
        .ok_or_else(|| missing("header"))?;
    let identity = Identity {
        application_id: column(&row, 0)?,
        user_version: column(&row, 1)?,
        objects: column(&row, 2)?,
        has_meta: column::<i64>(&row, 3)? > 0,
        reserved: column(&row, 4)?,
        triggers: column(&row, 5)?,
        encoding: column(&row, 6)?,
    };
    let format = if identity.has_meta {
        let format = sqlx::query_scalar(schema::META_FORMAT).fetch_one(connection).await;
        Some(format.map_err(failed(doing))?)
    } else {
        None
    };
    options.setup(&identity, format, may_create)
}

/// Waits for the lock itself: SQLite does not when two connections switch an empty file at
/// the same time.
async fn switch_to_wal(connection: &mut SqliteConnection, deadline: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        match sqlx::query_scalar::<_, String>(schema::WAL)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("switch to a WAL"))
        {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(schema::not_in_wal_mode(&mode)),
            Err(error) if error.kind() == ErrorKind::Busy && began.elapsed() < deadline => {
                sleep(Duration::from_millis(2)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn set_up(
    connection: &mut SqliteConnection,
    options: FileOptions,
    may_create: bool,
) -> Result<()> {
    let doing = "create the tables of the log";
    let execute = |text| sqlx::raw_sql(text);
    execute(sql::BEGIN_WRITE).execute(&mut *connection).await.map_err(failed(doing))?;
    // Another process may have been faster.
    for script in setup(connection, options, may_create).await?.scripts() {
        execute(script).execute(&mut *connection).await.map_err(failed(doing))?;
    }
    execute(sql::COMMIT).execute(connection).await.map(drop).map_err(failed(doing))
}

/// Checks that the file is writable with a statement that writes nothing: SQLite refuses it in
/// a read-only file before it needs the lock. If it waits for the lock, the file is writable.
async fn check_writable(connection: &mut SqliteConnection, deadline: Duration) -> Result<()> {
    let doing = "inspect the file";
    run(connection, "PRAGMA busy_timeout = 0".into()).await.map_err(failed(doing))?;
    let written = sqlx::query(batch_sql::WRITE_NOTHING).execute(&mut *connection).await;
    let timeout = format!("PRAGMA busy_timeout = {}", deadline.as_millis());
    run(connection, timeout).await.map_err(failed(doing))?;
    match written.map_err(failed(doing)) {
        Err(error) if error.kind() != ErrorKind::Busy => Err(error),
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests;
