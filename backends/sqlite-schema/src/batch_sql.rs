//! Statements on many rows at once, for drivers in which each statement is expensive.
//!
//! A lookup has one parameter, a list in JSON. A write has a parameter for each value, and
//! a number of rows from [`CHUNKS`], so that the statements stay prepared.

use std::fmt::Write;
use std::sync::LazyLock;

use crate::packed::packed;

macro_rules! state {
    () => {
        "SELECT position, id, recorded_at, generation, (SELECT id FROM downlink_events WHERE position = ?1), \
         (SELECT id FROM downlink_events WHERE position = ?2) FROM downlink_head"
    };
}

/// How many positions one value of packed events covers.
pub const BLOCK: u64 = 16;

/// Begins a transaction that reads, and selects [`STATE`].
pub const BEGIN_READ: &str = concat!("BEGIN DEFERRED; ", state!());
/// Begins a transaction that appends, and selects [`STATE`].
pub const BEGIN_WRITE: &str = concat!("BEGIN IMMEDIATE; ", state!());
/// The columns of [`HEAD`](crate::HEAD), and the ids of the events at the
/// positions ?1 and ?2.
pub const STATE: &str = state!();

/// The end of each of the streams with these names: name, key, version and position, of
/// which the last two may be NULL as in [`STREAM_HEAD`](crate::sql::STREAM_HEAD). Further
/// rows, with NULL as the name, have the jumps for
/// [`Chain::add_jump`](crate::links::Chain::add_jump) that one more event needs, newest
/// first.
pub const STREAM_TAILS: &str = "WITH RECURSIVE tail (name, stream, version, position, target) AS ( \
         SELECT s.name, s.key, e.version, e.position, e.version & (e.version + 1) \
         FROM json_each(?1) j CROSS JOIN downlink_streams s ON s.name = j.value \
         LEFT JOIN downlink_stream_heads h ON h.stream = s.key \
         LEFT JOIN downlink_events e ON e.position = h.position AND e.stream = s.key AND e.version = h.version \
         UNION ALL \
         SELECT NULL, l.stream, l.version & (l.version - 1), e.jump, l.target \
         FROM tail l JOIN downlink_events e ON e.position = l.position AND e.stream = l.stream AND e.version = l.version \
         WHERE l.target > 0 AND l.version > l.target \
     ) SELECT name, stream, version, position FROM tail";
/// Key and name of the streams with these keys.
pub const STREAM_NAMES: &str =
    "SELECT s.key, s.name FROM json_each(?1) j CROSS JOIN downlink_streams s ON s.key = j.value";
/// Key and name of the types with these keys.
pub const TYPE_NAMES: &str =
    "SELECT t.key, t.name FROM json_each(?1) j CROSS JOIN downlink_types t ON t.key = j.value";
/// Key and name of the types with these names.
pub const TYPE_KEYS: &str =
    "SELECT t.key, t.name FROM json_each(?1) j CROSS JOIN downlink_types t ON t.name = j.value";
/// Adds streams; returns key and name of each.
pub const ADD_STREAMS: &str =
    "INSERT INTO downlink_streams (name) SELECT value FROM json_each(?1) RETURNING key, name";
/// Adds types; returns key and name of each.
pub const ADD_TYPES: &str =
    "INSERT INTO downlink_types (name) SELECT value FROM json_each(?1) RETURNING key, name";

/// The [packed](crate::packed) events with these ids, which are in hexadecimal.
pub const EVENTS_WITH_IDS: &str = concat!(
    "SELECT ",
    packed!(),
    " FROM json_each(?1) j CROSS JOIN downlink_events e ON e.id = unhex(j.value)"
);
/// The [packed](crate::packed) events at these positions, in the order of the
/// list.
pub const EVENTS_AT: &str = concat!(
    "SELECT ",
    packed!(),
    " FROM json_each(?1) j CROSS JOIN downlink_events e ON e.position = j.value"
);

/// Positions of a stream from its version ?2 backwards, at most ?3. The event at ?1 is of
/// the stream and not earlier.
pub const WALK_FROM: &str = "WITH RECURSIVE seek (position, stream, version, prev, jump) AS ( \
         SELECT position, stream, version, prev, jump FROM downlink_events WHERE position = ?1 \
         UNION ALL \
         SELECT e.position, e.stream, e.version, e.prev, e.jump FROM seek k JOIN downlink_events e \
         ON e.position = iif((k.version & (k.version - 1)) >= ?2, k.jump, k.prev) AND e.stream = k.stream \
         AND e.version = iif((k.version & (k.version - 1)) >= ?2, k.version & (k.version - 1), k.version - 1) \
         WHERE k.version > ?2 AND e.position < k.position \
     ), walk (position, stream, version, prev, left) AS ( \
         SELECT position, stream, version, prev, ?3 FROM seek WHERE version = ?2 AND ?3 > 0 \
         UNION ALL \
         SELECT e.position, e.stream, e.version, e.prev, w.left - 1 FROM walk w JOIN downlink_events e \
         ON e.position = w.prev AND e.stream = w.stream AND e.version = w.version - 1 \
         WHERE w.left > 1 AND w.prev < w.position \
     ) SELECT position FROM walk";

/// The events that satisfy `condition` between the positions of the first and the second
/// parameter, both included, in reading order. Each row has the packed events of the next
/// [`BLOCK`] positions, or NULL. The parameters of the condition come third and later.
#[must_use]
pub fn event_blocks(condition: &str, newest_first: bool) -> String {
    let rest = BLOCK - 1;
    let (next, is_in, span, order) = if newest_first {
        (format!("at - {BLOCK}"), ">=", format!("max(at - {rest}, last) AND at"), " DESC")
    } else {
        (format!("at + {BLOCK}"), "<=", format!("at AND min(at + {rest}, last)"), "")
    };
    format!(
        "WITH RECURSIVE block (at, last) AS (VALUES (?, ?) UNION ALL SELECT {next}, last FROM block WHERE {next} {is_in} last) \
         SELECT (SELECT CAST(group_concat(packed, '') AS BLOB) FROM ( \
             SELECT {} AS packed FROM downlink_events e WHERE e.position BETWEEN {span} AND {condition} ORDER BY e.position{order} \
         )) FROM block",
        packed!()
    )
}

/// Every event, packed.
pub const ALL_EVENTS: &str =
    concat!("SELECT ", packed!(), " FROM downlink_events e ORDER BY e.position");

macro_rules! settings {
    () => {
        "concat_ws(',', (SELECT count(*) FROM pragma_database_list WHERE name <> 'temp'), \
         (SELECT query_only FROM pragma_query_only), (SELECT locking_mode FROM pragma_locking_mode), \
         (SELECT synchronous FROM pragma_synchronous), (SELECT timeout FROM pragma_busy_timeout), \
         (SELECT max_page_count FROM pragma_max_page_count), (SELECT cache_size FROM pragma_cache_size), \
         (SELECT foreign_keys FROM pragma_foreign_keys), \
         (SELECT recursive_triggers FROM pragma_recursive_triggers), \
         (SELECT writable_schema FROM pragma_writable_schema), \
         (SELECT ignore_check_constraints FROM pragma_ignore_check_constraints), \
         (SELECT reverse_unordered_selects FROM pragma_reverse_unordered_selects))"
    };
}

/// The settings of a connection as one text, which changes if a persistent pragma is set
/// or another database is attached.
pub const SETTINGS: &str = concat!("SELECT ", settings!());

/// The shape of the tables of the log and the settings of the connection as one text,
/// which changes if a table, an index or a trigger of the log is changed, if a table is
/// emptied, or if [`SETTINGS`] change. Costs the same however large the tables are.
pub const LOG_SHAPE: &str = concat!(
    "SELECT concat_ws(';', ",
    settings!(),
    ", \
     (SELECT group_concat(concat(type, name, sql)) FROM (SELECT * FROM sqlite_schema \
      WHERE tbl_name LIKE 'downlink\\_%' ESCAPE '\\' ORDER BY name)), \
     (SELECT max(position) FROM downlink_events), (SELECT max(key) FROM downlink_streams), \
     (SELECT max(key) FROM downlink_types), (SELECT max(stream) FROM downlink_stream_heads), \
     EXISTS (SELECT 1 FROM downlink_head), (SELECT max(key) FROM downlink_projections), \
     EXISTS (SELECT 1 FROM downlink_dead_letters), EXISTS (SELECT 1 FROM downlink_meta), \
     EXISTS (SELECT 1 FROM downlink_leases), EXISTS (SELECT 1 FROM downlink_snapshots), \
     EXISTS (SELECT 1 FROM downlink_moved), \
     (SELECT max(key) FROM downlink_tags), (SELECT position FROM downlink_indexed), \
     (SELECT max(segment) FROM downlink_postings WHERE kind = 1 AND key = 1))"
);

/// Whether a connection for queries still has its settings and no other database: 1 or 0.
pub const IS_FOR_QUERIES: &str = "SELECT (SELECT query_only FROM pragma_query_only) \
     AND NOT EXISTS (SELECT 1 FROM pragma_database_list WHERE name NOT IN ('main', 'temp')) \
     AND NOT EXISTS (SELECT 1 FROM temp.sqlite_schema)";

/// Updates a table of the log without changing it, so that the update hook must be
/// called.
pub const TOUCH: &str = "UPDATE downlink_head SET one = one";

/// Fails in a read-only database before it needs the lock.
pub const WRITE_NOTHING: &str = "UPDATE downlink_head SET one = one WHERE 0";

/// The numbers of events that one statement can store.
pub const CHUNKS: [usize; 4] = [1, 8, 64, 256];

/// Stores events, then ends of streams, then the head. The parameters are 12 for each
/// event, 3 for each of as many ends, and 4. Rows whose first value is NULL are skipped.
///
/// `chunk` is an index of [`CHUNKS`].
#[must_use]
pub fn store_events(chunk: usize) -> &'static str {
    static TEXTS: LazyLock<[String; CHUNKS.len()]> = LazyLock::new(|| CHUNKS.map(store_rows));
    &TEXTS[chunk]
}

fn store_rows(rows: usize) -> String {
    let mut text = String::from(
        "INSERT INTO downlink_events (position, id, stream, version, prev, jump, type, recorded_at, \
         content_type, tags, metadata, payload) ",
    );
    push_rows(&mut text, rows, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    text += "; INSERT OR REPLACE INTO downlink_stream_heads (stream, version, position) ";
    push_rows(&mut text, rows, "(?, ?, ?)");
    text += "; UPDATE downlink_head SET position = ?, id = ?, recorded_at = ?, generation = ?";
    text
}

fn push_rows(text: &mut String, rows: usize, row: &str) {
    let others = format!(", {row}").repeat(rows - 1);
    write!(text, "SELECT * FROM (VALUES {row}{others}) WHERE column1 IS NOT NULL")
        .expect("writing to a string does not fail");
}

/// The index of the chunk to store next when this many events are left.
#[must_use]
pub fn chunk_for(left: usize) -> usize {
    let fits = CHUNKS.iter().position(|rows| left <= *rows).unwrap_or(CHUNKS.len() - 1);
    // Above a size, a full chunk and a rest cost less than a chunk with many skipped rows.
    if fits > 0 && CHUNKS[fits] > 64 && left < CHUNKS[fits] { fits - 1 } else { fits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_events_is_stored_in_few_chunks() {
        for count in 1..2_000 {
            let (mut left, mut statements, mut empty) = (count, 0, 0);
            while left > 0 {
                let rows = CHUNKS[chunk_for(left)];
                empty += rows.saturating_sub(left);
                left = left.saturating_sub(rows);
                statements += 1;
            }
            assert!(statements <= count / 256 + 4 && empty < 64, "{count}: {statements}, {empty}");
        }
    }

    #[test]
    fn a_chunk_has_a_parameter_for_each_value() {
        for (chunk, rows) in CHUNKS.into_iter().enumerate() {
            assert_eq!(store_events(chunk).matches('?').count(), rows * 15 + 4);
        }
    }
}
