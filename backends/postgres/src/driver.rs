//! The steps of a transaction that writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, OpenTransaction, Plan};
use downlink::store::{Moved, Page, ReadLog};
use downlink::{Cursor, Error, ErrorKind, Result, StreamId, Version};
use sqlx::{Connection, Database, PgConnection, Postgres};
use sqlx_core::transaction::TransactionManager;

use crate::connection::{LazyConnection, Role, Server};
use crate::error::{driver_error, failed, is_refusal, not_open, refuses_commit};
use crate::log_tx::{LogTx, log_head};
use crate::moved;
use crate::row::cursor;
use crate::sql::{COMMIT, LEAVE_SESSION, RESET_SESSION, ROLLBACK};
use crate::stream_heads::StreamHeads;

/// The writing connection.
#[derive(Debug)]
pub(crate) struct Driver {
    server: Arc<Server>,
    connection: LazyConnection,
    state: State,
    heads: StreamHeads,
    /// Whether a job has the connection.
    has_job: bool,
    /// Whether a job had the connection since the settings of its session were made.
    is_used: bool,
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No transaction is open.
    Idle,
    /// One is open, and the server waits for the next statement.
    Open,
    /// A statement is in flight, or its future was dropped, or the connection
    /// failed.
    Doubtful,
}

impl Driver {
    /// Connects, and creates an empty log if there is none.
    pub(crate) async fn open(server: Arc<Server>) -> Result<Self> {
        let mut connection = LazyConnection::new(&server, Role::Writer);
        connection.create().await?;
        let (state, heads) = (State::Idle, StreamHeads::new());
        Ok(Self { server, connection, state, heads, has_job: false, is_used: false })
    }

    /// Runs one statement of the open transaction. Until the server answers, the
    /// state of the connection is unknown.
    async fn step<T>(
        &mut self,
        doing: &str,
        step: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        self.state = State::Doubtful;
        let done = step(self.connection.opened()?).await;
        if done.as_ref().err().is_none_or(is_refusal) {
            self.state = State::Open;
        }
        done.map_err(failed(doing))
    }

    /// The same for a step on the tables of the log.
    async fn within<T>(
        &mut self,
        step: impl AsyncFnOnce(&mut LogTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.state = State::Doubtful;
        let connection = self.connection.opened()?;
        let done = step(&mut LogTx { connection, sql: &self.server.sql }).await;
        if done.as_ref().err().is_none_or(is_answer) {
            self.state = State::Open;
        }
        done
    }

    async fn begin_once(&mut self, by: Instant) -> Result<LogHead> {
        let is_used = std::mem::take(&mut self.is_used) && self.connection.is_open();
        let is_used = is_used && !self.server.is_pooled;
        self.connection.connected().await?;
        if is_used {
            let reset = async |connection: &mut PgConnection| {
                sqlx::raw_sql(RESET_SESSION).execute(connection).await
            };
            self.step("reset a session", reset).await?;
            self.state = State::Idle;
        }
        let wait = by.saturating_duration_since(Instant::now());
        let text = self.server.sql.begin(wait, self.server.deadline).sql();
        let begin =
            async |connection: &mut PgConnection| sqlx::raw_sql(text).fetch_all(connection).await;
        let head = log_head(&self.step("begin a transaction", begin).await?)?;
        self.heads.begin(head.cursor);
        Ok(head)
    }

    /// Undoes what a job may have set for a session that other clients will have.
    async fn leave_session(&mut self) -> Result<()> {
        let leave = async |connection: &mut PgConnection| {
            sqlx::raw_sql(LEAVE_SESSION).execute(connection).await.map(drop)
        };
        self.step("leave a session", leave).await
    }
}

impl commit::Driver for Driver {
    type Tx = PgConnection;

    const BLOCKING: bool = false;

    const LINGER: Linger = Linger::BeforeBegin;

    const STORES_BLINDLY: bool = true;

    async fn begin(&mut self, by: Instant) -> Result<LogHead> {
        let was_open = self.connection.is_open();
        let begun = self.begin_once(by).await;
        if begun.is_err() && was_open && self.state == State::Doubtful {
            // The connection was lost while idle. Nothing was done yet, so a retry is safe.
            self.discard().await;
            return self.begin_once(by).await;
        }
        begun
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.within(async |tx: &mut LogTx<'_>| tx.facts(needs).await).await
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        self.within(async |tx: &mut LogTx<'_>| tx.read_log(read).await).await
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.within(async |tx: &mut LogTx<'_>| tx.insert(plan).await).await?;
        self.heads.wrote(plan);
        Ok(())
    }

    async fn heads(&mut self, streams: &[&StreamId]) -> Result<HashMap<StreamId, Version>> {
        let unknown: Vec<_> =
            streams.iter().copied().filter(|stream| !self.heads.is_known(stream)).collect();
        if !unknown.is_empty() {
            let needs = Needs { streams: unknown, ids: Vec::new(), boundaries: Vec::new() };
            let mut found = commit::Driver::facts(self, &needs).await?.streams;
            for stream in needs.streams {
                self.heads.found(stream.clone(), found.remove(stream));
            }
        }
        let version = |stream: &StreamId| Some((stream.clone(), self.heads.version(stream)?));
        Ok(streams.iter().filter_map(|stream| version(stream)).collect())
    }

    async fn insert_new(&mut self, plan: &Plan) -> Result<bool> {
        let is_stored = self.within(async |tx: &mut LogTx<'_>| tx.insert_new(plan).await).await?;
        self.heads.wrote(plan);
        Ok(is_stored)
    }

    /// The server does not report whether other transactions wait for a row.
    fn has_waiters(&mut self) -> bool {
        false
    }

    async fn tx(&mut self) -> Result<&mut PgConnection> {
        if !self.has_job {
            // From now on, whatever happens, the connection is not reused without care.
            (self.has_job, self.is_used) = (true, true);
            let open = self.server.sql.models.open_job.sql();
            let begun = self.connection.opened()?.begin_with(open).await;
            // Its drop would roll back. Committing and discarding end it.
            std::mem::forget(begun.map_err(failed("hand a transaction to a job"))?);
        }
        self.connection.opened()
    }

    /// The server refuses every statement that follows an error, so only a job has to be
    /// checked.
    async fn check(&mut self, expected: LogHead) -> Result<()> {
        if !self.has_job {
            return Ok(());
        }
        let text = self.server.sql.models.check.sql();
        let connection = self.connection.opened()?;
        if Transactions::get_transaction_depth(connection) != 1 {
            let message = "a transaction that was nested in this one is still open: commit it, \
                           or roll it back";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let rows = sqlx::raw_sql(text).fetch_all(connection).await;
        let rows = rows.map_err(|error| not_open(error, "check a transaction"))?;
        let head = rows.last().map(|row| cursor(row, 0)).transpose()?.flatten();
        if head.unwrap_or(Cursor::START) == expected.cursor {
            return Ok(());
        }
        let message = "an append within the transaction was rolled back: do not append between a \
                       savepoint and the ROLLBACK TO it";
        Err(Error::new(ErrorKind::Invalid, message))
    }

    async fn commit(&mut self) -> CommitOutcome {
        if self.has_job
            && self.server.is_pooled
            && let Err(error) = self.leave_session().await
        {
            return CommitOutcome::NotCommitted(error);
        }
        self.state = State::Doubtful;
        let connection = match self.connection.opened() {
            Ok(connection) => connection,
            Err(error) => return CommitOutcome::NotCommitted(error),
        };
        let committed = if self.has_job {
            Transactions::commit(connection).await
        } else {
            sqlx::raw_sql(COMMIT).execute(connection).await.map(drop)
        };
        match committed {
            Ok(()) => {
                (self.state, self.has_job) = (State::Idle, false);
                self.heads.committed();
                CommitOutcome::Committed
            }
            Err(error) if refuses_commit(&error) => {
                self.state = State::Idle;
                CommitOutcome::NotCommitted(failed("commit")(error))
            }
            Err(error) => CommitOutcome::Unknown(failed("commit")(error)),
        }
    }

    async fn discard(&mut self) {
        self.heads.forget();
        if self.has_job {
            // Nested transactions of the job may be open.
            self.state = State::Doubtful;
        }
        if self.state == State::Open {
            let roll_back = async |connection: &mut PgConnection| {
                sqlx::raw_sql(ROLLBACK).execute(connection).await
            };
            let deadline = self.server.deadline;
            // The outcome is in the state.
            let _ = tokio::time::timeout(deadline, self.step("roll back", roll_back)).await;
        }
        if self.state == State::Doubtful {
            self.connection.discard();
        }
        (self.state, self.has_job) = (State::Idle, false);
    }

    async fn close(mut self) {
        self.connection.close().await;
    }
}

impl commit::ImportDriver for Driver {
    async fn record(&mut self, moved: &Moved) -> Result<()> {
        self.within(async |tx: &mut LogTx<'_>| moved::set(tx.connection, tx.sql, moved).await).await
    }
}

/// Whether the server has answered, so that its connection is usable.
fn is_answer(error: &Error) -> bool {
    error.is_other_history() || driver_error(error).is_some_and(is_refusal)
}

type Transactions = <Postgres as Database>::TransactionManager;
