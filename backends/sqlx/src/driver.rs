//! The steps of a transaction that writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan, Upkeep};
use downlink::store::{Moved, Page, ReadLog};
use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{
    FairLock, FairLockGuard, Indexing, WriterCache, batch_sql, check_head, is_disk_full, not_open,
    sql,
};
use sqlx::{AssertSqlSafe, Connection, Database, Sqlite, SqliteConnection};
use sqlx_core::transaction::TransactionManager;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::append_transaction::AppendTransaction;
use crate::connection::{Current, LazyConnection, Role};
use crate::error::{closed, code, failed};
use crate::file::File;
use crate::guard::LogGuard;
use crate::name_cache::NameCache;
use crate::postings::{index, indexed_and_head};
use crate::snapshot::{Snapshot, head};
use crate::statement::execute;
use crate::tx::Tx;
use crate::{log_page, moved, savepoint};

/// The connection that writes, and its caches.
#[derive(Debug)]
pub(crate) struct Driver {
    file: Arc<File>,
    lock: Arc<FairLock>,
    connection: LazyConnection,
    cache: WriterCache,
    names: NameCache,
    /// Held from the beginning of a transaction to its end.
    lock_guard: Option<FairLockGuard>,
    log_guard: LogGuard,
    open: Open,
    indexing: Indexing,
    /// Cancelled when all readers of the store have closed.
    readers: CancellationToken,
}

/// The transaction that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    /// It was begun without sqlx's transaction manager.
    Plain,
    /// sqlx's transaction manager counts it, and a job uses it.
    Job,
}

impl Driver {
    /// Opens the log, or creates an empty one if there is no file. The driver closes after
    /// `readers` is cancelled.
    pub(crate) async fn open(
        file: Arc<File>,
        log_guard: LogGuard,
        readers: CancellationToken,
    ) -> Result<Self> {
        let role = Role::Writer(log_guard.clone());
        let mut connection = LazyConnection::new(Arc::clone(&file), role);
        connection.create().await?;
        let mut indexing = Indexing::new(file.options().index_lag());
        let (indexed, head) = indexed_and_head(connection.opened()?).await?;
        indexing.set_progress(indexed, head);
        Ok(Self {
            lock: Arc::new(FairLock::open(file.path())?),
            file,
            connection,
            cache: WriterCache::default(),
            names: NameCache::default(),
            lock_guard: None,
            log_guard,
            open: Open::None,
            indexing,
            readers,
        })
    }

    /// Acquires the fair lock. Returns whether it had to wait.
    async fn acquire_lock(&self, by: Instant) -> Result<(FairLockGuard, bool)> {
        if let Some(guard) = self.lock.try_lock()? {
            return Ok((guard, false));
        }
        let (lock, waits_since) = (Arc::clone(&self.lock), Instant::now());
        let locked = spawn_blocking(move || lock.lock(by)).await.map_err(|_| closed())??;
        let guard = locked.ok_or_else(|| self.file.lock_timeout(waits_since.elapsed()))?;
        Ok((guard, true))
    }

    fn transaction(&mut self) -> Result<AppendTransaction<'_>> {
        let connection = self.connection.opened()?;
        Ok(AppendTransaction { connection, cache: &mut self.cache, names: &mut self.names })
    }
}

impl commit::Driver for Driver {
    type Tx = Tx;

    const BLOCKING: bool = false;

    const LINGER: Linger = Linger::InTransaction;

    async fn begin(&mut self, by: Instant) -> Result<LogHead> {
        let (guard, has_waited) = self.acquire_lock(by).await?;
        self.lock_guard = Some(guard);
        let deadline = self.file.options().busy_deadline();
        let Current { connection, is_new } = self.connection.current().await?;
        if is_new {
            self.cache.clear();
            self.names = NameCache::default();
            self.indexing.set_progress(0, 0);
        }
        if has_waited {
            // What the fair lock has left of the deadline is for SQLite's lock.
            set_busy_timeout(connection, by.saturating_duration_since(Instant::now())).await?;
        }
        let begun =
            Snapshot::of(&mut *connection, &mut self.names, batch_sql::BEGIN_WRITE, None).await;
        let begun = begun.map(|snapshot| snapshot.head);
        let restored =
            if has_waited { set_busy_timeout(connection, deadline).await } else { Ok(()) };
        match restored.and(begun) {
            Ok(head) => {
                self.cache.begin(head);
                self.open = Open::Plain;
                self.indexing.set_head(position_to_sql(head.position));
                Ok(head.log_head())
            }
            Err(error) => {
                if error.kind() != ErrorKind::Busy {
                    // Only a new connection is in a known state.
                    self.connection.close().await;
                }
                Err(error)
            }
        }
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.transaction()?.facts(needs).await
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        let connection = self.connection.opened()?;
        let state = Snapshot::of(connection, &mut self.names, batch_sql::STATE, read.after()).await;
        log_page::read(&mut state?, &read).await
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.transaction()?.insert(plan).await
    }

    fn has_waiters(&mut self) -> bool {
        self.lock_guard.as_ref().is_some_and(FairLockGuard::has_waiters)
    }

    /// Registers the transaction with sqlx, so that a job may nest others in it.
    async fn tx(&mut self) -> Result<&mut Tx> {
        if self.open == Open::Job {
            return self.connection.opened();
        }
        let connection = self.connection.opened()?;
        self.open = Open::Job;
        let begun = connection.begin_with(savepoint::open()).await;
        // The driver ends it, not sqlx's guard.
        std::mem::forget(begun.map_err(failed("hand a transaction to a job"))?);
        self.connection.opened()
    }

    async fn check(&mut self, expected: LogHead) -> Result<()> {
        let is_job = self.open == Open::Job;
        let connection = self.connection.opened()?;
        if is_job {
            if !is_open(connection).await {
                return Err(not_open());
            }
            if Transactions::get_transaction_depth(connection) != 1 {
                let message = "a transaction that was nested in this one is still open: commit it, \
                               or roll it back";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        check_head(&head(connection).await?, expected)
    }

    async fn commit(&mut self) -> CommitOutcome {
        let connection = match self.connection.opened() {
            Ok(connection) => connection,
            Err(error) => return CommitOutcome::NotCommitted(error),
        };
        let is_job = self.open == Open::Job;
        // Any other transaction has no such savepoint.
        if is_job && execute(connection, savepoint::release()).await.is_err() {
            return CommitOutcome::NotCommitted(not_open());
        }
        let committed = if is_job {
            Transactions::commit(connection).await
        } else {
            execute(connection, sql::COMMIT).await
        };
        match committed {
            Ok(()) => {
                if let Err(error) = self.connection.check_committed() {
                    return CommitOutcome::Unknown(error);
                }
                self.indexing.set_head(position_to_sql(self.cache.head().position));
                self.cache.commit();
                (self.lock_guard, self.open) = (None, Open::None);
                CommitOutcome::Committed
            }
            // A transaction that is still open, or whose last page did not fit on the disk, was
            // not committed. Any other outcome is unknown.
            Err(error) => {
                let is_certain =
                    code(&error).is_some_and(is_disk_full) || roll_back(connection, is_job).await;
                let error = failed("commit")(error);
                if is_certain {
                    CommitOutcome::NotCommitted(error)
                } else {
                    CommitOutcome::Unknown(error)
                }
            }
        }
    }

    /// Rolls back. Some errors have rolled the transaction back already, silently and without
    /// sqlx noticing: such a connection is closed, and so is one that a job has used. A
    /// statement of the job that still runs is interrupted.
    async fn discard(&mut self) {
        if self.open == Open::Job {
            self.connection.close().await;
        }
        self.log_guard.reset();
        if self.open == Open::Plain
            && let Ok(connection) = self.connection.opened()
            && !roll_back(connection, false).await
        {
            self.connection.close().await;
        }
        self.cache.clear();
        self.names = NameCache::default();
        (self.lock_guard, self.open) = (None, Open::None);
    }

    fn upkeep(&self) -> Upkeep {
        self.indexing.upkeep()
    }

    async fn keep_up(&mut self) -> Result<()> {
        let began = Instant::now();
        let connection = self.connection.opened()?;
        // Another process may have indexed since.
        let (indexed, head) = indexed_and_head(connection).await?;
        self.indexing.set_progress(indexed, head);
        if let Some(step) = self.indexing.next_step() {
            index(connection, step).await?;
            self.indexing.step_done(step, began.elapsed());
        }
        Ok(())
    }

    async fn close(mut self) {
        // If several connections close at the same time, none of them may remove the WAL.
        self.readers.cancelled().await;
        self.connection.close_last().await;
    }
}

impl commit::ImportDriver for Driver {
    async fn record(&mut self, moved: &Moved) -> Result<()> {
        moved::set(self.connection.opened()?, moved).await
    }
}

type Transactions = <Sqlite as Database>::TransactionManager;

/// Sets how long SQLite waits for its lock.
async fn set_busy_timeout(connection: &mut SqliteConnection, time: Duration) -> Result<()> {
    let text = format!("PRAGMA busy_timeout = {}", time.as_millis());
    let set = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
    set.map(drop).map_err(failed("set how long to wait for the lock"))
}

/// Whether the transaction of a job is still open. If it is not, the connection is closed, so
/// beginning another transaction does no harm.
pub(crate) async fn is_open(connection: &mut SqliteConnection) -> bool {
    // The refusal of SQLite is the only way to learn that a transaction is open.
    execute(connection, "BEGIN").await.is_err()
}

/// Rolls back. Returns whether a transaction was open.
async fn roll_back(connection: &mut SqliteConnection, is_job: bool) -> bool {
    if is_job {
        Transactions::rollback(connection).await.is_ok()
    } else {
        execute(connection, sql::ROLLBACK).await.is_ok()
    }
}
