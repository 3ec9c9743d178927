//! Pages of one stream.

use downlink::store::{Direction, Page, ReadStream, StreamSpan};
use downlink::{Cursor, Result, Version};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::error::failed;
use crate::page_builder::PageBuilder;
use crate::row::{column, count_to_sql, end_of_log, event, version_from_sql, version_to_sql};
use crate::sql::Statements;
use crate::statement::Value;

/// Reads a page of a stream with one statement.
pub(crate) async fn read(
    connection: &mut PgConnection,
    sql: &Statements,
    read: &ReadStream,
) -> Result<Page> {
    let (stream, after) = (read.stream_id(), read.after());
    let from = match (after, read.direction()) {
        (Some(version), _) => version_to_sql(version),
        (None, Direction::Forward) => 0,
        (None, Direction::Backward) => i64::MAX,
    };
    let values = vec![
        Value::Text(stream.as_str()),
        Value::Number(from),
        Value::Number(count_to_sql(PageBuilder::rows(read))),
        Value::Number(count_to_sql(PageBuilder::row_bytes(read))),
    ];
    let rows = sql.run(connection, sql.stream(read.direction()), values).await;
    let rows = rows.map_err(failed("read a stream"))?;
    let mut rows = rows.iter();
    let state = rows.next().map(state).transpose()?;
    let (head, version) = state.unwrap_or((Cursor::START, None));
    let mut page = PageBuilder::new(read);
    for row in rows {
        page.offer(event(row)?);
    }
    let Some(version) = version else {
        return Ok(Page { events: Vec::new(), scanned: head, head, more: false, stream: None });
    };
    let up_to = page.last.map_or(from, |(_, looked_at)| version_to_sql(looked_at));
    let more = match read.direction() {
        Direction::Forward => up_to < version_to_sql(version),
        Direction::Backward => up_to > version_to_sql(Version::FIRST),
    };
    let scanned = page.last.map(|(_, looked_at)| looked_at).or(after);
    Ok(Page {
        scanned: page.last.filter(|_| more).map_or(head, |(cursor, _)| cursor),
        events: page.events,
        head,
        more,
        stream: Some(StreamSpan { version, scanned }),
    })
}

/// The end of the log and of the stream, in the first row of a page.
fn state(row: &PgRow) -> Result<(Cursor, Option<Version>)> {
    let version = column::<Option<i64>>(row, 0)?.map(version_from_sql).transpose()?;
    Ok((end_of_log(row)?.unwrap_or(Cursor::START), version))
}
