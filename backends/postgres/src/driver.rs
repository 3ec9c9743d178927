//! The steps of a transaction that writes.

use std::sync::Arc;
use std::time::Instant;

use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan};
use downlink::store::{Page, ReadLog};
use downlink::{Cursor, Error, ErrorKind, Position, Result};
use sqlx::postgres::PgRow;
use sqlx::{Connection, Database, PgConnection, Postgres};
use sqlx_core::transaction::TransactionManager;

use crate::connection::{LazyConnection, Role, Server};
use crate::error::{failed, is_refusal, not_open, refuses_commit};
use crate::log_page;
use crate::row::{
    Columns, column, cursor, event, id_to_sql, position_from_sql, position_to_sql, time_from_sql,
    version_from_sql,
};
use crate::sql::{COMMIT, RESET_SESSION, ROLLBACK};

/// The writing connection.
#[derive(Debug)]
pub(crate) struct Driver {
    server: Arc<Server>,
    connection: LazyConnection,
    state: State,
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
        Ok(Self { server, connection, state: State::Idle, has_job: false, is_used: false })
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

    async fn begin_once(&mut self, by: Instant) -> Result<LogHead> {
        let is_used = std::mem::take(&mut self.is_used) && self.connection.is_open();
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
        log_head(&self.step("begin a transaction", begin).await?)
    }
}

impl commit::Driver for Driver {
    type Tx = PgConnection;

    const BLOCKING: bool = false;

    const LINGER: Linger = Linger::BeforeBegin;

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
        let text = self.server.sql.facts.sql();
        let streams: Vec<_> = needs.streams.iter().map(|stream| stream.as_str()).collect();
        let ids: Vec<_> = needs.ids.iter().copied().map(id_to_sql).collect();
        let query = sqlx::query(text).bind(streams).bind(ids);
        let fetch = async |connection: &mut PgConnection| query.fetch_all(connection).await;
        let mut facts = Facts::default();
        for row in self.step("look up streams and events", fetch).await? {
            if let Some(event) = event(&row, 0)? {
                facts.events.insert(event.id(), event);
            } else {
                let stream = column::<String>(&row, 2)?.try_into()?;
                facts.streams.insert(stream, version_from_sql(column(&row, 3)?)?);
            }
        }
        Ok(facts)
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        self.state = State::Doubtful;
        let found = log_page::read(self.connection.opened()?, &self.server.sql, &read).await;
        if found.as_ref().err().is_none_or(Error::is_other_history) {
            self.state = State::Open;
        }
        found
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        let columns = Columns::of(&plan.rows);
        let last = plan.rows.last().map_or(Position::ZERO, downlink::Event::position);
        let query = sqlx::query(self.server.sql.insert.sql())
            .bind(columns.positions)
            .bind(columns.ids)
            .bind(columns.streams)
            .bind(columns.versions)
            .bind(columns.types)
            .bind(columns.times)
            .bind(columns.content_types)
            .bind(columns.tags)
            .bind(columns.metadata)
            .bind(columns.payloads)
            .bind(position_to_sql(last));
        let insert = async |connection: &mut PgConnection| query.execute(connection).await;
        self.step("store events", insert).await.map(drop)
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

type Transactions = <Postgres as Database>::TransactionManager;

/// The end of the log, from the answer to the beginning of a transaction.
fn log_head(rows: &[PgRow]) -> Result<LogHead> {
    let [_lock, row] = rows else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the row that serves as the lock of the log is missing",
        ));
    };
    let given = position_from_sql(column(row, 0)?)?;
    // Until its first use, a sequence holds the first value that it will return.
    let free = if column(row, 1)? { given.next() } else { given };
    let Some(cursor) = cursor(row, 2)? else {
        return Ok(LogHead { next: free, ..LogHead::EMPTY });
    };
    let head = LogHead::after(cursor, time_from_sql(column(row, 4)?)?);
    Ok(LogHead { next: free.max(head.next), ..head })
}
