use downlink::commit::{Facts, LogHead, Needs, OpenTransaction, Plan};
use downlink::store::{Page, ReadLog};
use downlink::{Error, ErrorKind, Position, Result};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::error::failed;
use crate::log_page;
use crate::row::{
    Columns, column, cursor, event, id_to_sql, position_from_sql, position_to_sql, time_from_sql,
    version_from_sql,
};
use crate::sql::{Statements, Text};
use crate::statement::Value;

/// An open transaction that holds the lock of the log, on the store's own connection or on one of
/// the application.
pub(crate) struct LogTx<'t> {
    pub(crate) connection: &'t mut PgConnection,
    pub(crate) sql: &'t Statements,
}

impl OpenTransaction for LogTx<'_> {
    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        let streams: Vec<_> = needs.streams.iter().map(|stream| stream.as_str()).collect();
        let ids: Vec<_> = needs.ids.iter().copied().map(id_to_sql).collect();
        let values = vec![Value::Texts(streams), Value::Ids(ids)];
        let rows = self.sql.run(self.connection, &self.sql.facts, values).await;
        let mut facts = Facts::default();
        for row in rows.map_err(failed("look up streams and events"))? {
            if column::<Option<i64>>(&row, 0)?.is_some() {
                let event = event(&row)?;
                facts.events.insert(event.id(), event);
            } else {
                let stream = column::<String>(&row, 2)?.try_into()?;
                facts.streams.insert(stream, version_from_sql(column(&row, 3)?)?);
            }
        }
        Ok(facts)
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        log_page::read(self.connection, self.sql, &read).await
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.store(&self.sql.insert, plan).await.map(drop)
    }
}

impl LogTx<'_> {
    /// As [`insert`](OpenTransaction::insert), unless an id is stored already: then `false`.
    pub(crate) async fn insert_new(&mut self, plan: &Plan) -> Result<bool> {
        column(&self.store(&self.sql.insert_new, plan).await?, 1)
    }

    async fn store(&mut self, text: &Text, plan: &Plan) -> Result<PgRow> {
        let columns = Columns::of(&plan.rows);
        let last = plan.rows.last().map_or(Position::ZERO, downlink::Event::position);
        let query = sqlx::query(text.sql())
            .bind(columns.positions)
            .bind(columns.ids)
            .bind(columns.streams)
            .bind(columns.versions)
            .bind(columns.types)
            .bind(columns.times)
            .bind(columns.content_types)
            .bind(columns.tags)
            .bind(columns.metadata)
            .bind(columns.payloads)
            .bind(position_to_sql(last))
            .persistent(self.sql.are_prepared());
        query.fetch_one(&mut *self.connection).await.map_err(failed("store events"))
    }
}

/// The end of the log, from the answer to the statements that take the lock.
pub(crate) fn log_head(rows: &[PgRow]) -> Result<LogHead> {
    let [_lock, row] = rows else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the row that serves as the lock of the log is missing",
        ));
    };
    let given = position_from_sql(column(row, 0)?)?;
    // Until its first use, a sequence holds the first value that it will return.
    let free = if column(row, 1)? { given.next() } else { given };
    let Some(cursor) = cursor(row, 2)? else {
        return Ok(LogHead { next: free, ..LogHead::EMPTY });
    };
    let head = LogHead::after(cursor, time_from_sql(column(row, 4)?)?);
    Ok(LogHead { next: free.max(head.next), ..head })
}
