//! Read models and their checkpoints in the file of the log.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use downlink::commit::Ending;
use downlink::event::Timestamp;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionRow, ProjectionStore, Step, StepOutcome,
};
use downlink::{BoxError, Cursor, Error, Event, Position, Projection, Result, limits};
use downlink_sqlite_schema::number::{position_to_sql, to_sql};
use downlink_sqlite_schema::{dead_letter_from_sql, is_storage_error, sql};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params};

use crate::error::{code_and_message, failed, meaning};
use crate::lease;
use crate::row::column;
use crate::store::RusqliteStore;
use crate::tx::Tx;

type AnyProjection = Arc<dyn Projection<Tx = Tx>>;

#[async_trait]
impl ProjectionStore for RusqliteStore {
    type Tx = Tx;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        let id = id.clone();
        let row = self.snapshot(move |connection| find(connection, &id)).await?;
        Ok(row.map_or(Cursor::START, |row| row.checkpoint))
    }

    async fn step(&self, projection: &AnyProjection, step: Step) -> Result<StepOutcome> {
        step.validate()?;
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        let bytes = step.events.iter().map(Event::size).sum();
        let made = self.write(bytes, move |tx| make(tx, &id, &*projection, &step)).await;
        made.or_else(refused_at_commit)
    }

    async fn reset(&self, projection: &AnyProjection) -> Result<()> {
        let id = ProjectionId::of(&**projection)?;
        let projection = Arc::clone(projection);
        self.write(0, move |tx| reset(tx, &id, &*projection)).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        let id = ProjectionId::new(name, 0)?;
        let row = self.snapshot(move |connection| live(connection, &id)).await?;
        Ok(row.map(|row| row.version))
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        let id = id.clone();
        self.write(0, move |tx| make_live(tx.raw(), &id)).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        let id = id.clone();
        let row = self.snapshot(move |connection| find(connection, &id)).await?;
        Ok(row.and_then(|row| row.unannounced_after()))
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        let id = id.clone();
        self.write(0, move |tx| announce(tx.raw(), &id, from, to)).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let (id, limit) = (id.clone(), limit.min(limits::MAX_PAGE_EVENTS));
        self.snapshot(move |connection| dead_letters(connection, &id, after, limit)).await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        let asking = id.clone();
        let answer = move |file: &Connection| lease::answer(file, &asking, lease, Timestamp::now());
        // Those that stand by only read.
        match self.snapshot(answer).await? {
            LeaseOutcome::Held => {
                let id = id.clone();
                self.write(0, move |tx| lease::take(tx.raw(), &id, lease)).await
            }
            held_by_another @ LeaseOutcome::HeldByAnother { .. } => Ok(held_by_another),
        }
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        let id = id.clone();
        self.write(0, move |tx| lease::release(tx.raw(), &id, token)).await
    }
}

fn make(
    tx: &mut Tx,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = Tx>,
    step: &Step,
) -> Result<Ending<StepOutcome>> {
    if !lease::prolong(tx.raw(), id, step.lease)? {
        return Ok(Ending::RollBack(StepOutcome::LeaseLost));
    }
    let row = find(tx.raw(), id)?;
    let checkpoint = row.map_or(Cursor::START, |row| row.checkpoint);
    if checkpoint != step.from {
        return Ok(Ending::RollBack(StepOutcome::CheckpointMoved(checkpoint)));
    }
    let row = row.map_or_else(|| add(tx.raw(), id), Ok)?;
    if let Err(error) = project(tx, projection, step)? {
        return Ok(Ending::RollBack(StepOutcome::Failed(error)));
    }
    if let Some(skipped) = &step.skipped {
        add_dead_letter(tx.raw(), row.key, skipped)?;
    }
    set(tx.raw(), &row.after(step))?;
    Ok(Ending::Commit(StepOutcome::Applied { unannounced_after: row.unannounced_after() }))
}

fn reset(
    tx: &mut Tx,
    id: &ProjectionId,
    projection: &dyn Projection<Tx = Tx>,
) -> Result<Ending<()>> {
    let row = find(tx.raw(), id)?.map_or_else(|| add(tx.raw(), id), Ok)?;
    let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
    project(tx, projection, &nothing)?.map_err(|error| Error::projection_failed(id, error))?;
    execute(tx.raw(), sql::DELETE_DEAD_LETTERS, [row.key])?;
    set(tx.raw(), &row.reset())?;
    Ok(Ending::Commit(()))
}

fn make_live(tx: &Connection, id: &ProjectionId) -> Result<Ending<u32>> {
    let own = find(tx, id)?.ok_or_else(|| Error::never_projected(id))?;
    let live = live(tx, id)?;
    let Some((former, own)) = own.take_over(live) else {
        return Ok(Ending::RollBack(live.map_or(own.version, |live| live.version)));
    };
    former.map_or(Ok(()), |former| set(tx, &former))?;
    set(tx, &own)?;
    Ok(Ending::Commit(own.version))
}

fn announce(tx: &Connection, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<Ending<bool>> {
    let Some(row) = find(tx, id)?.and_then(|row| row.announce(from, to)) else {
        return Ok(Ending::RollBack(false));
    };
    set(tx, &row)?;
    Ok(Ending::Commit(true))
}

/// Runs a step of the projection. The inner error is the projection's, the outer one that of
/// the file.
fn project(
    tx: &mut Tx,
    projection: &dyn Projection<Tx = Tx>,
    step: &Step,
) -> Result<Result<(), BoxError>> {
    let written = tx.guarded(|tx| at_once(step.write(projection, tx)));
    if let Err(error) = written {
        return match storage_error(&*error) {
            Some((kind, what)) => {
                let message = format!("could not write a read model: {what}");
                Err(Error::with_source(kind, message, error))
            }
            None => Ok(Err(error)),
        };
    }
    if tx.raw().is_autocommit() {
        let message = "the projection has ended its transaction: only the store may do that";
        return Ok(Err(message.into()));
    }
    Ok(Ok(()))
}

/// Turns a constraint violation at COMMIT into a failed step: COMMIT checks deferred
/// constraints of the projection's tables.
fn refused_at_commit(error: Error) -> Result<StepOutcome> {
    let is_constraint = driver_error(&error)
        .is_some_and(|error| error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation));
    if is_constraint { Ok(StepOutcome::Failed(error.into())) } else { Err(error) }
}

/// Polls a future that must be ready at once.
pub(crate) fn at_once<T>(future: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err("it awaits something other than its transaction: \
             with rusqlite it must finish at once"
            .into()),
    }
}

/// The kind and message of an error of the projection if the file, the disk or another
/// program is the cause, and not the projection.
fn storage_error(error: &(dyn StdError + 'static)) -> Option<(downlink::ErrorKind, &'static str)> {
    let error = driver_error(error)?;
    let (code, message) = code_and_message(error)?;
    is_storage_error(code, &message).then(|| meaning(error))
}

pub(crate) fn driver_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rusqlite::Error> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

fn find(connection: &Connection, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
    row(connection, sql::PROJECTION, (id.name(), id.version()))
}

/// The live version of the projection with this one's name.
pub(crate) fn live(connection: &Connection, id: &ProjectionId) -> Result<Option<ProjectionRow>> {
    row(connection, sql::LIVE_PROJECTION, [id.name()])
}

fn row(
    connection: &Connection,
    text: &str,
    parameters: impl Params,
) -> Result<Option<ProjectionRow>> {
    let read = |row: &rusqlite::Row<'_>| {
        let checkpoint = column(row, 2, ValueRef::as_str)?;
        let announced = column(row, 4, ValueRef::as_str)?;
        let (key, version, live) = (row.get(0)?, row.get(1)?, row.get(3)?);
        Ok(ProjectionRow::from_columns(key, version, checkpoint, live, announced))
    };
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.query_row(parameters, read).optional())
        .map_err(failed("look up a projection"))?
        .transpose()
}

fn add(connection: &Connection, id: &ProjectionId) -> Result<ProjectionRow> {
    let key = connection
        .prepare_cached(sql::ADD_PROJECTION)
        .and_then(|mut statement| {
            statement.insert((id.name(), id.version(), Cursor::START.to_string()))
        })
        .map_err(failed("add a projection"))?;
    Ok(ProjectionRow::added(key, id))
}

fn set(connection: &Connection, row: &ProjectionRow) -> Result<()> {
    let ProjectionRow { key, checkpoint, is_live, announced, .. } = row;
    let parameters = (key, checkpoint.to_string(), is_live, announced.to_string());
    execute(connection, sql::SET_PROJECTION, parameters)
}

fn add_dead_letter(connection: &Connection, key: i64, letter: &DeadLetter) -> Result<()> {
    let DeadLetter { cursor, id, error, skipped_at } = letter;
    let (position, time) = (position_to_sql(cursor.position()), to_sql(skipped_at.as_micros())?);
    execute(connection, sql::ADD_DEAD_LETTER, (key, position, &id.as_bytes()[..], error, time))
}

fn dead_letters(
    connection: &Connection,
    id: &ProjectionId,
    after: Position,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let doing = "read dead letters";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = (id.name(), id.version(), position_to_sql(after), limit);
    let mut statement = connection.prepare_cached(sql::DEAD_LETTERS).map_err(failed(doing))?;
    let read = |row: &rusqlite::Row<'_>| {
        let id = column(row, 1, ValueRef::as_blob)?;
        Ok(dead_letter_from_sql(row.get(0)?, id, row.get(2)?, row.get(3)?))
    };
    let letters = statement.query_map(parameters, read).map_err(failed(doing))?;
    letters.map(|letter| letter.map_err(failed(doing))?).collect()
}

fn execute(connection: &Connection, text: &str, parameters: impl Params) -> Result<()> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.execute(parameters))
        .map(drop)
        .map_err(failed("store a checkpoint"))
}
