//! The statements of the drivers that do not depend on a filter.

macro_rules! columns {
    () => {
        "e.position, e.id, e.stream, e.version, e.prev, e.jump, e.type, e.recorded_at, \
         e.content_type, e.tags, e.metadata, e.payload"
    };
}

/// The columns of an [`EventRow`](crate::EventRow), in its order.
pub const EVENT_COLUMNS: &str = columns!();

// Transactions. Always one of these two: a deferred transaction that reads and then
// writes while another connection commits fails as "locked" at once, without a timeout.

/// Begins a transaction that appends.
pub const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// Begins a transaction that reads one snapshot, from its first statement on.
pub const BEGIN_READ: &str = "BEGIN DEFERRED";
/// Ends a transaction.
pub const COMMIT: &str = "COMMIT";
/// Rolls a transaction back.
pub const ROLLBACK: &str = "ROLLBACK";

// The end of the log.

/// The columns of [`HeadRow::from_sql`](crate::HeadRow::from_sql).
pub const HEAD: &str = "SELECT position, id, recorded_at, generation FROM downlink_head";
/// Sets position, id, time and generation.
pub const SET_HEAD: &str =
    "UPDATE downlink_head SET position = ?1, id = ?2, recorded_at = ?3, generation = ?4";

// Names and their keys.

/// The key of the stream of this name.
pub const STREAM_KEY: &str = "SELECT key FROM downlink_streams WHERE name = ?1";
/// The name of the stream with this key.
pub const STREAM_NAME: &str = "SELECT name FROM downlink_streams WHERE key = ?1";
/// Adds a stream; its key is the row id.
pub const ADD_STREAM: &str = "INSERT INTO downlink_streams (name) VALUES (?1)";
/// The key of the type of this name.
pub const TYPE_KEY: &str = "SELECT key FROM downlink_types WHERE name = ?1";
/// The name of the type with this key.
pub const TYPE_NAME: &str = "SELECT name FROM downlink_types WHERE key = ?1";
/// Adds a type; its key is the row id.
pub const ADD_TYPE: &str = "INSERT INTO downlink_types (name) VALUES (?1)";

// The heads of streams.

/// Key, version and position of the end of the stream of this name. Version and
/// position are NULL if the stream's head is missing or points to no event of
/// it with this version.
pub const STREAM_HEAD: &str = "SELECT s.key, e.version, e.position FROM downlink_streams s \
     LEFT JOIN downlink_stream_heads h ON h.stream = s.key \
     LEFT JOIN downlink_events e ON e.position = h.position AND e.stream = s.key AND e.version = h.version \
     WHERE s.name = ?1";
/// Sets version and position of a stream's end.
pub const SET_STREAM_HEAD: &str =
    "INSERT OR REPLACE INTO downlink_stream_heads (stream, version, position) VALUES (?1, ?2, ?3)";
/// Key, version and position of the end of every stream.
pub const ALL_STREAM_HEADS: &str = "SELECT stream, version, position FROM downlink_stream_heads";

// Events.

/// Adds an event: [`EVENT_COLUMNS`] in order.
pub const ADD_EVENT: &str = "INSERT INTO downlink_events (position, id, stream, version, prev, jump, type, recorded_at, \
     content_type, tags, metadata, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
/// The highest id in the order of its bytes: any higher one is new.
pub const MAX_ID: &str = "SELECT id FROM downlink_events ORDER BY id DESC LIMIT 1";
/// The event with this id.
pub const EVENT_BY_ID: &str =
    concat!("SELECT ", columns!(), " FROM downlink_events e WHERE e.id = ?1");
/// The event at this position.
pub const EVENT_AT: &str =
    concat!("SELECT ", columns!(), " FROM downlink_events e WHERE e.position = ?1");
/// The id of the event at this position.
pub const ID_AT: &str = "SELECT id FROM downlink_events WHERE position = ?1";
/// `jump` of the event at this position, if it has this stream and version.
pub const JUMP_AT: &str =
    "SELECT jump FROM downlink_events WHERE position = ?1 AND stream = ?2 AND version = ?3";

// Pages of the log. SQLite would plan a statement again for each value of a parameter that is
// all of its LIMIT: therefore `+ 0`.

/// The events after ?1, at most ?2.
pub const EVENTS_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM downlink_events e WHERE e.position > ?1 ORDER BY e.position LIMIT ?2 + 0"
);
/// The events before ?1, newest first, at most ?2.
pub const EVENTS_BEFORE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM downlink_events e WHERE e.position < ?1 ORDER BY e.position DESC LIMIT ?2 + 0"
);
/// Position and id of the newest event at or below ?1.
pub const NEWEST_UP_TO: &str =
    "SELECT position, id FROM downlink_events WHERE position <= ?1 ORDER BY position DESC LIMIT 1";
/// Position and id of the oldest event at or above ?1.
pub const OLDEST_FROM: &str =
    "SELECT position, id FROM downlink_events WHERE position >= ?1 ORDER BY position LIMIT 1";

/// The events from ?1 to ?2, both included, that satisfy `condition`, whose parameters come
/// third and later.
#[must_use]
pub fn events_between(condition: &str, newest_first: bool) -> String {
    let order = if newest_first { " DESC" } else { "" };
    format!(
        "SELECT {EVENT_COLUMNS} FROM downlink_events e WHERE e.position BETWEEN ? AND ? AND {condition} \
         ORDER BY e.position{order}"
    )
}

// The links of one stream. Each link that is followed must lead back to an event of the
// same stream with exactly the expected version. So a walk ends after at most as many
// steps as there are versions, even in a damaged file, and a wrong link yields a row too
// few.

/// Positions from the event at ?1 backwards along `prev`, at most ?2.
pub const WALK_BACK: &str = "WITH RECURSIVE walk (position, stream, version, prev, left) AS ( \
         SELECT position, stream, version, prev, ?2 FROM downlink_events WHERE position = ?1 AND ?2 > 0 \
         UNION ALL \
         SELECT e.position, e.stream, e.version, e.prev, w.left - 1 FROM walk w JOIN downlink_events e \
         ON e.position = w.prev AND e.stream = w.stream AND e.version = w.version - 1 \
         WHERE w.left > 1 AND w.prev < w.position \
     ) SELECT position FROM walk";

/// The position of the event with version ?2 in the stream of the event at ?1, which is not
/// earlier, by as few links as possible.
pub const SEEK_VERSION: &str = "WITH RECURSIVE seek (position, stream, version, prev, jump) AS ( \
         SELECT position, stream, version, prev, jump FROM downlink_events WHERE position = ?1 \
         UNION ALL \
         SELECT e.position, e.stream, e.version, e.prev, e.jump FROM seek s JOIN downlink_events e \
         ON e.position = iif((s.version & (s.version - 1)) >= ?2, s.jump, s.prev) AND e.stream = s.stream \
         AND e.version = iif((s.version & (s.version - 1)) >= ?2, s.version & (s.version - 1), s.version - 1) \
         WHERE s.version > ?2 AND e.position < s.position \
     ) SELECT position FROM seek WHERE version = ?2";

/// Position, version and `prev` of the first event after the position ?2 in the stream of
/// the event at ?1, which is after ?2.
pub const SEEK_FIRST_AFTER: &str = "WITH RECURSIVE seek (position, stream, version, prev, jump) AS ( \
         SELECT position, stream, version, prev, jump FROM downlink_events WHERE position = ?1 \
         UNION ALL \
         SELECT e.position, e.stream, e.version, e.prev, e.jump FROM seek s JOIN downlink_events e \
         ON e.position = iif(s.jump > ?2, s.jump, s.prev) AND e.stream = s.stream \
         AND e.version = iif(s.jump > ?2, s.version & (s.version - 1), s.version - 1) \
         WHERE s.prev > ?2 AND e.position < s.position \
     ) SELECT position, version, prev FROM seek WHERE prev <= ?2 \
     AND iif(version = 1, prev = 0, EXISTS (SELECT 1 FROM downlink_events e \
         WHERE e.position = seek.prev AND e.stream = seek.stream AND e.version = seek.version - 1))";

// Postings.

/// The position up to which the postings are built.
pub const INDEXED: &str = "SELECT position FROM downlink_indexed";
/// The same, and the end of the log.
pub const INDEXED_AND_HEAD: &str =
    "SELECT i.position, h.position FROM downlink_indexed i CROSS JOIN downlink_head h";
/// Sets the position up to which the postings are built.
pub const SET_INDEXED: &str = "UPDATE downlink_indexed SET position = ?1";
/// Position and tags of the events with tags after ?1 up to ?2.
pub const TAGS_BETWEEN: &str = "SELECT position, tags FROM downlink_events \
     WHERE position > ?1 AND position <= ?2 AND tags IS NOT NULL ORDER BY position";
/// Adds the new ones of the tags in the list.
pub const ADD_TAGS: &str =
    "INSERT OR IGNORE INTO downlink_tags (name) SELECT value FROM json_each(?1)";
/// Appends postings of tags: a list of name, segment, and offsets in hexadecimal.
pub const ADD_TAG_POSTINGS: &str = "INSERT INTO downlink_postings (kind, key, segment, positions) \
     SELECT 2, t.key, j.value->>1, unhex(j.value->>2) \
     FROM json_each(?1) j CROSS JOIN downlink_tags t ON t.name = j.value->>0 WHERE true \
     ON CONFLICT (kind, key, segment) DO UPDATE SET positions = CAST(positions || excluded.positions AS BLOB)";
/// Position and type of the events after ?1 up to ?2 as one text, in any order:
/// `position type,position type`. NULL if there are none.
pub const TYPES_BETWEEN: &str = "SELECT group_concat(concat(position, ' ', type), ',') \
     FROM downlink_events WHERE position > ?1 AND position <= ?2";
/// Appends postings of types: a list of key, segment, and offsets in hexadecimal.
pub const ADD_TYPE_POSTINGS: &str = "INSERT INTO downlink_postings (kind, key, segment, positions) \
     SELECT 1, j.value->>0, j.value->>1, unhex(j.value->>2) FROM json_each(?1) j WHERE true \
     ON CONFLICT (kind, key, segment) DO UPDATE SET positions = CAST(positions || excluded.positions AS BLOB)";
/// Kind, index in the list, and key of the types with names in the ranges of the list ?1,
/// and of the tags in the list ?2.
pub const TERMS: &str = "SELECT 1, j.key, t.key FROM json_each(?1) j CROSS JOIN downlink_types t \
     ON t.name >= j.value->>0 AND (j.value->>1 IS NULL OR t.name < j.value->>1) \
     UNION ALL \
     SELECT 2, j.key, t.key FROM json_each(?2) j CROSS JOIN downlink_tags t ON t.name = j.value";
/// Segment, kind, key and bytes of the postings of the names in the list ?1,
/// each kind and key, in the segments from ?2 to ?3.
pub const POSTINGS_SIZES: &str = "SELECT p.segment, p.kind, p.key, length(p.positions) \
     FROM json_each(?1) j CROSS JOIN downlink_postings p \
     ON p.kind = j.value->>0 AND p.key = j.value->>1 AND p.segment BETWEEN ?2 AND ?3";
/// Kind, key, segment and positions of the rows in the list, each kind, key and
/// segment.
pub const POSTINGS: &str = "SELECT p.kind, p.key, p.segment, p.positions \
     FROM json_each(?1) j CROSS JOIN downlink_postings p \
     ON p.kind = j.value->>0 AND p.key = j.value->>1 AND p.segment = j.value->>2";
/// Key and name of every tag.
pub const ALL_TAGS: &str = "SELECT key, name FROM downlink_tags";
/// All postings: kind, key, segment and positions.
pub const ALL_POSTINGS: &str = "SELECT kind, key, segment, positions FROM downlink_postings";

// Read models.

/// The columns of [`ProjectionRow::from_columns`](downlink::projection::ProjectionRow::from_columns)
/// for the projection of this name and version.
pub const PROJECTION: &str = "SELECT key, version, checkpoint, live, announced_to FROM downlink_projections WHERE name = ?1 AND version = ?2";
/// The same for the live version of this name.
pub const LIVE_PROJECTION: &str = "SELECT key, version, checkpoint, live, announced_to FROM downlink_projections WHERE name = ?1 AND live = 1";
/// Whether any version of the projection of this name exists: 1 or 0.
pub const IS_PROJECTED: &str = "SELECT EXISTS (SELECT 1 FROM downlink_projections WHERE name = ?1)";
/// Adds a projection by name, version and first checkpoint; its key is the row id.
pub const ADD_PROJECTION: &str = "INSERT INTO downlink_projections (name, version, checkpoint, live, announced_to) VALUES (?1, ?2, ?3, 0, ?3)";
/// Sets checkpoint, liveness and announced cursor of the projection with the key ?1.
pub const SET_PROJECTION: &str =
    "UPDATE downlink_projections SET checkpoint = ?2, live = ?3, announced_to = ?4 WHERE key = ?1";
/// Adds a dead letter: the key of its projection, position, id, error and time.
pub const ADD_DEAD_LETTER: &str = "INSERT INTO downlink_dead_letters (projection, position, id, error, skipped_at) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Deletes the dead letters of the projection with this key.
pub const DELETE_DEAD_LETTERS: &str = "DELETE FROM downlink_dead_letters WHERE projection = ?1";
/// The columns of [`dead_letter_from_sql`](crate::dead_letter_from_sql) for the
/// projection of name ?1 and version ?2, after the position ?3, at most ?4.
pub const DEAD_LETTERS: &str = "SELECT d.position, d.id, d.error, d.skipped_at \
     FROM downlink_projections p JOIN downlink_dead_letters d ON d.projection = p.key \
     WHERE p.name = ?1 AND p.version = ?2 AND d.position > ?3 ORDER BY d.position LIMIT ?4 + 0";

// Leases of projections.

/// The columns of [`StoredLease::from_columns`](crate::StoredLease::from_columns) for the projection
/// of this name and version.
pub const LEASE: &str = "SELECT token, until FROM downlink_leases WHERE name = ?1 AND version = ?2";
/// Stores a lease: name, version, token and end.
pub const SET_LEASE: &str = "INSERT INTO downlink_leases (name, version, token, until) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (name, version) DO UPDATE SET token = excluded.token, until = excluded.until";
/// Prolongs a lease, if it is the stored one: name, version, token and end.
pub const PROLONG_LEASE: &str =
    "UPDATE downlink_leases SET until = ?4 WHERE name = ?1 AND version = ?2 AND token = ?3";
/// Gives a lease up: name, version and token.
pub const RELEASE_LEASE: &str =
    "DELETE FROM downlink_leases WHERE name = ?1 AND version = ?2 AND token = ?3";

// Snapshots of deciders.

/// The columns of [`snapshot_from_sql`](crate::snapshot_from_sql) for the stream ?1 and the name
/// ?2, if the state has at most ?3 bytes. SQLite finds that out without reading it.
pub const SNAPSHOT: &str = "SELECT schema, version, event, recorded_at, state FROM downlink_snapshots \
     WHERE stream = ?1 AND name = ?2 AND length(state) <= ?3";
/// Saves a snapshot: stream, name, and the columns of [`SNAPSHOT`].
pub const SAVE_SNAPSHOT: &str = "INSERT INTO downlink_snapshots (stream, name, schema, version, event, recorded_at, state) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (stream, name) DO UPDATE SET schema = excluded.schema, \
     version = excluded.version, event = excluded.event, recorded_at = excluded.recorded_at, state = excluded.state";

// Moved logs.

/// Stores where events of another log are: the columns of [`ALL_MOVED`].
pub const SET_MOVED: &str = "INSERT OR REPLACE INTO downlink_moved (source, old_from, old_to, new_from) VALUES (?1, ?2, ?3, ?4)";
/// The columns of [`moved_from_sql`](crate::moved_from_sql), sorted.
pub const ALL_MOVED: &str =
    "SELECT source, old_from, old_to, new_from FROM downlink_moved ORDER BY source, old_from";

// Verifying.

/// The problems that SQLite itself finds; one row `ok` if there are none.
pub const INTEGRITY_CHECK: &str = "PRAGMA integrity_check(20)";
/// Every stream's key and name.
pub const ALL_STREAMS: &str = "SELECT key, name FROM downlink_streams";
/// Every type's key and name.
pub const ALL_TYPES: &str = "SELECT key, name FROM downlink_types";
/// Every event.
pub const ALL_EVENTS: &str =
    concat!("SELECT ", columns!(), " FROM downlink_events e ORDER BY e.position");

// Backups.

/// Writes a copy of one snapshot to the file ?1, which must not exist unless it is empty: tables,
/// `application_id`, `user_version` and row ids.
pub const VACUUM_INTO: &str = "VACUUM INTO ?1";
/// The size of the database, in bytes.
pub const DATABASE_SIZE: &str =
    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
