use downlink::store::Mark;
use downlink::{Cursor, Error, Event, Position, Result};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{HeadRow, cursor_from_sql, id_from_sql, sql};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params};

use crate::error::failed;
use crate::name_cache::{NameCache, id_at};
use crate::row::{event_row, head_row};
use crate::statement::execute;

/// One state of the log, in an open transaction.
pub(crate) struct Snapshot<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) head: HeadRow,
    pub(crate) names: &'a mut NameCache,
}

/// An event, the key of its stream, and the position of the stream's event before it.
pub(crate) struct Linked {
    pub(crate) event: Event,
    pub(crate) stream: i64,
    pub(crate) prev: i64,
}

impl<'a> Snapshot<'a> {
    /// The snapshot of the transaction that is open on this connection.
    pub(crate) fn of(connection: &'a Connection, names: &'a mut NameCache) -> Result<Self> {
        let head = head(connection)?;
        names.check(connection, &head)?;
        Ok(Self { connection, head, names })
    }

    /// Refuses a mark that does not belong to this log.
    pub(crate) fn verify(&self, mark: Mark) -> Result<()> {
        if mark.position() > self.head.position {
            return Err(Error::cursor_ahead(mark.position(), self.head.cursor()));
        }
        let Mark::Cursor(cursor) = mark else { return Ok(()) };
        if cursor == Cursor::START || cursor == self.head.cursor() {
            return Ok(());
        }
        match id_at(self.connection, cursor.position())? {
            Some(id) if cursor.matches(id_from_sql(&id)?) => Ok(()),
            _ => Err(Error::history_changed(cursor)),
        }
    }

    /// The newest event at or below a position.
    pub(crate) fn newest_up_to(&self, position: Position) -> Result<Option<Cursor>> {
        if position >= self.head.position {
            return Ok(self.head.id.map(|_| self.head.cursor()));
        }
        self.cursor(sql::NEWEST_UP_TO, position)
    }

    /// The oldest event at or above a position.
    pub(crate) fn oldest_from(&self, position: Position) -> Result<Option<Cursor>> {
        self.cursor(sql::OLDEST_FROM, position)
    }

    fn cursor(&self, text: &str, position: Position) -> Result<Option<Cursor>> {
        let found = self.one(text, [position_to_sql(position)], |row| {
            Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        found.map(|(position, id)| cursor_from_sql(position, &id)).transpose()
    }

    /// A prepared statement, from the cache of the connection.
    pub(crate) fn prepare(&self, text: &str) -> Result<CachedStatement<'a>> {
        self.connection.prepare_cached(text).map_err(failed("read"))
    }

    /// The event at a position; `statement` is [`EVENT_AT`](sql::EVENT_AT).
    pub(crate) fn event_at(
        &mut self,
        statement: &mut CachedStatement<'_>,
        position: i64,
    ) -> Result<Option<Linked>> {
        let doing = "read an event";
        let mut rows = statement.query([position]).map_err(failed(doing))?;
        let Some(row) = rows.next().map_err(failed(doing))? else { return Ok(None) };
        let row = event_row(row).map_err(failed(doing))?;
        let event = self.names.event(self.connection, &row)?;
        Ok(Some(Linked { event, stream: row.stream, prev: row.prev }))
    }

    /// The first row of a statement.
    pub(crate) fn one<T>(
        &self,
        text: &str,
        parameters: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.query_row(parameters, read).optional())
            .map_err(failed("read"))
    }
}

/// Runs `work` in a transaction that reads, and ends the transaction in any case.
pub(crate) fn in_transaction<T>(
    connection: &Connection,
    names: &mut NameCache,
    work: impl FnOnce(&mut Snapshot<'_>) -> Result<T>,
) -> Result<T> {
    let doing = "read a snapshot";
    execute(connection, sql::BEGIN_READ).map_err(failed(doing))?;
    let result = Snapshot::of(connection, names).and_then(|mut snapshot| work(&mut snapshot));
    let ended = execute(connection, sql::COMMIT).map_err(failed(doing));
    result.and_then(|value| ended.map(|()| value))
}

/// The end of the log.
pub(crate) fn head(connection: &Connection) -> Result<HeadRow> {
    connection
        .prepare_cached(sql::HEAD)
        .and_then(|mut statement| statement.query_row((), head_row))
        .map_err(failed("read the head"))?
}
