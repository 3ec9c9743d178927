use downlink::Result;
use downlink::event::Timestamp;
use downlink::projection::DeadLetter;

use crate::event_row::{cursor_from_sql, id_from_sql};
use crate::number::from_sql;

/// The prefix of the names of all tables of the log, which no other table may have.
pub const TABLE_PREFIX: &str = "downlink_";

/// Whether a table of this name belongs to the log, so that no projection may write to it.
#[must_use]
pub fn is_log_table(name: &str) -> bool {
    name.get(..TABLE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(TABLE_PREFIX))
}

/// A dead letter from the columns of [`DEAD_LETTERS`](crate::sql::DEAD_LETTERS).
///
/// # Errors
///
/// [`Corrupt`](downlink::ErrorKind::Corrupt) if a value is invalid.
pub fn dead_letter_from_sql(
    position: i64,
    id: &[u8],
    error: String,
    skipped_at: i64,
) -> Result<DeadLetter> {
    Ok(DeadLetter {
        cursor: cursor_from_sql(position, id)?,
        id: id_from_sql(id)?,
        error,
        skipped_at: Timestamp::from_micros(from_sql(skipped_at)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_log_has_the_prefix() {
        let made = crate::ddl::CREATE.split("CREATE TABLE ").skip(1);
        let names: Vec<_> = made.filter_map(|table| table.split_whitespace().next()).collect();
        assert_eq!(names.len(), 14);
        assert!(names.iter().all(|name| is_log_table(name)), "{names:?}");
        assert!(is_log_table("Downlink_Events") && !is_log_table("board"));
        assert!(!is_log_table("downlink") && !is_log_table("events") && !is_log_table("é"));
    }
}
