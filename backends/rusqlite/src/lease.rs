//! The leases of projections, in the file of the log.

use downlink::Result;
use downlink::commit::Ending;
use downlink::event::Timestamp;
use downlink::id::ProjectionId;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken};
use downlink_sqlite_schema::{StoredLease, sql};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params};

use crate::error::failed;
use crate::row::column;

/// The answer to a worker that asks for a lease, of which nothing is stored.
pub(crate) fn answer(
    connection: &Connection,
    id: &ProjectionId,
    lease: Lease,
    now: Timestamp,
) -> Result<LeaseOutcome> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(StoredLease::from_columns(column(row, 0, ValueRef::as_blob)?, row.get(1)?))
    };
    let stored = connection
        .prepare_cached(sql::LEASE)
        .and_then(|mut find| find.query_row((id.name(), id.version()), read).optional())
        .map_err(failed("look up a lease"))?
        .transpose()?;
    Ok(StoredLease::answer(stored, lease, now))
}

pub(crate) fn take(
    tx: &Connection,
    id: &ProjectionId,
    lease: Lease,
) -> Result<Ending<LeaseOutcome>> {
    let now = Timestamp::now();
    let answer = answer(tx, id, lease, now)?;
    if answer != LeaseOutcome::Held {
        return Ok(Ending::RollBack(answer));
    }
    write(tx, sql::SET_LEASE, values(id, &lease, StoredLease::until(lease, now)?))?;
    Ok(Ending::Commit(answer))
}

/// Prolongs the lease of a step. Returns `false` if it is not the stored one. A step without a
/// lease needs none.
pub(crate) fn prolong(tx: &Connection, id: &ProjectionId, lease: Option<Lease>) -> Result<bool> {
    let Some(lease) = lease else { return Ok(true) };
    let until = StoredLease::until(lease, Timestamp::now())?;
    Ok(write(tx, sql::PROLONG_LEASE, values(id, &lease, until))? > 0)
}

pub(crate) fn release(tx: &Connection, id: &ProjectionId, token: LeaseToken) -> Result<Ending<()>> {
    let parameters = (id.name(), id.version(), &token.as_bytes()[..]);
    write(tx, sql::RELEASE_LEASE, parameters)?;
    Ok(Ending::Commit(()))
}

fn values<'a>(id: &'a ProjectionId, lease: &'a Lease, until: i64) -> impl Params + 'a {
    (id.name(), id.version(), lease.token().as_bytes().to_vec(), until)
}

fn write(tx: &Connection, text: &str, parameters: impl Params) -> Result<usize> {
    tx.prepare_cached(text)
        .and_then(|mut statement| statement.execute(parameters))
        .map_err(failed("store a lease"))
}
