//! Read models and their checkpoints, in the database of the log.

use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::Ending;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionRow, ProjectionStore, Step, StepOutcome,
};
use downlink::{BoxError, Cursor, Error, Event, EventId, Position, Projection, Result, limits};
use futures::FutureExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::connection::Server;
use crate::error::{driver_error, failed, is_constraint, is_storage_error, meaning};
use crate::lease;
use crate::row::{
    column, count_to_sql, id_to_sql, position_from_sql, position_to_sql, time_from_sql, time_to_sql,
};
use crate::sql::{Statements, Text};
use crate::statement::Value;
use crate::store::PostgresStore;

type AnyProjection = Arc<dyn Projection<Tx = PgConnection>>;

#[async_trait]
impl ProjectionStore for PostgresStore {
    type Tx = PgConnection;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        Ok(self.row(id).await?.map_or(Cursor::START, |row| row.checkpoint))
    }

    async fn step(&self, projection: &AnyProjection, step: Step) -> Result<StepOutcome> {
        step.validate()?;
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        let bytes = step.events.iter().map(Event::size).sum();
        let made = self.write(bytes, |mut tx| {
            async move { make(&mut tx, &id, &*projection, &step).await }.boxed()
        });
        made.await.or_else(refused_at_commit)
    }

    async fn reset(&self, projection: &AnyProjection) -> Result<()> {
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        self.write(0, |mut tx| async move { reset(&mut tx, &id, &*projection).await }.boxed()).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        let id = ProjectionId::new(name, 0)?;
        let row =
            self.ask(move |tx, server| async move { live(tx, &server.reads, &id).await }.boxed());
        Ok(row.await?.map(|row| row.version))
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        let id = id.clone();
        self.write(0, |mut tx| async move { make_live(&mut tx, &id).await }.boxed()).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        Ok(self.row(id).await?.and_then(|row| row.unannounced_after()))
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        let id = id.clone();
        self.write(0, move |mut tx| async move { announce(&mut tx, &id, from, to).await }.boxed())
            .await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let (id, limit) = (id.clone(), limit.min(limits::MAX_PAGE_EVENTS));
        self.ask(move |tx, server| {
            async move { dead_letters(tx, &server.reads, &id, after, limit).await }.boxed()
        })
        .await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        let id = id.clone();
        self.ask(move |tx, server| async move { lease::take(tx, server, &id, lease).await }.boxed())
            .await
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        let id = id.clone();
        self.ask(move |tx, server| {
            async move { lease::release(tx, server, &id, token).await }.boxed()
        })
        .await
    }
}

impl PostgresStore {
    async fn row(&self, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
        let id = id.clone();
        self.ask(move |tx, server| async move { find(tx, &server.reads, &id).await }.boxed()).await
    }
}

/// The transaction of a job of the store itself.
pub(crate) struct ModelTx<'t> {
    pub(crate) connection: &'t mut PgConnection,
    pub(crate) server: Arc<Server>,
}

impl ModelTx<'_> {
    async fn find(&mut self, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
        find(self.connection, &self.server.sql, id).await
    }

    async fn find_or_add(&mut self, id: &ProjectionId) -> Result<ProjectionRow> {
        if let Some(row) = self.find(id).await? {
            return Ok(row);
        }
        let start = Cursor::START.to_string();
        let values = vec![
            Value::Text(id.name()),
            Value::Number(i64::from(id.version())),
            Value::Text(&start),
        ];
        let server = Arc::clone(&self.server);
        let rows = self.run(&server.sql.models.add, values, "add a projection").await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        let row = row.map_err(failed("add a projection"))?;
        Ok(ProjectionRow::added(column(row, 0)?, id))
    }

    async fn set(&mut self, row: &ProjectionRow) -> Result<()> {
        let (checkpoint, announced) = (row.checkpoint.to_string(), row.announced.to_string());
        let values = vec![
            Value::Number(row.key),
            Value::Text(&checkpoint),
            Value::Flag(row.is_live),
            Value::Text(&announced),
        ];
        let server = Arc::clone(&self.server);
        self.run(&server.sql.models.set, values, "store a checkpoint").await.map(drop)
    }

    async fn add_dead_letter(&mut self, key: i64, letter: &DeadLetter) -> Result<()> {
        let DeadLetter { cursor, id, error, skipped_at } = letter;
        // PostgreSQL stores no NUL in a text.
        let error = error.replace('\0', "\u{fffd}");
        let values = vec![
            Value::Number(key),
            Value::Number(position_to_sql(cursor.position())),
            Value::Id(id_to_sql(*id)),
            Value::Text(&error),
            Value::Number(time_to_sql(*skipped_at)),
        ];
        let server = Arc::clone(&self.server);
        let add = &server.sql.models.add_dead_letter;
        self.run(add, values, "store a dead letter").await.map(drop)
    }

    async fn delete_dead_letters(&mut self, key: i64) -> Result<()> {
        let server = Arc::clone(&self.server);
        let delete = &server.sql.models.delete_dead_letters;
        self.run(delete, vec![Value::Number(key)], "delete dead letters").await.map(drop)
    }

    async fn run(
        &mut self,
        text: &Text,
        values: Vec<Value<'_>>,
        doing: &str,
    ) -> Result<Vec<PgRow>> {
        self.server.sql.run(self.connection, text, values).await.map_err(failed(doing))
    }

    async fn log_writes(&mut self) -> Result<i64> {
        log_writes(self.connection, &self.server).await.map_err(failed(DOING))
    }

    /// Runs a step of the projection. The inner error is the projection's, the outer one that
    /// of the database.
    async fn project(
        &mut self,
        projection: &dyn Projection<Tx = PgConnection>,
        step: &Step,
    ) -> Result<Result<(), BoxError>> {
        if step.from == Cursor::START {
            // It may make its tables anew.
            let lock = sqlx::raw_sql(self.server.sql.models.keep_queries_out.sql());
            lock.execute(&mut *self.connection).await.map_err(failed(DOING))?;
        }
        let before = self.log_writes().await?;
        if let Err(error) = step.write(projection, self.connection).await {
            let driver = driver_error(&*error).filter(|error| is_storage_error(error));
            return match driver.map(meaning) {
                Some((kind, what)) => {
                    Err(Error::with_source(kind, format!("could not {DOING}: {what}"), error))
                }
                None => Ok(Err(error)),
            };
        }
        let after = log_writes(self.connection, &self.server).await;
        Ok(match after {
            Ok(after) if after == before => Ok(()),
            Ok(_) => {
                Err("the projection has written to the tables of the log: use separate tables"
                    .into())
            }
            Err(error) if is_storage_error(&error) => return Err(failed(DOING)(error)),
            Err(_) => Err(
                "a statement of the projection has failed and its error was ignored, or it has \
                 ended its transaction, which only the store may do"
                    .into(),
            ),
        })
    }
}

const DOING: &str = "write a read model";

async fn make(
    tx: &mut ModelTx<'_>,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = PgConnection>,
    step: &Step,
) -> Result<Ending<StepOutcome>> {
    let server = Arc::clone(&tx.server);
    if !lease::prolong(tx.connection, &server, id, step.lease).await? {
        return Ok(Ending::RollBack(StepOutcome::LeaseLost));
    }
    let checkpoint = tx.find(id).await?.map_or(Cursor::START, |row| row.checkpoint);
    if checkpoint != step.from {
        return Ok(Ending::RollBack(StepOutcome::CheckpointMoved(checkpoint)));
    }
    let row = tx.find_or_add(id).await?;
    if let Err(error) = tx.project(projection, step).await? {
        return Ok(Ending::RollBack(StepOutcome::Failed(error)));
    }
    if let Some(skipped) = &step.skipped {
        tx.add_dead_letter(row.key, skipped).await?;
    }
    tx.set(&row.after(step)).await?;
    Ok(Ending::Commit(StepOutcome::Applied { unannounced_after: row.unannounced_after() }))
}

async fn reset(
    tx: &mut ModelTx<'_>,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = PgConnection>,
) -> Result<Ending<()>> {
    let row = tx.find_or_add(id).await?;
    let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
    let projected = tx.project(projection, &nothing).await?;
    projected.map_err(|error| Error::projection_failed(id, error))?;
    tx.delete_dead_letters(row.key).await?;
    tx.set(&row.reset()).await?;
    Ok(Ending::Commit(()))
}

async fn make_live(tx: &mut ModelTx<'_>, id: &ProjectionId) -> Result<Ending<u32>> {
    let own = tx.find(id).await?.ok_or_else(|| Error::never_projected(id))?;
    let live = live(tx.connection, &tx.server.sql, id).await?;
    let Some((former, own)) = own.take_over(live) else {
        return Ok(Ending::RollBack(live.map_or(own.version, |live| live.version)));
    };
    if let Some(former) = former {
        tx.set(&former).await?;
    }
    tx.set(&own).await?;
    Ok(Ending::Commit(own.version))
}

async fn announce(
    tx: &mut ModelTx<'_>,
    id: &ProjectionId,
    from: Cursor,
    to: Cursor,
) -> Result<Ending<bool>> {
    let Some(row) = tx.find(id).await?.and_then(|row| row.announce(from, to)) else {
        return Ok(Ending::RollBack(false));
    };
    tx.set(&row).await?;
    Ok(Ending::Commit(true))
}

/// How many rows of the log's tables the transaction has written so far.
pub(crate) async fn log_writes(
    connection: &mut PgConnection,
    server: &Server,
) -> sqlx::Result<i64> {
    let rows = server.sql.run(connection, &server.sql.models.writes, Vec::new()).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

/// Turns a constraint violation at COMMIT into a failed step: COMMIT checks deferred
/// constraints of the projection's tables.
fn refused_at_commit(error: Error) -> Result<StepOutcome> {
    if driver_error(&error).is_some_and(is_constraint) {
        return Ok(StepOutcome::Failed(error.into()));
    }
    Err(error)
}

async fn find(
    connection: &mut PgConnection,
    sql: &Statements,
    id: &ProjectionId,
) -> Result<Option<ProjectionRow>> {
    let values = vec![Value::Text(id.name()), Value::Number(i64::from(id.version()))];
    let rows = sql.run(connection, &sql.models.find, values).await;
    rows.map_err(failed(LOOK_UP))?.first().map(row).transpose()
}

/// The live version of the projection with this one's name.
pub(crate) async fn live(
    connection: &mut PgConnection,
    sql: &Statements,
    id: &ProjectionId,
) -> Result<Option<ProjectionRow>> {
    let rows = sql.run(connection, &sql.models.live, vec![Value::Text(id.name())]).await;
    rows.map_err(failed(LOOK_UP))?.first().map(row).transpose()
}

const LOOK_UP: &str = "look up a projection";

fn row(row: &PgRow) -> Result<ProjectionRow> {
    let (checkpoint, announced) = (column::<&str>(row, 2)?, column::<&str>(row, 4)?);
    let (key, version, is_live) = (column(row, 0)?, column(row, 1)?, column(row, 3)?);
    ProjectionRow::from_columns(key, version, checkpoint, is_live, announced)
}

async fn dead_letters(
    connection: &mut PgConnection,
    sql: &Statements,
    id: &ProjectionId,
    after: Position,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let values = vec![
        Value::Text(id.name()),
        Value::Number(i64::from(id.version())),
        Value::Number(position_to_sql(after)),
        Value::Number(count_to_sql(limit)),
    ];
    let rows = sql.run(connection, &sql.models.dead_letters, values).await;
    rows.map_err(failed("read dead letters"))?.iter().map(dead_letter).collect()
}

fn dead_letter(row: &PgRow) -> Result<DeadLetter> {
    let id = EventId::from_bytes(column::<Uuid>(row, 1)?.into_bytes());
    Ok(DeadLetter {
        cursor: Cursor::of(position_from_sql(column(row, 0)?)?, id),
        id,
        error: column(row, 2)?,
        skipped_at: time_from_sql(column(row, 3)?)?,
    })
}
