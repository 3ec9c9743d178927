use downlink::Result;
use downlink::store::Moved;

use crate::number::position_from_sql;

/// A row of [`ALL_MOVED`](crate::sql::ALL_MOVED).
///
/// # Errors
///
/// [`Corrupt`](downlink::ErrorKind::Corrupt) if a position is invalid.
pub fn moved_from_sql(source: String, positions: [i64; 3]) -> Result<Moved> {
    let [old_from, old_to, new_from] = positions;
    Ok(Moved {
        source,
        old_from: position_from_sql(old_from)?,
        old_to: position_from_sql(old_to)?,
        new_from: position_from_sql(new_from)?,
    })
}
