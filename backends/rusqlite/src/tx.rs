use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use downlink::Result;
use downlink_sqlite_schema::is_log_table;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{CachedStatement, Connection, Params, Row, Statement};

use crate::error::failed;

/// The transaction in which a projection writes its read model, on a rusqlite connection to
/// the file of the log.
///
/// It has the methods of [`rusqlite::Connection`] that run statements, but not those that
/// change the connection: hooks, the authorizer, timeouts. To add functions and collations,
/// use [`Options::with_on_connect`](crate::Options::with_on_connect).
///
/// The store begins the transaction and commits it together with the checkpoint. In between,
/// SQLite refuses ("not authorized") to begin, commit or roll back, even if an error has ended
/// the transaction, to attach databases, to set pragmas, to create temporary tables, which
/// would persist and could hide others, and to write to the tables of the log. A projection
/// may read the tables of the log, and use savepoints.
///
/// # Examples
///
/// ```
/// use downlink::{BoxError, Event};
/// use downlink_rusqlite::Tx;
///
/// fn count_departures(events: &[Event], tx: &Tx) -> Result<(), BoxError> {
///     let mut add = tx.prepare_cached(
///         "INSERT INTO departures (flight, times) VALUES (?1, 1) \
///          ON CONFLICT (flight) DO UPDATE SET times = times + 1",
///     )?;
///     for event in events {
///         add.execute([event.stream().as_str()])?;
///     }
///     Ok(())
/// }
/// ```
pub struct Tx {
    connection: Connection,
    is_guarded: Arc<AtomicBool>,
}

impl Tx {
    /// Runs a statement that returns no rows; see [`Connection::execute`].
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.execute(sql, params)
    }

    /// Runs several statements; see [`Connection::execute_batch`].
    ///
    /// # Errors
    ///
    /// Those of SQLite. The statements before the one that failed have run.
    pub fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }

    /// The first row of a statement; see [`Connection::query_row`].
    ///
    /// # Errors
    ///
    /// Those of SQLite and of `read`, and
    /// [`QueryReturnedNoRows`](rusqlite::Error::QueryReturnedNoRows).
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.query_row(sql, params, read)
    }

    /// Prepares a statement; see [`Connection::prepare`].
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn prepare(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        self.connection.prepare(sql)
    }

    /// Prepares a statement that stays prepared on this connection; see
    /// [`Connection::prepare_cached`].
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn prepare_cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        // SQLite calls the authorizer when a statement is prepared. The different text makes sure
        // that the cache returns no statement that the store has prepared for itself.
        self.connection.prepare_cached(&format!("/**/{sql}"))
    }

    /// The row id of the row that was inserted last; see
    /// [`Connection::last_insert_rowid`].
    #[must_use]
    pub fn last_insert_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// How many rows the last statement changed; see [`Connection::changes`].
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.connection.changes()
    }

    /// The connection, for the store itself.
    pub(crate) fn raw(&self) -> &Connection {
        &self.connection
    }

    /// Wraps a connection that is not guarded yet.
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, is_guarded: Arc::default() }
    }

    /// Installs hooks that refuse, while the connection is guarded, to prepare forbidden
    /// statements and to commit.
    pub(crate) fn install_guard(&self) -> rusqlite::Result<()> {
        let is_guarded = Arc::clone(&self.is_guarded);
        // After an error has ended the transaction, each statement would commit by itself.
        self.connection.commit_hook(Some(move || is_guarded.load(Ordering::Relaxed)))?;
        let is_guarded = Arc::clone(&self.is_guarded);
        self.connection.authorizer(Some(move |context: AuthContext<'_>| {
            if is_guarded.load(Ordering::Relaxed) && is_forbidden(&context) {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }))
    }

    /// Runs application code with the guard on.
    pub(crate) fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.set_guarded(true);
        let result = work(self);
        self.set_guarded(false);
        result
    }

    /// Whether statements prepared from now on come from application code.
    pub(crate) fn set_guarded(&self, is_guarded: bool) {
        self.is_guarded.store(is_guarded, Ordering::Relaxed);
    }

    /// Removes the guard and the deadline of application code.
    pub(crate) fn reset_guard(&self) -> Result<()> {
        self.set_guarded(false);
        self.interrupt_after(0, None)
    }

    /// Makes SQLite interrupt statements that run past this time.
    pub(crate) fn interrupt_after(&self, steps: i32, until: Option<Instant>) -> Result<()> {
        let is_late = until.map(|until| move || Instant::now() > until);
        self.connection.progress_handler(steps, is_late).map_err(failed("set a deadline"))
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tx").field(&self.connection).finish()
    }
}

fn is_forbidden(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::Transaction { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::Pragma { pragma_value: Some(_), .. } => true,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
        | AuthAction::DropVtable { table_name, .. }
        | AuthAction::CreateView { view_name: table_name }
        | AuthAction::DropView { view_name: table_name } => is_log_table(table_name),
        _ => false,
    }
}
