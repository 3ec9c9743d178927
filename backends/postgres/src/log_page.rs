//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Error, EventId, Position, Result};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::error::failed;
use crate::page_builder::PageBuilder;
use crate::row::{column, count_to_sql, end_of_log, event, position_from_sql, position_to_sql};
use crate::sql::Statements;
use crate::statement::Value;

/// The state of the log in the snapshot of a page.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    head: Option<Cursor>,
    /// The event at the mark, or else the nearest one on the side that is not read.
    near: Option<Cursor>,
    oldest: Option<Position>,
}

/// Reads a page of the log with one statement.
pub(crate) async fn read(
    connection: &mut PgConnection,
    sql: &Statements,
    read: &ReadLog,
) -> Result<Page> {
    let after = read.after();
    let from = match (after, read.direction()) {
        (Some(mark), _) => mark.position(),
        (None, Direction::Forward) => Position::ZERO,
        (None, Direction::Backward) => Position::MAX,
    };
    let values = vec![
        Value::Number(position_to_sql(from)),
        Value::Number(count_to_sql(PageBuilder::rows(read))),
        Value::Number(count_to_sql(PageBuilder::row_bytes(read))),
    ];
    let rows = sql.run(connection, sql.log(read.direction()), values).await;
    let rows = rows.map_err(failed("read events"))?;
    let mut rows = rows.iter();
    let state = rows.next().map(State::read).transpose()?.unwrap_or_default();
    state.verify(after)?;
    let mut page = PageBuilder::new(read);
    for row in rows {
        page.offer(event(row)?);
    }
    let looked_at = page.last.map(|(last, _)| last);
    let up_to = looked_at.map_or(from, Cursor::position);
    let head = state.head.unwrap_or(Cursor::START);
    let more = match read.direction() {
        Direction::Forward => up_to < head.position(),
        Direction::Backward => state.oldest.is_some_and(|oldest| oldest < up_to),
    };
    let scanned = looked_at.or(state.near).unwrap_or(Cursor::START);
    Ok(Page { events: page.events, scanned, head, more, stream: None })
}

impl State {
    /// The state in the first row of a page.
    fn read(row: &PgRow) -> Result<Self> {
        let near = match column::<Option<i64>>(row, 3)? {
            Some(position) => {
                let id = EventId::from_bytes(column::<[u8; 16]>(row, 8)?);
                Some(Cursor::of(position_from_sql(position)?, id))
            }
            None => None,
        };
        let oldest = column::<Option<[u8; 8]>>(row, 9)?.map(i64::from_be_bytes);
        let oldest = oldest.map(position_from_sql).transpose()?;
        Ok(Self { head: end_of_log(row)?, near, oldest })
    }

    /// Refuses a mark that does not belong to this log.
    fn verify(&self, mark: Option<Mark>) -> Result<()> {
        let Some(mark) = mark else { return Ok(()) };
        let head = self.head.unwrap_or(Cursor::START);
        if mark.position() > head.position() {
            return Err(Error::cursor_ahead(mark.position(), head));
        }
        match mark {
            Mark::Cursor(cursor) if cursor != Cursor::START && self.near != Some(cursor) => {
                Err(Error::history_changed(cursor))
            }
            _ => Ok(()),
        }
    }
}
