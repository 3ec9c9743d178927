use downlink::store::Mark;
use downlink::{Cursor, Error, Event, Position, Result};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{EventRow, HeadRow, batch_sql, cursor_from_sql, id_from_sql, sql};
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::error::failed;
use crate::name_cache::NameCache;
use crate::row::{column, event_rows, head_row, missing};
use crate::statement::Values;

/// One state of the log, in an open transaction.
pub(crate) struct Snapshot<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
    names: &'a mut NameCache,
    pub(crate) head: HeadRow,
    mark: Option<Mark>,
    /// The id of the event at the mark.
    marked: Option<Vec<u8>>,
}

/// An event and the key of its stream.
pub(crate) struct Linked {
    pub(crate) event: Event,
    pub(crate) stream: i64,
}

/// The events that a statement returned within the bounds.
pub(crate) struct Fetched {
    pub(crate) events: Vec<Linked>,
    /// Whether the statement has no more rows.
    pub(crate) is_all: bool,
}

/// How much to fetch at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl<'a> Snapshot<'a> {
    /// A snapshot of the log for a read after `mark`. `text` is one of the statements that end
    /// with [`STATE`](downlink_sqlite_schema::batch_sql::STATE).
    pub(crate) async fn of(
        connection: &'a mut SqliteConnection,
        names: &'a mut NameCache,
        text: &'static str,
        mark: Option<Mark>,
    ) -> Result<Self> {
        let row = sqlx::query(text)
            .bind(names.seen().map(position_to_sql))
            .bind(mark.map(|mark| position_to_sql(mark.position())))
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("read the head"))?
            .ok_or_else(|| missing("head"))?;
        let head = head_row(&row)?;
        names.check(&head, column(&row, 4)?);
        Ok(Self { connection, names, head, mark, marked: column(&row, 5)? })
    }

    /// Refuses a mark that does not belong to this log.
    pub(crate) fn verify(&self) -> Result<()> {
        let Some(mark) = self.mark else { return Ok(()) };
        if mark.position() > self.head.position {
            return Err(Error::cursor_ahead(mark.position(), self.head.cursor()));
        }
        let Mark::Cursor(cursor) = mark else { return Ok(()) };
        if cursor == Cursor::START || cursor == self.head.cursor() {
            return Ok(());
        }
        match &self.marked {
            Some(id) if cursor.matches(id_from_sql(id)?) => Ok(()),
            _ => Err(Error::history_changed(cursor)),
        }
    }

    /// The newest event at or below a position.
    pub(crate) async fn newest_up_to(&mut self, position: Position) -> Result<Option<Cursor>> {
        if position >= self.head.position {
            return Ok(self.head.id.map(|_| self.head.cursor()));
        }
        self.cursor(sql::NEWEST_UP_TO, position).await
    }

    /// The oldest event at or above a position.
    pub(crate) async fn oldest_from(&mut self, position: Position) -> Result<Option<Cursor>> {
        self.cursor(sql::OLDEST_FROM, position).await
    }

    async fn cursor(&mut self, text: &'static str, position: Position) -> Result<Option<Cursor>> {
        let mut values = Values::default();
        values.push(position_to_sql(position));
        let row = self.one(text, values).await?;
        row.map(|row| cursor_from_sql(column(&row, 0)?, column(&row, 1)?)).transpose()
    }

    /// The first row of a statement.
    pub(crate) async fn one(
        &mut self,
        text: &'static str,
        values: Values,
    ) -> Result<Option<SqliteRow>> {
        sqlx::query_with(text, SqliteArguments::from(values))
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed("read"))
    }

    /// All rows of a statement.
    pub(crate) async fn rows(
        &mut self,
        text: &'static str,
        values: Values,
    ) -> Result<Vec<SqliteRow>> {
        sqlx::query_with(text, SqliteArguments::from(values))
            .fetch_all(&mut *self.connection)
            .await
            .map_err(failed("read"))
    }

    /// The events of a statement whose rows have packed events, within the bounds, but at
    /// least one.
    pub(crate) async fn events(
        &mut self,
        text: String,
        values: Values,
        bounds: Bounds,
    ) -> Result<Fetched> {
        // The text depends only on the shape of a filter; its values are parameters.
        let query = sqlx::query_with(AssertSqlSafe(text), SqliteArguments::from(values));
        let mut stream = query.fetch(&mut *self.connection);
        let (mut rows, mut bytes, mut is_all) = (Vec::new(), 0, false);
        while bytes <= bounds.bytes && rows.len() < bounds.events {
            let Some(row) = stream.try_next().await.map_err(failed("read events"))? else {
                is_all = true;
                break;
            };
            let size = column::<Option<&[u8]>>(&row, 0)?.map(<[u8]>::len);
            if let Some(size) = size {
                bytes += size;
                rows.push(row);
            }
        }
        drop(stream);
        let rows = event_rows(&rows)?;
        let events = self.names.events(self.connection, &rows).await?;
        let linked = |(event, row): (Event, &EventRow<'_>)| Linked { event, stream: row.stream };
        Ok(Fetched { events: events.into_iter().zip(&rows).map(linked).collect(), is_all })
    }
}

/// The end of the log.
pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<HeadRow> {
    let row =
        sqlx::query(sql::HEAD).fetch_optional(connection).await.map_err(failed("read the head"))?;
    head_row(&row.ok_or_else(|| missing("head"))?)
}

/// The shape of the tables of the log: a text that changes if application code changes them in
/// a way that no hook reports.
pub(crate) async fn log_shape(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(batch_sql::LOG_SHAPE).fetch_one(connection).await
}
