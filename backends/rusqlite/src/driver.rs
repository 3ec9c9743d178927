//! The steps of a transaction that writes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan, Upkeep};
use downlink::store::{Moved, Page, ReadLog};
use downlink::{ErrorKind, Result};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{
    FairLock, FairLockGuard, Indexing, WriterCache, check_head, is_disk_full, not_open, sql,
};
use rusqlite::Connection;

use crate::append_transaction::AppendTransaction;
use crate::connection::{Current, LazyConnection, Role};
use crate::error::failed;
use crate::file::File;
use crate::log_page;
use crate::moved;
use crate::name_cache::NameCache;
use crate::postings::{index, indexed_and_head};
use crate::snapshot::{Snapshot, head};
use crate::statement::execute;
use crate::tx::Tx;

/// The connection that writes, and its caches.
#[derive(Debug)]
pub(crate) struct Driver {
    file: Arc<File>,
    lock: FairLock,
    connection: LazyConnection,
    cache: WriterCache,
    names: NameCache,
    /// Held from the beginning of a transaction to its end.
    guard: Option<FairLockGuard>,
    is_begun: bool,
    indexing: Indexing,
    /// Disconnected when all readers of the store have closed.
    readers: Receiver<Infallible>,
}

impl Driver {
    /// Opens the log, or creates an empty one if there is no file. The driver closes after
    /// all senders of `readers` are dropped.
    pub(crate) fn open(file: Arc<File>, readers: Receiver<Infallible>) -> Result<Self> {
        let mut connection = LazyConnection::new(Arc::clone(&file), Role::Writer);
        connection.create()?;
        let mut indexing = Indexing::new(file.options().index_lag());
        let (indexed, head) = indexed_and_head(connection.opened()?.raw())?;
        indexing.set_progress(indexed, head);
        Ok(Self {
            lock: FairLock::open(file.path())?,
            file,
            connection,
            cache: WriterCache::default(),
            names: NameCache::default(),
            guard: None,
            is_begun: false,
            indexing,
            readers,
        })
    }

    fn begin(&mut self, by: Instant) -> Result<LogHead> {
        let waits_since = Instant::now();
        let guard = self.lock.lock(by)?;
        self.guard = Some(guard.ok_or_else(|| self.file.lock_timeout(waits_since.elapsed()))?);
        let Current { tx, is_new } = self.connection.current()?;
        if is_new {
            self.cache.clear();
            self.names = NameCache::default();
            self.indexing.set_progress(0, 0);
        }
        // What the fair lock has left of the deadline is for SQLite's lock.
        let left = by.saturating_duration_since(Instant::now());
        let begun = tx
            .raw()
            .busy_timeout(left)
            .and_then(|()| execute(tx.raw(), sql::BEGIN_WRITE))
            .map_err(failed("begin a transaction"))
            .and_then(|()| head(tx.raw()));
        match begun {
            Ok(head) => {
                self.cache.begin(head);
                self.is_begun = true;
                self.indexing.set_head(position_to_sql(head.position));
                Ok(head.log_head())
            }
            Err(error) => {
                if error.kind() != ErrorKind::Busy || !tx.raw().is_autocommit() {
                    // Only a new connection is in a known state.
                    self.connection.close();
                }
                Err(error)
            }
        }
    }

    /// The connection of the open transaction.
    pub(crate) fn tx(&mut self) -> Result<&mut Tx> {
        let tx = self.connection.opened()?;
        if tx.raw().is_autocommit() { Err(not_open()) } else { Ok(tx) }
    }

    fn transaction(&mut self) -> Result<AppendTransaction<'_>> {
        let tx = self.connection.opened()?;
        if tx.raw().is_autocommit() {
            return Err(not_open());
        }
        Ok(AppendTransaction {
            connection: tx.raw(),
            cache: &mut self.cache,
            names: &mut self.names,
        })
    }

    fn commit(&mut self) -> Result<CommitOutcome> {
        let tx = self.connection.opened()?;
        let outcome = match execute(tx.raw(), sql::COMMIT) {
            Ok(()) => {
                if let Err(error) = self.connection.check_committed() {
                    return Ok(CommitOutcome::Unknown(error));
                }
                self.indexing.set_head(position_to_sql(self.cache.head().position));
                self.cache.commit();
                (self.guard, self.is_begun) = (None, false);
                CommitOutcome::Committed
            }
            Err(error) if is_certain(tx.raw(), &error) => {
                CommitOutcome::NotCommitted(failed("commit")(error))
            }
            Err(error) => CommitOutcome::Unknown(failed("commit")(error)),
        };
        Ok(outcome)
    }

    fn keep_up(&mut self) -> Result<()> {
        let began = Instant::now();
        let tx = self.connection.opened()?;
        // Another process may have indexed since.
        let (indexed, head) = indexed_and_head(tx.raw())?;
        self.indexing.set_progress(indexed, head);
        if let Some(step) = self.indexing.next_step() {
            index(tx.raw(), step)?;
            self.indexing.step_done(step, began.elapsed());
        }
        Ok(())
    }

    /// Rolls back. Some errors have rolled the transaction back already, silently: such a
    /// connection is closed.
    fn discard(&mut self) {
        if let Ok(tx) = self.connection.opened() {
            // A job may have ended in a panic.
            let is_reset = tx.reset_guard().is_ok();
            let is_open = self.is_begun && !tx.raw().is_autocommit();
            let is_rolled_back = is_open && execute(tx.raw(), sql::ROLLBACK).is_ok();
            if !is_reset || (self.is_begun && !is_rolled_back) {
                self.connection.close();
            }
        }
        self.cache.clear();
        self.names = NameCache::default();
        (self.guard, self.is_begun) = (None, false);
    }
}

impl commit::Driver for Driver {
    type Tx = Tx;

    const BLOCKING: bool = true;

    const LINGER: Linger = Linger::InTransaction;

    async fn begin(&mut self, by: Instant) -> Result<LogHead> {
        self.begin(by)
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.transaction()?.facts(needs)
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        let tx = self.connection.opened()?;
        log_page::read(&mut Snapshot::of(tx.raw(), &mut self.names)?, &read)
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.transaction()?.insert(plan)
    }

    fn has_waiters(&mut self) -> bool {
        self.guard.as_ref().is_some_and(FairLockGuard::has_waiters)
    }

    async fn tx(&mut self) -> Result<&mut Tx> {
        self.tx()
    }

    async fn check(&mut self, expected: LogHead) -> Result<()> {
        check_head(&head(self.tx()?.raw())?, expected)
    }

    async fn commit(&mut self) -> CommitOutcome {
        self.commit().unwrap_or_else(CommitOutcome::NotCommitted)
    }

    async fn discard(&mut self) {
        self.discard();
    }

    fn upkeep(&self) -> Upkeep {
        self.indexing.upkeep()
    }

    async fn keep_up(&mut self) -> Result<()> {
        self.keep_up()
    }

    async fn close(mut self) {
        // If several connections close at the same time, none of them may remove the WAL.
        let _ = self.readers.recv();
        self.connection.close_last();
    }
}

impl commit::ImportDriver for Driver {
    async fn record(&mut self, moved: &Moved) -> Result<()> {
        moved::set(self.tx()?.raw(), moved)
    }
}

/// Whether a failed COMMIT certainly committed nothing: the transaction is still open, or
/// its last page did not fit on the disk. Any other outcome is unknown.
fn is_certain(connection: &Connection, error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    !connection.is_autocommit() || is_disk_full(code)
}
