//! Connections: opening, checking and configuring them, and reopening them when the file is
//! replaced.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::{self as schema, FileOptions, Identity, OpenFiles, Setup};
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior, ffi};

use crate::error::{code_under, failed};
use crate::file::File;
use crate::tx::Tx;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
    /// Runs queries of the application.
    Query,
    Backup,
}

/// A connection of one thread, opened when it is needed, and reopened whenever the path
/// names another file.
#[derive(Debug)]
pub(crate) struct LazyConnection {
    file: Arc<File>,
    role: Role,
    /// The files are dropped before the connection is closed.
    open: Option<(Arc<OpenFiles>, Tx)>,
}

/// An open connection, and whether it is another one than the last time.
pub(crate) struct Current<'a> {
    pub(crate) tx: &'a mut Tx,
    pub(crate) is_new: bool,
}

impl LazyConnection {
    pub(crate) fn new(file: Arc<File>, role: Role) -> Self {
        Self { file, role, open: None }
    }

    /// Opens the log, or creates an empty one if there is no file.
    pub(crate) fn create(&mut self) -> Result<()> {
        self.file.check_aliases()?;
        self.open = Some(self.open_same(true)?);
        Ok(())
    }

    /// The connection to the file that the path names now. If there is none, none is created:
    /// a log that is gone is not an empty log.
    pub(crate) fn current(&mut self) -> Result<Current<'_>> {
        if let Some((files, _)) = &self.open
            && self.file.is_replaced(files)?
        {
            tracing::warn!(path = %self.file.path().display(), "the file was replaced: opening the new one");
            self.close();
        }
        let is_new = self.open.is_none();
        if is_new {
            self.file.check_last()?;
            self.open = Some(self.open_same(false)?);
        }
        let (_, tx) = self.open.as_mut().expect("it was opened just now");
        Ok(Current { tx, is_new })
    }

    /// The connection with the open transaction.
    pub(crate) fn opened(&mut self) -> Result<&mut Tx> {
        self.open.as_mut().map(|(_, tx)| tx).ok_or_else(|| {
            Error::new(ErrorKind::Backend, "the connection was closed within its transaction")
        })
    }

    /// Checks after a COMMIT that it went into the files that others open.
    pub(crate) fn check_committed(&self) -> Result<()> {
        self.open.as_ref().map_or(Ok(()), |(files, _)| self.file.check_committed(files))
    }

    /// Closes the connection that writes, after all others of the store, and moves the WAL
    /// into the database.
    pub(crate) fn close_last(&mut self) {
        if let Some((_, tx)) = &self.open
            && self.check_committed().is_ok()
            && let Err(error) = tx.execute_batch(schema::EMPTY_WAL)
        {
            tracing::warn!(%error, path = %self.file.path().display(), "could not move the WAL into the database, so it remains next to the file");
        }
        self.close();
    }

    /// Closes the connection, whatever state it is in.
    pub(crate) fn close(&mut self) {
        let Some((files, connection)) = self.open.take() else { return };
        let is_safe = !files.are_others_there();
        drop(files);
        if is_safe {
            drop(connection);
        } else {
            // Before logging: a panic in a tracing subscriber would close the connection.
            std::mem::forget(connection);
            tracing::error!(path = %self.file.path().display(), "{}", schema::LEFT_OPEN);
        }
    }

    /// Opens a connection. Retries until the path names the same file before and after, so
    /// that the recorded files are those of the connection.
    fn open_same(&self, may_create: bool) -> Result<(Arc<OpenFiles>, Tx)> {
        loop {
            let before = self.file.before_opening(may_create)?;
            let connection = self
                .connect(may_create)
                .map_err(|error| self.file.cannot_open(code_under(&error), error))?;
            if let Some(files) = self.file.opened(before)? {
                return Ok((files, connection));
            }
        }
    }

    fn connect(&self, may_create: bool) -> Result<Tx> {
        schema::check_sqlite(rusqlite::version_number())?;
        let (doing, options) = (self.file.opening(), self.file.options());
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_create);
        let mut connection =
            Connection::open_with_flags(self.file.path(), flags).map_err(failed(&doing))?;
        connection.busy_timeout(options.busy_deadline()).map_err(failed(&doing))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        if let Some(on_connect) = self.file.on_connect() {
            on_connect(&connection).map_err(failed(&doing))?;
            connection.busy_timeout(options.busy_deadline()).map_err(failed(&doing))?;
        }
        prepare_file(&mut connection, *options, may_create).map_err(|error| {
            Error::with_source(error.kind(), format!("could not {doing}: {error}"), error)
        })?;
        self.configure(&connection).map_err(failed(&doing))?;
        let tx = Tx::new(connection);
        if matches!(self.role, Role::Writer | Role::Query) {
            tx.install_guard().map_err(failed(&doing))?;
        }
        Ok(tx)
    }

    fn configure(&self, connection: &Connection) -> rusqlite::Result<()> {
        let pragmas = self.file.options().pragmas();
        match self.role {
            Role::Writer => connection.execute_batch(&pragmas.writer())?,
            Role::Reader | Role::Query => connection.execute_batch(&pragmas.reader())?,
            Role::Backup => connection.execute_batch(&pragmas.backup())?,
        }
        if let (Role::Writer, Some(bytes)) = (self.role, self.file.options().max_bytes()) {
            let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = (bytes / u64::from(page)).max(1);
            connection.pragma_update_and_check(
                None,
                "max_page_count",
                pages.to_string(),
                |_| Ok(()),
            )?;
        }
        Ok(())
    }
}

impl Drop for LazyConnection {
    fn drop(&mut self) {
        self.close();
    }
}

const STATEMENTS: usize = 64;

/// Refuses a database that cannot have a log, and creates or migrates the log if necessary.
fn prepare_file(connection: &mut Connection, options: FileOptions, may_create: bool) -> Result<()> {
    if connection.is_readonly(MAIN_DB).map_err(failed("inspect the file"))? {
        let read_only = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(failed("write")(rusqlite::Error::SqliteFailure(read_only, None)));
    }
    // Nothing is changed before it is known that the log is or may be in this file.
    let setup = setup(connection, options, may_create)?;
    switch_to_wal(connection, options.busy_deadline())?;
    if setup == Setup::Ready { Ok(()) } else { set_up(connection, options, may_create) }
}

fn setup(connection: &Connection, options: FileOptions, may_create: bool) -> Result<Setup> {
    let doing = "read the file's header";
    let identity = connection
        .query_row(schema::IDENTITY, (), |row| {
            Ok(Identity {
                application_id: row.get(0)?,
                user_version: row.get(1)?,
                objects: row.get(2)?,
                has_meta: row.get(3)?,
                reserved: row.get(4)?,
                triggers: row.get(5)?,
                encoding: row.get(6)?,
            })
        })
        .map_err(failed(doing))?;
    let format = identity
        .has_meta
        .then(|| connection.query_row(schema::META_FORMAT, (), |row| row.get(0)))
        .transpose()
        .map_err(failed(doing))?;
    options.setup(&identity, format, may_create)
}

/// Waits for the lock itself: SQLite does not when two connections switch an empty file at
/// the same time.
fn switch_to_wal(connection: &Connection, deadline: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        match connection
            .query_row(schema::WAL, (), |row| row.get::<_, String>(0))
            .map_err(failed("switch to a WAL"))
        {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(schema::not_in_wal_mode(&mode)),
            Err(error) if error.kind() == ErrorKind::Busy && began.elapsed() < deadline => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

fn set_up(connection: &mut Connection, options: FileOptions, may_create: bool) -> Result<()> {
    let doing = "create the tables of the log";
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed(doing))?;
    // Another process may have been faster.
    for script in setup(&transaction, options, may_create)?.scripts() {
        transaction.execute_batch(script).map_err(failed(doing))?;
    }
    transaction.commit().map_err(failed(doing))
}

#[cfg(all(test, unix))]
mod tests;
