//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Error, EventId, Position, Result};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::condition::Condition;
use crate::error::failed;
use crate::page_builder::PageBuilder;
use crate::row::{column, count_to_sql, end_of_log, event, position_from_sql, position_to_sql};
use crate::sql::Statements;
use crate::statement::Value;

/// Over how many positions one page with a filter looks. If few of their events match, the page has few events.
const LOOKED_AT: i64 = 16_384;

/// The state of the log in the snapshot of a page.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    head: Option<Cursor>,
    /// The event at the mark, or else the nearest one on the side that is not read.
    near: Option<Cursor>,
    oldest: Option<Position>,
    /// The last event that was compared with the filter.
    looked_at: Option<Cursor>,
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
    let rows = rows(connection, sql, read, from).await.map_err(failed("read events"))?;
    let mut rows = rows.iter();
    let state = rows.next().map(State::read).transpose()?.unwrap_or_default();
    state.verify(after)?;
    let mut page = PageBuilder::new(read);
    for row in rows {
        page.offer(event(row)?);
    }
    let last = page.last.map(|(last, _)| last);
    let looked_at = if page.is_full() { last } else { state.looked_at.or(last) };
    let up_to = looked_at.map_or(from, Cursor::position);
    let head = state.head.unwrap_or(Cursor::START);
    let more = match read.direction() {
        Direction::Forward => up_to < head.position(),
        Direction::Backward => state.oldest.is_some_and(|oldest| oldest < up_to),
    };
    let scanned = looked_at.or(state.near).unwrap_or(Cursor::START);
    Ok(Page { events: page.events, scanned, head, more, stream: None })
}

/// The state of the log, and events after it: all, or those that match the filter.
async fn rows(
    connection: &mut PgConnection,
    sql: &Statements,
    read: &ReadLog,
    from: Position,
) -> sqlx::Result<Vec<PgRow>> {
    let mut values = vec![
        Value::Number(position_to_sql(from)),
        Value::Number(count_to_sql(read.limit())),
        Value::Number(count_to_sql(read.max_bytes().max(1))),
    ];
    if read.filter().is_everything() || read.limit() == 0 {
        return sql.run(connection, sql.log(read.direction()), values).await;
    }
    values.push(Value::Number(LOOKED_AT - 1));
    let condition = Condition::of(read.filter(), values);
    let text = sql.filtered_log(read.direction(), &condition.text);
    sql.run(connection, &text, condition.values).await
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
        let positions = column::<Option<Vec<u8>>>(row, 9)?.unwrap_or_default();
        let (oldest, positions) = take::<8>(&positions);
        let (looked_at, positions) = take::<8>(positions);
        let (id, _) = take::<16>(positions);
        let position = |bytes| position_from_sql(i64::from_be_bytes(bytes));
        let looked_at = looked_at.map(position).transpose()?;
        let looked_at = looked_at.zip(id).map(|(at, id)| Cursor::of(at, EventId::from_bytes(id)));
        let oldest = oldest.map(position).transpose()?;
        Ok(Self { head: end_of_log(row)?, near, oldest, looked_at })
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

/// The first bytes, if there are as many, and the rest.
fn take<const N: usize>(bytes: &[u8]) -> (Option<[u8; N]>, &[u8]) {
    match bytes.split_first_chunk() {
        Some((first, rest)) => (Some(*first), rest),
        None => (None, bytes),
    }
}
