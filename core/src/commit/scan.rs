use super::{Boundary, BoundaryFact, OpenTransaction};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::filter::Filter;
use crate::store::{Append, Check, EventStore, Read, ReadLog};

/// How far a boundary was scanned before its append was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// It was not scanned.
    NotYet,
    /// No event up to here matches.
    ClearUpTo(Cursor),
    /// This is the first matching event.
    Found(Cursor),
}

/// Scans the boundaries of an append before it is queued, so that its
/// transaction has to scan only later events. Returns one scan for each
/// boundary, in order.
pub(super) async fn scan(append: &Append, store: &dyn EventStore) -> Result<Vec<Scan>> {
    let mut scans = Vec::new();
    for check in &append.checks {
        if let Check::NothingAfter(filter, after) = check {
            scans.push(scan_boundary(filter, *after, store).await?);
        }
    }
    Ok(scans)
}

async fn scan_boundary(filter: &Filter, mut after: Cursor, store: &dyn EventStore) -> Result<Scan> {
    loop {
        let page = match store.read_log(first_match(filter, after)).await {
            Ok(page) => page,
            // The transaction scans again and returns the error.
            Err(error) if error.is_other_history() => return Ok(Scan::NotYet),
            Err(error) => return Err(error),
        };
        if let Some(event) = page.events.first() {
            return Ok(Scan::Found(event.cursor()));
        }
        if !page.more {
            return Ok(Scan::ClearUpTo(page.scanned));
        }
        after = page.scanned;
    }
}

/// Checks a boundary inside the transaction. An earlier scan is used if its
/// cursor still belongs to an event of this log: then everything below it is
/// unchanged, too.
pub(super) async fn answer<T: OpenTransaction>(
    tx: &mut T,
    boundary: &Boundary<'_>,
    scan: Scan,
) -> Result<BoundaryFact> {
    let after = match scan {
        Scan::Found(cursor) if is_current(tx, cursor).await? => {
            return Ok(BoundaryFact::Found(cursor));
        }
        Scan::ClearUpTo(cursor) if is_current(tx, cursor).await? => cursor,
        _ => boundary.after,
    };
    let mut read = first_match(boundary.filter, after);
    loop {
        let page = match tx.read_log(read.clone()).await {
            Ok(page) => page,
            Err(error) if error.is_other_history() => return Ok(BoundaryFact::OtherHistory(error)),
            Err(error) => return Err(error),
        };
        if let Some(event) = page.events.first() {
            return Ok(BoundaryFact::Found(event.cursor()));
        }
        if !page.more {
            return Ok(BoundaryFact::Clear);
        }
        read = read.with_after(page.scanned);
    }
}

async fn is_current<T: OpenTransaction>(tx: &mut T, cursor: Cursor) -> Result<bool> {
    match tx.read_log(Read::log().with_after(cursor).with_limit(0)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_other_history() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the first matching event after a cursor, and nothing else.
fn first_match(filter: &Filter, after: Cursor) -> ReadLog {
    Read::log().with_after(after).with_filter(filter.clone()).with_limit(1)
}
