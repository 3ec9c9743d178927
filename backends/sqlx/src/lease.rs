//! The leases of projections, in the file of the log.

use downlink::Result;
use downlink::commit::Ending;
use downlink::event::Timestamp;
use downlink::id::ProjectionId;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken};
use downlink_sqlite_schema::{StoredLease, sql};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;

use crate::error::failed;
use crate::row::column;
use crate::statement::Values;

/// The answer to a worker that asks for a lease, of which nothing is stored.
pub(crate) async fn answer(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    lease: Lease,
    now: Timestamp,
) -> Result<LeaseOutcome> {
    let row = sqlx::query_with(sql::LEASE, SqliteArguments::from(key(id)))
        .fetch_optional(connection)
        .await
        .map_err(failed("look up a lease"))?;
    let stored =
        row.map(|row| StoredLease::from_columns(column(&row, 0)?, column(&row, 1)?)).transpose()?;
    Ok(StoredLease::answer(stored, lease, now))
}

pub(crate) async fn take(
    tx: &mut SqliteConnection,
    id: &ProjectionId,
    lease: Lease,
) -> Result<Ending<LeaseOutcome>> {
    let now = Timestamp::now();
    let answer = answer(tx, id, lease, now).await?;
    if answer != LeaseOutcome::Held {
        return Ok(Ending::RollBack(answer));
    }
    write(tx, sql::SET_LEASE, values(id, lease, now)?).await?;
    Ok(Ending::Commit(answer))
}

/// Prolongs the lease of a step. Returns `false` if it is not the stored one. A step without a
/// lease needs none.
pub(crate) async fn prolong(
    tx: &mut SqliteConnection,
    id: &ProjectionId,
    lease: Option<Lease>,
) -> Result<bool> {
    let Some(lease) = lease else { return Ok(true) };
    let values = values(id, lease, Timestamp::now())?;
    Ok(write(tx, sql::PROLONG_LEASE, values).await? > 0)
}

pub(crate) async fn release(
    tx: &mut SqliteConnection,
    id: &ProjectionId,
    token: LeaseToken,
) -> Result<Ending<()>> {
    write(tx, sql::RELEASE_LEASE, of_worker(id, token)).await?;
    Ok(Ending::Commit(()))
}

fn key(id: &ProjectionId) -> Values {
    let mut values = Values::default();
    values.push(id.name());
    values.push(id.version());
    values
}

fn of_worker(id: &ProjectionId, token: LeaseToken) -> Values {
    let mut values = key(id);
    values.push(&token.as_bytes()[..]);
    values
}

fn values(id: &ProjectionId, lease: Lease, now: Timestamp) -> Result<Values> {
    let mut values = of_worker(id, lease.token());
    values.push(StoredLease::until(lease, now)?);
    Ok(values)
}

/// Returns the number of rows.
async fn write(tx: &mut SqliteConnection, text: &'static str, values: Values) -> Result<u64> {
    let written = sqlx::query_with(text, SqliteArguments::from(values)).execute(tx).await;
    written.map(|done| done.rows_affected()).map_err(failed("store a lease"))
}
