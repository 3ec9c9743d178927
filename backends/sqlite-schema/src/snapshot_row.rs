use bytes::Bytes;
use downlink::decider::Snapshot;
use downlink::event::Timestamp;
use downlink::{Error, ErrorKind, Result};

use crate::event_row::id_from_sql;
use crate::number::{from_sql, version_from_sql};

/// A snapshot from the columns of [`SNAPSHOT`](crate::sql::SNAPSHOT).
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if a value is invalid.
pub fn snapshot_from_sql(
    schema: i64,
    version: i64,
    event: &[u8],
    recorded_at: i64,
    state: impl Into<Bytes>,
) -> Result<Snapshot> {
    let schema = u32::try_from(schema).map_err(|error| {
        let message = format!("the file has {schema} in the place of a schema version");
        Error::with_source(ErrorKind::Corrupt, message, error)
    })?;
    let (version, event) = (version_from_sql(version)?, id_from_sql(event)?);
    let recorded_at = Timestamp::from_micros(from_sql(recorded_at)?);
    Ok(Snapshot { schema, version, event, recorded_at, state: state.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_columns_are_corrupt() {
        let id = [7; 16];
        let read = |schema, version, event: &[u8], time| {
            snapshot_from_sql(schema, version, event, time, "{}").map_err(|error| error.kind())
        };
        assert_eq!(read(1, 2, &id, 3).unwrap().version.get(), 2);
        for (schema, version, event, time) in [
            (-1, 2, &id[..], 3),
            (1 << 32, 2, &id, 3),
            (1, 0, &id, 3),
            (1, 2, &id[1..], 3),
            (1, 2, &id, -1),
        ] {
            assert_eq!(read(schema, version, event, time), Err(ErrorKind::Corrupt));
        }
    }
}
