use std::path::Path;

use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, Projection};
use downlink_rusqlite::Tx;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};

use super::happened::Happened;
use super::model::{Model, Value};
use super::{Answer, Wanted};

/// A model that rusqlite writes and reads.
#[derive(Debug)]
pub(crate) struct ThroughRusqlite(pub(crate) &'static Model);

#[async_trait]
impl Projection for ThroughRusqlite {
    type Tx = Tx;

    fn name(&self) -> &str {
        self.0.name
    }

    fn version(&self) -> u32 {
        self.0.version
    }

    fn filter(&self) -> Filter {
        Model::filter()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        for statement in self.0.prepare {
            tx.execute(statement, [])?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        for event in events {
            let Some(happened) = Happened::read(event)? else { continue };
            for write in (self.0.writes)(&happened) {
                let values = params_from_iter(write.values.into_iter().map(SqlValue::from));
                tx.prepare_cached(write.sql)?.execute(values)?;
            }
        }
        Ok(())
    }
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Number(number) => Self::Integer(number),
            Value::Nothing => Self::Null,
        }
    }
}

/// Asks the file that is at `path` now, which may have been replaced.
pub(crate) fn ask(path: &Path, model: &Model, wanted: &Wanted) -> Result<Option<Answer>, BoxError> {
    // To read a file of other processes, SQLite writes beside it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    let row = connection
        .query_row(model.query, (&wanted.airport, &wanted.airline), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    row.map(|(cursor, rows)| Answer::new(&cursor, rows)).transpose()
}
