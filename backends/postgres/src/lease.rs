//! The leases of projections, in the database of the log. They are taken and given up without the
//! lock of the log, by statements of their own, so that none of it waits for an append.

use std::time::Duration;

use downlink::id::ProjectionId;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken};
use downlink::{Error, ErrorKind, Result};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connection::Server;
use crate::error::{code, failed};
use crate::row::column;
use crate::statement::Value;

/// The row is locked for longer than the statement waits, by a step that is in progress.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Takes a lease, or prolongs it.
pub(crate) async fn take(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
    lease: Lease,
) -> Result<LeaseOutcome> {
    let models = &server.saves.models;
    let text = match answer(connection, server, id, lease).await? {
        None => Some(&models.take_lease),
        // It was given up if it is not there any more: the worker may have ended meanwhile.
        Some(LeaseOutcome::Held) => Some(&models.renew_lease),
        // Those that stand by only read.
        Some(LeaseOutcome::HeldByAnother { .. }) => None,
    };
    if let Some(text) = text {
        match server.saves.run(connection, text, values(id, lease)).await {
            Ok(rows) if !rows.is_empty() => return Ok(LeaseOutcome::Held),
            Ok(_) => {}
            Err(error) if code(&error) == Some(LOCK_NOT_AVAILABLE) => {}
            Err(error) => return Err(failed("take a lease")(error)),
        }
    }
    let told = answer(connection, server, id, lease).await?;
    Ok(told.unwrap_or(LeaseOutcome::HeldByAnother { remaining: Duration::ZERO }))
}

/// What is known without taking the lease: `Held` if it is that of the worker, and `None` if it
/// may be taken.
async fn answer(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
    lease: Lease,
) -> Result<Option<LeaseOutcome>> {
    let find = &server.reads.models.lease;
    let rows = server.reads.run(connection, find, key(id)).await;
    let rows = rows.map_err(failed("look up a lease"))?;
    let Some(row) = rows.first() else { return Ok(None) };
    if column::<Uuid>(row, 0)? == Uuid::from(lease.token()) {
        return Ok(Some(LeaseOutcome::Held));
    }
    let micros = u64::try_from(column::<i64>(row, 1)?).unwrap_or_default();
    let remaining = Duration::from_micros(micros);
    let is_held = !remaining.is_zero() && remaining <= lease.duration();
    Ok(is_held.then_some(LeaseOutcome::HeldByAnother { remaining }))
}

/// Prolongs the lease of a step in its transaction, and keeps others from taking it until then.
/// Returns `false` if it is not the stored one. A step without a lease needs none.
pub(crate) async fn prolong(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
    lease: Option<Lease>,
) -> Result<bool> {
    let Some(lease) = lease else { return Ok(true) };
    let rows =
        server.sql.run(connection, &server.sql.models.prolong_lease, values(id, lease)).await;
    Ok(!rows.map_err(failed("prolong a lease"))?.is_empty())
}

/// Gives a lease up.
pub(crate) async fn release(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
    token: LeaseToken,
) -> Result<()> {
    let release = &server.saves.models.release_lease;
    let values = of_worker(id, token);
    match server.saves.run(connection, release, values).await {
        Err(error) if code(&error) == Some(LOCK_NOT_AVAILABLE) => {
            let message = format!("a step of projection {id} is in progress: repeat it");
            Err(Error::with_source(ErrorKind::Busy, message, error))
        }
        released => released.map(drop).map_err(failed("give up a lease")),
    }
}

fn key(id: &ProjectionId) -> Vec<Value<'_>> {
    vec![Value::Text(id.name()), Value::Number(i64::from(id.version()))]
}

fn of_worker(id: &ProjectionId, token: LeaseToken) -> Vec<Value<'_>> {
    let mut values = key(id);
    values.push(Value::Id(token.into()));
    values
}

fn values(id: &ProjectionId, lease: Lease) -> Vec<Value<'_>> {
    let mut values = of_worker(id, lease.token());
    let micros = i64::try_from(lease.duration().as_micros()).unwrap_or(i64::MAX);
    values.push(Value::Number(micros));
    values
}
