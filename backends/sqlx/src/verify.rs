use std::path::Path;
use std::sync::Arc;

use downlink::Result;
use downlink_sqlite_schema::{Verifier, absolute_path, batch_sql, packed, sql};
use futures::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub use downlink_sqlite_schema::{Problem, VerifyReport};

use crate::connection::{LazyConnection, Role};
use crate::error::{closed, failed};
use crate::file::File;
use crate::moved;
use crate::postings::indexed_and_head;
use crate::row::{column, head_row, missing};

/// Verifies a whole file; see [`SqlxStore::verify`](crate::SqlxStore::verify).
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
    tokio::spawn(verify_here(file)).await.map_err(|_| closed())?
}

/// The same in the calling task.
pub(crate) async fn verify_here(file: Arc<File>) -> Result<VerifyReport> {
    let mut lazy = LazyConnection::new(file, Role::Reader);
    let report = report(lazy.current().await?.connection).await;
    lazy.close().await;
    report
}

/// Passes all rows of one snapshot to a verifier.
async fn report(connection: &mut SqliteConnection) -> Result<VerifyReport> {
    let head = sqlx::query(batch_sql::BEGIN_READ)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(DOING))?
        .ok_or_else(|| missing("head"))?;
    let mut verifier = Verifier::new();
    each(connection, sql::INTEGRITY_CHECK, |row| {
        verifier.integrity(column(row, 0)?);
        Ok(())
    })
    .await?;
    each(connection, sql::ALL_STREAMS, |row| {
        verifier.stream(column(row, 0)?, column(row, 1)?);
        Ok(())
    })
    .await?;
    each(connection, sql::ALL_TYPES, |row| {
        verifier.event_type(column(row, 0)?, column(row, 1)?);
        Ok(())
    })
    .await?;
    each(connection, sql::ALL_TAGS, |row| {
        verifier.tag(column(row, 0)?, column(row, 1)?);
        Ok(())
    })
    .await?;
    verifier.indexed(indexed_and_head(connection).await?.0);
    verifier.moved(moved::all(connection).await?);
    each(connection, batch_sql::ALL_EVENTS, |row| {
        packed::unpack(column(row, 0)?).try_for_each(|event| {
            verifier.event(&event?);
            Ok(())
        })
    })
    .await?;
    each(connection, sql::ALL_STREAM_HEADS, |row| {
        verifier.stream_head(column(row, 0)?, column(row, 1)?, column(row, 2)?);
        Ok(())
    })
    .await?;
    each(connection, sql::ALL_POSTINGS, |row| {
        verifier.posting(column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?);
        Ok(())
    })
    .await?;
    Ok(verifier.finish(&head_row(&head)?))
}

const DOING: &str = "verify the file";

async fn each(
    connection: &mut SqliteConnection,
    text: &'static str,
    mut visit: impl FnMut(&SqliteRow) -> Result<()>,
) -> Result<()> {
    let mut rows = sqlx::query(text).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed(DOING))? {
        visit(&row)?;
    }
    Ok(())
}
