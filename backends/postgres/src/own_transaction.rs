//! Appends in transactions that the application has begun on connections of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use downlink::commit::{Ending, LogHead, Needs, OpenTransaction, PreparedAppend};
use downlink::store::Appended;
use downlink::{Append, Error, ErrorKind, Event, EventId, Position, Result};
use futures::FutureExt;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

use crate::connection::Server;
use crate::error::{failed, not_open, refuses_commit};
use crate::log_tx::{LogTx, log_head};
use crate::row::column;
use crate::sql::{Session, UNDO};
use crate::store::PostgresStore;

impl PostgresStore {
    /// Appends as the last step of a transaction that the application has begun, and commits it:
    /// its rows and the events are stored together or not at all. The lock of the log is taken
    /// at the end, so what the transaction did before delays no other writer.
    ///
    /// Any error rolls the transaction back. If the events were stored before, all of the
    /// transaction was done before: it is rolled back, and the result is the
    /// [duplicate](Appended::duplicate). A commit that is not answered is resolved by the ids of the
    /// events.
    ///
    /// The transaction has to be `READ COMMITTED`, PostgreSQL's default. If it holds locks for which
    /// a [`transact`](Self::transact) waits, PostgreSQL ends one of the two with `Busy`.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](downlink::EventStore::append);
    /// [`Invalid`](ErrorKind::Invalid) for another level of isolation, and if a statement of the
    /// transaction has failed and its error was ignored;
    /// [`Busy`](ErrorKind::Busy) if the lock is not free within
    /// [`Options::with_busy_deadline`](crate::Options::with_busy_deadline);
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the commit is not answered and cannot be
    /// resolved. After all others nothing of the transaction is stored.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Once the boundaries of the append were scanned, it completes even if the future is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(
    /// #     store: downlink_postgres::PostgresStore,
    /// #     pool: sqlx::PgPool,
    /// # ) -> Result<(), downlink::BoxError> {
    /// use downlink::{Append, Expected, NewEvent};
    ///
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("INSERT INTO gates VALUES ('C71', 'UA1545')").execute(&mut *tx).await?;
    /// let taken = NewEvent::json("GateTaken", r#"{"gate":"C71"}"#)?;
    /// store.commit_with(tx, Append::to("flight-UA1545", Expected::Any, [taken])?).await?;
    /// # Ok(()) }
    /// ```
    pub async fn commit_with(
        &self,
        tx: sqlx::Transaction<'static, Postgres>,
        append: Append,
    ) -> Result<Appended> {
        let prepared = PreparedAppend::new(append, self).await?;
        let store = self.clone();
        let committing = tokio::spawn(async move { store.finish(tx, prepared).await });
        committing.await.unwrap_or_else(|_| {
            let message = "the runtime ended before the transaction completed: repeat it with the \
                           same event ids";
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        })
    }

    /// Appends within a transaction that the application has begun and will commit, for code that
    /// needs the positions of its events inside. Prefer [`commit_with`](Self::commit_with).
    ///
    /// From here on the transaction holds the lock of the log: **other writers wait until it
    /// ends**. It gets their time-outs: PostgreSQL ends it when it waits for its client for 2 s,
    /// and stops each statement after
    /// [`Options::with_step_deadline`](crate::Options::with_step_deadline). The number of its
    /// statements is not limited, so commit at once.
    ///
    /// After an error the transaction is as before the call, with the lock released: append
    /// again, or roll it back. Do not commit rows without the events that belong to them. After a
    /// [duplicate](Appended::duplicate), too, roll it back: its work was done before.
    ///
    /// The transaction has to be `READ COMMITTED`, PostgreSQL's default. Its commit notifies every
    /// [`PostgresBus`](crate::PostgresBus) of the log; hubs with another bus learn of it when
    /// they poll.
    ///
    /// # Errors
    ///
    /// As [`commit_with`](Self::commit_with), but never `OutcomeUnknown`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, roll the transaction back. If it is committed nevertheless, all
    /// events of the append are stored or none.
    pub async fn append_in(
        &self,
        tx: &mut sqlx::Transaction<'_, Postgres>,
        append: Append,
    ) -> Result<Appended> {
        let prepared = PreparedAppend::new(append, self).await?;
        let (wait, server) = (self.busy_deadline(), self.server());
        let stored = store(tx, server, wait, prepared, AndThen::Leave).await;
        stored.map(|(appended, _)| appended)
    }

    async fn finish(
        &self,
        mut tx: sqlx::Transaction<'static, Postgres>,
        prepared: PreparedAppend,
    ) -> Result<Appended> {
        let (wait, server) = (self.busy_deadline(), self.server());
        let stored = store(&mut tx, server, wait, prepared, AndThen::Commit).await;
        let (appended, events) = match stored {
            Ok((appended, events)) if !appended.duplicate => (appended, events),
            not_stored => {
                // The pool, too, rolls back what it gets back, and the server what it loses.
                let _ = server.bounded("roll back", tx.rollback()).await;
                return not_stored.map(|(appended, _)| appended);
            }
        };
        match timeout(server.deadline, tx.commit()).await {
            Ok(Ok(())) => self.hint(),
            Ok(Err(error)) if refuses_commit(&error) => return Err(failed("commit")(error)),
            Ok(Err(error)) => self.resolve(&events, failed("commit")(error)).await?,
            Err(_) => {
                let message = format!("the commit took longer than {:?}", server.deadline);
                self.resolve(&events, Error::new(ErrorKind::Unavailable, message)).await?;
            }
        }
        Ok(appended)
    }

    /// Finds out whether a commit that was not answered has stored these events. Taking the lock
    /// waits for whatever the lost connection still does.
    async fn resolve(&self, events: &[Event], error: Error) -> Result<()> {
        let ids: Vec<EventId> = events.iter().map(Event::id).collect();
        let found = self.write(0, move |tx| {
            async move {
                let needs = Needs { streams: Vec::new(), ids, boundaries: Vec::new() };
                let mut log = LogTx { connection: tx.connection, sql: &tx.server.sql };
                let stored = log.facts(&needs).await?.events;
                Ok(Ending::RollBack(stored.into_values().collect::<Vec<_>>()))
            }
            .boxed()
        });
        let found = found.await;
        self.hint();
        match found {
            Ok(found) if found.is_empty() => Err(error),
            Ok(found) if positions(&found) == positions(events) => Ok(()),
            // A repetition that has overtaken this one has stored them elsewhere.
            Ok(_) | Err(_) => {
                let message = "it is unknown whether the transaction was committed: repeat it with \
                               the same event ids";
                Err(Error::with_source(ErrorKind::OutcomeUnknown, message, error))
            }
        }
    }
}

fn positions(events: &[Event]) -> BTreeSet<Position> {
    events.iter().map(Event::position).collect()
}

/// What follows an append in a transaction of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AndThen {
    Commit,
    /// The application goes on.
    Leave,
}

/// Takes the lock and appends. Unless events were inserted, the transaction is as it was before.
async fn store(
    connection: &mut PgConnection,
    server: &Server,
    wait: Duration,
    prepared: PreparedAppend,
    then: AndThen,
) -> Result<(Appended, Vec<Event>)> {
    let all = wait.saturating_add(server.deadline.saturating_mul(3));
    let stored = timeout(all, try_store(connection, server, wait, prepared, then)).await;
    let stored = stored.unwrap_or_else(|_| {
        let message = format!("could not append within {all:?}");
        Err(Error::new(ErrorKind::Unavailable, message))
    });
    if stored.as_ref().map_or(true, |(_, events)| events.is_empty()) && then == AndThen::Leave {
        // If this fails, the transaction cannot be committed either.
        let undo = sqlx::raw_sql(UNDO).execute(connection);
        let _ = server.bounded("undo an append", undo).await;
    }
    stored
}

async fn try_store(
    connection: &mut PgConnection,
    server: &Server,
    wait: Duration,
    prepared: PreparedAppend,
    then: AndThen,
) -> Result<(Appended, Vec<Event>)> {
    let (head, session) = lock(connection, server, wait).await?;
    let mut tx = LogTx { connection, sql: &server.sql };
    let (appended, events) = prepared.store(&mut tx, head).await?;
    if then == AndThen::Leave
        && let Some(last) = events.last().map(Event::position)
    {
        leave(connection, server, &session, last).await?;
    }
    Ok((appended, events))
}

async fn lock(
    connection: &mut PgConnection,
    server: &Server,
    wait: Duration,
) -> Result<(LogHead, Session)> {
    let join = server.sql.join(wait, server.deadline).sql();
    let rows = sqlx::raw_sql(join).fetch_all(connection).await;
    let rows = rows.map_err(|error| match () {
        () if crate::error::code(&error) == Some("25P02") => not_open(error, DOING),
        () => failed(DOING)(error),
    })?;
    let head = log_head(&rows)?;
    let isolation: &str = column(&rows[0], 0)?;
    if isolation != "read committed" {
        let message = format!(
            "a transaction that appends has to be READ COMMITTED, and this one is {isolation}: it \
             would not see what others have stored since its first statement"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let (seqscan, jit, bytes) = (column(&rows[0], 1)?, column(&rows[0], 2)?, column(&rows[0], 3)?);
    Ok((head, Session { seqscan, jit, bytes }))
}

const DOING: &str = "take the lock of the log";

async fn leave(
    connection: &mut PgConnection,
    server: &Server,
    session: &Session,
    last: Position,
) -> Result<()> {
    let leave = sqlx::raw_sql(server.sql.leave(session, last).sql()).execute(connection);
    leave.await.map(drop).map_err(failed("append"))
}
