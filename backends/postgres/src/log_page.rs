//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Error, Position, Result};
use sqlx::PgConnection;

use crate::error::failed;
use crate::page_builder::PageBuilder;
use crate::row::{column, count_to_sql, cursor, event, position_from_sql, position_to_sql};
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

/// The index of the first column of an event.
const EVENT: usize = 5;

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
    let mut state = State::default();
    let mut page = PageBuilder::new(read);
    for (index, row) in rows.iter().enumerate() {
        if index == 0 {
            let oldest = column::<Option<i64>>(row, 4)?.map(position_from_sql).transpose()?;
            state = State { head: cursor(row, 0)?, near: cursor(row, 2)?, oldest };
            state.verify(after)?;
        }
        if let Some(event) = event(row, EVENT)? {
            page.offer(event);
        }
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
