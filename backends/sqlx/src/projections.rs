//! Read models and their checkpoints, in the file of the log.

use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::Ending;
use downlink::event::Timestamp;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionRow, ProjectionStore, Step, StepOutcome,
};
use downlink::{BoxError, Cursor, Error, ErrorKind, Event, Position, Projection, Result, limits};
use downlink_sqlite_schema::number::{position_to_sql, to_sql};
use downlink_sqlite_schema::{dead_letter_from_sql, is_constraint, is_storage_error, sql};
use futures::FutureExt;
use sqlx::sqlite::SqliteArguments;

use crate::error::{code, code_and_message, failed, meaning};
use crate::guard::LogGuard;
use crate::lease;
use crate::row::column;
use crate::savepoint;
use crate::snapshot::log_shape;
use crate::statement::{Values, execute};
use crate::store::SqlxStore;
use crate::tx::Tx;

type AnyProjection = Arc<dyn Projection<Tx = Tx>>;

#[async_trait]
impl ProjectionStore for SqlxStore {
    type Tx = Tx;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        let id = id.clone();
        let row = self.ask(|connection| async move { find(connection, &id).await }.boxed());
        Ok(row.await?.map_or(Cursor::START, |row| row.checkpoint))
    }

    async fn step(&self, projection: &AnyProjection, step: Step) -> Result<StepOutcome> {
        step.validate()?;
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        let bytes = step.events.iter().map(Event::size).sum();
        let guard = self.guard().clone();
        let made = self.write(bytes, |tx| {
            async move { make(tx, &guard, &id, &*projection, &step).await }.boxed()
        });
        made.await.or_else(refused_at_commit)
    }

    async fn reset(&self, projection: &AnyProjection) -> Result<()> {
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        let guard = self.guard().clone();
        self.write(0, |tx| async move { reset(tx, &guard, &id, &*projection).await }.boxed()).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        let id = ProjectionId::new(name, 0)?;
        let row = self.ask(|connection| async move { live(connection, &id).await }.boxed());
        Ok(row.await?.map(|row| row.version))
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        let id = id.clone();
        self.write(0, |tx| async move { make_live(tx, &id).await }.boxed()).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        let id = id.clone();
        let row = self.ask(move |connection| async move { find(connection, &id).await }.boxed());
        Ok(row.await?.and_then(|row| row.unannounced_after()))
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        let id = id.clone();
        self.write(0, move |tx| async move { announce(tx, &id, from, to).await }.boxed()).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let (id, limit) = (id.clone(), limit.min(limits::MAX_PAGE_EVENTS));
        self.ask(move |connection| {
            async move { dead_letters(connection, &id, after, limit).await }.boxed()
        })
        .await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        let asking = id.clone();
        let answer = self.ask(move |connection| {
            async move { lease::answer(connection, &asking, lease, Timestamp::now()).await }.boxed()
        });
        // Those that stand by only read.
        match answer.await? {
            LeaseOutcome::Held => {
                let id = id.clone();
                self.write(0, move |tx| async move { lease::take(tx, &id, lease).await }.boxed())
                    .await
            }
            held_by_another @ LeaseOutcome::HeldByAnother { .. } => Ok(held_by_another),
        }
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        let id = id.clone();
        self.write(0, move |tx| async move { lease::release(tx, &id, token).await }.boxed()).await
    }
}

async fn make(
    tx: &mut Tx,
    guard: &LogGuard,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = Tx>,
    step: &Step,
) -> Result<Ending<StepOutcome>> {
    if !lease::prolong(tx, id, step.lease).await? {
        return Ok(Ending::RollBack(StepOutcome::LeaseLost));
    }
    let row = find(tx, id).await?;
    let checkpoint = row.map_or(Cursor::START, |row| row.checkpoint);
    if checkpoint != step.from {
        return Ok(Ending::RollBack(StepOutcome::CheckpointMoved(checkpoint)));
    }
    let row = find_or_add(tx, id, row).await?;
    if let Err(error) = project(tx, guard, projection, step).await? {
        return Ok(Ending::RollBack(StepOutcome::Failed(error)));
    }
    if let Some(skipped) = &step.skipped {
        add_dead_letter(tx, row.key, skipped).await?;
    }
    set(tx, &row.after(step)).await?;
    Ok(Ending::Commit(StepOutcome::Applied { unannounced_after: row.unannounced_after() }))
}

async fn reset(
    tx: &mut Tx,
    guard: &LogGuard,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = Tx>,
) -> Result<Ending<()>> {
    let row = find(tx, id).await?;
    let row = find_or_add(tx, id, row).await?;
    let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
    let projected = project(tx, guard, projection, &nothing).await?;
    projected.map_err(|error| Error::projection_failed(id, error))?;
    let mut values = Values::default();
    values.push(row.key);
    store(tx, sql::DELETE_DEAD_LETTERS, values).await?;
    set(tx, &row.reset()).await?;
    Ok(Ending::Commit(()))
}

async fn make_live(tx: &mut Tx, id: &ProjectionId) -> Result<Ending<u32>> {
    let own = find(tx, id).await?.ok_or_else(|| Error::never_projected(id))?;
    let live = live(tx, id).await?;
    let Some((former, own)) = own.take_over(live) else {
        return Ok(Ending::RollBack(live.map_or(own.version, |live| live.version)));
    };
    if let Some(former) = former {
        set(tx, &former).await?;
    }
    set(tx, &own).await?;
    Ok(Ending::Commit(own.version))
}

async fn announce(
    tx: &mut Tx,
    id: &ProjectionId,
    from: Cursor,
    to: Cursor,
) -> Result<Ending<bool>> {
    let Some(row) = find(tx, id).await?.and_then(|row| row.announce(from, to)) else {
        return Ok(Ending::RollBack(false));
    };
    set(tx, &row).await?;
    Ok(Ending::Commit(true))
}

/// Runs a step of the projection. The inner error is the projection's, the outer one that of
/// the file.
async fn project(
    tx: &mut Tx,
    guard: &LogGuard,
    projection: &dyn Projection<Tx = Tx>,
    step: &Step,
) -> Result<Result<(), BoxError>> {
    let before = log_shape(tx).await.map_err(failed(DOING))?;
    let active = guard.activate(tx).await.map_err(failed(DOING))?;
    // The savepoint can be released only in this transaction.
    execute(tx, savepoint::open()).await.map_err(failed(DOING))?;
    let written = step.write(projection, tx).await;
    let is_open = execute(tx, savepoint::release()).await.is_ok();
    let is_unwritten = active.deactivate(tx).await;
    if let Err(error) = written {
        return match storage_error(&*error) {
            Some((kind, what)) => {
                Err(Error::with_source(kind, format!("could not {DOING}: {what}"), error))
            }
            None => Ok(Err(error)),
        };
    }
    Ok(if !is_open {
        Err("the projection has ended its transaction: only the store may do that".into())
    } else if !is_unwritten || !log_shape(tx).await.is_ok_and(|after| after == before) {
        Err("the projection has changed the tables of the log, or its connection (a pragma, a hook, another \
             database): use separate tables, and do not change the connection"
            .into())
    } else {
        Ok(())
    })
}

const DOING: &str = "write a read model";

/// Turns a constraint violation at COMMIT into a failed step: COMMIT checks deferred
/// constraints of the projection's tables.
fn refused_at_commit(error: Error) -> Result<StepOutcome> {
    if driver_error(&error).and_then(code).is_some_and(is_constraint) {
        return Ok(StepOutcome::Failed(error.into()));
    }
    Err(error)
}

/// The kind and message of an error of the projection if the file, the disk or another
/// program is the cause, and not the projection.
fn storage_error(error: &(dyn StdError + 'static)) -> Option<(ErrorKind, &'static str)> {
    let error = driver_error(error)?;
    let (code, message) = code_and_message(error)?;
    is_storage_error(code, &message).then(|| meaning(error))
}

pub(crate) fn driver_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a sqlx::Error> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

async fn find(connection: &mut Tx, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
    let mut values = Values::default();
    values.push(id.name());
    values.push(id.version());
    row(connection, sql::PROJECTION, values).await
}

/// The live version of the projection with this one's name.
pub(crate) async fn live(connection: &mut Tx, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
    let mut values = Values::default();
    values.push(id.name());
    row(connection, sql::LIVE_PROJECTION, values).await
}

async fn row(
    connection: &mut Tx,
    text: &'static str,
    values: Values,
) -> Result<Option<ProjectionRow>> {
    let row = sqlx::query_with(text, SqliteArguments::from(values))
        .fetch_optional(connection)
        .await
        .map_err(failed("look up a projection"))?;
    row.map(|row| {
        let (key, version) = (column(&row, 0)?, column(&row, 1)?);
        ProjectionRow::from_columns(
            key,
            version,
            column(&row, 2)?,
            column(&row, 3)?,
            column(&row, 4)?,
        )
    })
    .transpose()
}

async fn find_or_add(
    tx: &mut Tx,
    id: &ProjectionId,
    found: Option<ProjectionRow>,
) -> Result<ProjectionRow> {
    if let Some(row) = found {
        return Ok(row);
    }
    let added = sqlx::query(sql::ADD_PROJECTION)
        .bind(id.name())
        .bind(id.version())
        .bind(Cursor::START.to_string())
        .execute(tx)
        .await
        .map_err(failed("add a projection"))?;
    Ok(ProjectionRow::added(added.last_insert_rowid(), id))
}

async fn set(tx: &mut Tx, row: &ProjectionRow) -> Result<()> {
    let ProjectionRow { key, checkpoint, is_live, announced, .. } = row;
    let mut values = Values::default();
    values.push(*key);
    values.push(checkpoint.to_string());
    values.push(*is_live);
    values.push(announced.to_string());
    store(tx, sql::SET_PROJECTION, values).await
}

async fn add_dead_letter(tx: &mut Tx, key: i64, letter: &DeadLetter) -> Result<()> {
    let DeadLetter { cursor, id, error, skipped_at } = letter;
    let mut values = Values::default();
    values.push(key);
    values.push(position_to_sql(cursor.position()));
    values.push(&id.as_bytes()[..]);
    values.push(error.as_str());
    values.push(to_sql(skipped_at.as_micros())?);
    store(tx, sql::ADD_DEAD_LETTER, values).await
}

async fn dead_letters(
    connection: &mut Tx,
    id: &ProjectionId,
    after: Position,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let rows = sqlx::query(sql::DEAD_LETTERS)
        .bind(id.name())
        .bind(id.version())
        .bind(position_to_sql(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(failed("read dead letters"))?;
    let letter = |row| {
        dead_letter_from_sql(column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?)
    };
    rows.iter().map(letter).collect()
}

async fn store(tx: &mut Tx, text: &'static str, values: Values) -> Result<()> {
    sqlx::query_with(text, SqliteArguments::from(values))
        .execute(tx)
        .await
        .map(drop)
        .map_err(failed("store a checkpoint"))
}
