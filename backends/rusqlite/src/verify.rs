use std::path::Path;
use std::sync::Arc;

use downlink::Result;
use downlink_sqlite_schema::{Verifier, absolute_path, sql};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::oneshot;

pub use downlink_sqlite_schema::{Problem, VerifyReport};

use crate::connection::{LazyConnection, Role};
use crate::error::{closed, failed};
use crate::file::File;
use crate::moved;
use crate::name_cache::NameCache;
use crate::postings::indexed_and_head;
use crate::row::{column, event_row};
use crate::snapshot::in_transaction;
use crate::thread::spawn;

/// Verifies a whole file; see [`RusqliteStore::verify`](crate::RusqliteStore::verify).
///
/// # Errors
///
/// As there, and those of [`Options::open`](crate::Options::open).
///
/// # Cancel safety
///
/// As there.
pub async fn verify(path: impl AsRef<Path>) -> Result<VerifyReport> {
    verify_file(Arc::new(File::existing(absolute_path(path.as_ref())?))).await
}

pub(crate) async fn verify_file(file: Arc<File>) -> Result<VerifyReport> {
    let (answer, answered) = oneshot::channel();
    spawn("downlink-verify", move || drop(answer.send(verify_here(file))))?;
    answered.await.map_err(|_| closed())?
}

/// The same on the calling thread.
pub(crate) fn verify_here(file: Arc<File>) -> Result<VerifyReport> {
    let mut lazy = LazyConnection::new(file, Role::Reader);
    let tx = lazy.current()?.tx;
    in_transaction(tx.raw(), &mut NameCache::default(), |snapshot| {
        let mut verifier = Verifier::new();
        let connection = snapshot.connection;
        each(connection, sql::INTEGRITY_CHECK, |row| {
            verifier.integrity(column(row, 0, ValueRef::as_str)?);
            Ok(())
        })?;
        each(connection, sql::ALL_STREAMS, |row| {
            verifier.stream(row.get(0)?, column(row, 1, ValueRef::as_str)?);
            Ok(())
        })?;
        each(connection, sql::ALL_TYPES, |row| {
            verifier.event_type(row.get(0)?, column(row, 1, ValueRef::as_str)?);
            Ok(())
        })?;
        each(connection, sql::ALL_TAGS, |row| {
            verifier.tag(row.get(0)?, column(row, 1, ValueRef::as_str)?);
            Ok(())
        })?;
        verifier.indexed(indexed_and_head(connection)?.0);
        verifier.moved(moved::all(connection)?);
        each(connection, sql::ALL_EVENTS, |row| {
            verifier.event(&event_row(row)?);
            Ok(())
        })?;
        each(connection, sql::ALL_STREAM_HEADS, |row| {
            verifier.stream_head(row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(())
        })?;
        each(connection, sql::ALL_POSTINGS, |row| {
            let positions = column(row, 3, ValueRef::as_blob)?;
            verifier.posting(row.get(0)?, row.get(1)?, row.get(2)?, positions);
            Ok(())
        })?;
        Ok(verifier.finish(&snapshot.head))
    })
}

fn each(
    connection: &Connection,
    text: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let doing = "verify the file";
    let mut statement = connection.prepare(text).map_err(failed(doing))?;
    let mut rows = statement.query(()).map_err(failed(doing))?;
    while let Some(row) = rows.next().map_err(failed(doing))? {
        visit(row).map_err(failed(doing))?;
    }
    Ok(())
}
