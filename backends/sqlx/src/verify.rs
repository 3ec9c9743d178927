use std::path::Path;
use std::sync::Arc;

use downlink::Result;
use downlink_sqlite_schema::{Verifier, absolute, many, packed, sql};
use futures::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub use downlink_sqlite_schema::{Problem, VerifyReport};

use crate::connection::{Role, Slot};
use crate::error::failed;
use crate::postings::indexed_and_head;
use crate::reader::closed;
use crate::row::{column, head_row, missing};
use crate::store::File;

/// Walks through a whole file; see [`SqlxStore::verify`](crate::SqlxStore::verify).
///
/// # Errors
///
/// As there, and those of [`Options::open`](crate::Options::open).
///
/// # Cancel safety
///
/// As there.
pub async fn verify(path: impl AsRef<Path>) -> Result<VerifyReport> {
    verify_file(Arc::new(File::existing(absolute(path.as_ref())?))).await
}

pub(crate) async fn verify_file(file: Arc<File>) -> Result<VerifyReport> {
    tokio::spawn(walk(file)).await.map_err(|_| closed())?
}

/// The same in this task.
pub(crate) async fn walk(file: Arc<File>) -> Result<VerifyReport> {
    let mut slot = Slot::new(file, Role::Reader);
    let report = report(slot.current().await?.connection).await;
    slot.close().await;
    report
}

/// Tells a verifier everything, in one snapshot.
async fn report(connection: &mut SqliteConnection) -> Result<VerifyReport> {
    let head = sqlx::query(many::BEGIN_READ)
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
    each(connection, many::ALL_EVENTS, |row| {
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
    mut tell: impl FnMut(&SqliteRow) -> Result<()>,
) -> Result<()> {
    let mut rows = sqlx::query(text).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed(DOING))? {
        tell(&row)?;
    }
    Ok(())
}
