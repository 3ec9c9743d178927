//! All SQL statements, for one schema.

use std::sync::Arc;
use std::time::Duration;

use downlink::Position;
use downlink::store::Direction;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr, SqlStr};

use crate::model_sql::ModelStatements;
use crate::statement::{Form, Value};

/// The format of the tables. Another number belongs to another release. Tables that earlier releases
/// do not need are added without another number: a store creates them when it is opened, and servers
/// of both releases may run at once.
pub(crate) const FORMAT: i32 = 1;

/// How long a transaction may wait for its own client. If the client has vanished, other
/// writers continue after that.
const IDLE: Duration = Duration::from_secs(2);

/// The columns of an event, in the order in which [`row`](crate::row) reads them.
const EVENT: &str =
    "position, id, stream, version, type, recorded_at, content_type, tags, metadata, payload";

/// The columns of a run of moved events.
const MOVED: &str = "source, old_from, old_to, new_from";

pub(crate) const COMMIT: &str = "COMMIT";

/// The savepoint before an append in a transaction of the application.
const SAVEPOINT: &str = "downlink_append";

/// Undoes an append in a transaction of the application, and releases the lock.
pub(crate) const UNDO: &str = "ROLLBACK TO downlink_append; RELEASE downlink_append";

/// Undoes what a job may have set for the session, which outlives its transaction.
pub(crate) const RESET_SESSION: &str = "RESET ALL; RESET ROLE";

/// The same behind a pooler, at the end of the transaction: the next one on this connection of the
/// server may be another client's. It leaves no prepared statement either, no lock, no cursor and no
/// temporary table. The settings that follow
/// are those with which sqlx connects, and the pooler follows them for each client; the last two
/// hold until the transaction ends, as before.
pub(crate) const LEAVE_SESSION: &str = "RESET SESSION AUTHORIZATION; RESET ALL; RESET ROLE; \
     DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; SELECT pg_advisory_unlock_all(); \
     SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; \
     SET application_name = 'downlink'; \
     SET LOCAL synchronous_commit = on; SET LOCAL idle_in_transaction_session_timeout = '2s'";

pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// Settings for statements that read. Each has an index, and the planner must not choose a
/// sequential scan because of statistics from an empty table. Where a sequential scan is the
/// only way, as for the row that is the lock, the setting makes the estimated cost so high that
/// the statement would be JIT-compiled each time.
const PLANNER: [(&str, &str); 2] = [("enable_seqscan", "off"), ("jit", "off")];

/// The form of bytes in rows that are text, as they are behind a pooler: the only one that sqlx reads.
const BYTES: &str = "SET LOCAL bytea_output = hex;";

/// The statements for the tables of one schema, whose name was checked.
#[derive(Debug)]
pub(crate) struct Statements {
    schema: String,
    pub(crate) facts: Text,
    pub(crate) insert: Text,
    pub(crate) insert_new: Text,
    pub(crate) head: Text,
    pub(crate) notify: Text,
    /// The snapshot of the stream `$1` and the name `$2`, if its state has at most `$3` bytes.
    pub(crate) snapshot: Text,
    /// Saves a snapshot: stream, name, schema version, version, event, time and state.
    pub(crate) save_snapshot: Text,
    /// Stores where events of another log are: the columns of `all_moved`.
    pub(crate) set_moved: Text,
    pub(crate) all_moved: Text,
    pub(crate) models: ModelStatements,
    form: Form,
    log: [Text; 2],
    stream: [Text; 2],
}

/// A text that is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Text(Arc<str>);

impl Text {
    /// The text for the driver. It is safe: its only variable part is the name of the schema,
    /// which was checked.
    pub(crate) fn sql(&self) -> SqlStr {
        AssertSqlSafe(Arc::clone(&self.0)).into_sql_str()
    }
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Statements {
    pub(crate) fn of(schema: &str, form: Form) -> Self {
        let both = |text: fn(&str, Direction) -> Text| {
            [text(schema, Direction::Forward), text(schema, Direction::Backward)]
        };
        Self {
            facts: facts(schema),
            insert: insert(schema),
            insert_new: insert_new(schema),
            head: head(schema),
            notify: "SELECT pg_notify($1, $2)".to_owned().into(),
            snapshot: format!(
                r#"SELECT schema, version, event, recorded_at, state FROM "{schema}".snapshots
WHERE stream = $1 AND name = $2 AND octet_length(state) <= $3"#
            )
            .into(),
            save_snapshot: format!(
                r#"INSERT INTO "{schema}".snapshots (stream, name, schema, version, event, recorded_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (stream, name) DO UPDATE SET schema = excluded.schema, version = excluded.version,
    event = excluded.event, recorded_at = excluded.recorded_at, state = excluded.state"#
            )
            .into(),
            set_moved: set_moved(schema),
            all_moved: all_moved(schema),
            models: ModelStatements::of(schema, form.is_prepared()),
            form,
            log: both(log),
            stream: both(stream),
            schema: schema.to_owned(),
        }
    }

    /// A page of the log: `$1` the mark, `$2` rows, `$3` bytes.
    pub(crate) fn log(&self, direction: Direction) -> &Text {
        &self.log[index(direction)]
    }

    /// A page of the log with the events that meet a condition: `$1` the mark, `$2` rows, `$3` bytes, `$4` how
    /// many positions beyond the first event to look at. The condition's parameters come after these.
    pub(crate) fn filtered_log(&self, direction: Direction, condition: &str) -> Text {
        filtered_log(&self.schema, direction, condition)
    }

    /// A page of a stream: `$1` its name, `$2` the mark, `$3` rows, `$4` bytes.
    pub(crate) fn stream(&self, direction: Direction) -> &Text {
        &self.stream[index(direction)]
    }

    /// Runs a statement, and returns its rows.
    pub(crate) async fn run(
        &self,
        connection: &mut PgConnection,
        text: &Text,
        values: Vec<Value<'_>>,
    ) -> sqlx::Result<Vec<PgRow>> {
        self.form.run(connection, text, values).await
    }

    /// Whether statements may be prepared.
    pub(crate) fn are_prepared(&self) -> bool {
        self.form.is_prepared()
    }

    /// Creates the log if it does not exist. The last row has the format of the log.
    pub(crate) fn create(&self) -> Text {
        let schema = &self.schema;
        // The advisory lock serializes concurrent creation, which would fail.
        format!(
            r#"BEGIN;
SELECT pg_advisory_xact_lock(hashtext('downlink {schema}'));
CREATE SCHEMA IF NOT EXISTS "{schema}";
CREATE TABLE IF NOT EXISTS "{schema}".events (
    position bigint PRIMARY KEY CHECK (position > 0),
    id uuid NOT NULL UNIQUE,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text COLLATE "C" NOT NULL,
    recorded_at bigint NOT NULL,
    content_type text COLLATE "C",
    tags text[] COLLATE "C" NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL,
    UNIQUE (stream, version)
);
CREATE SEQUENCE IF NOT EXISTS "{schema}".positions AS bigint;
CREATE TABLE IF NOT EXISTS "{schema}".log (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    format integer NOT NULL
);
INSERT INTO "{schema}".log (format) VALUES ({FORMAT}) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS "{schema}".projections (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    checkpoint text COLLATE "C" NOT NULL,
    live boolean NOT NULL,
    announced_to text COLLATE "C" NOT NULL,
    UNIQUE (name, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS live_projection ON "{schema}".projections (name) WHERE live;
CREATE TABLE IF NOT EXISTS "{schema}".dead_letters (
    projection bigint NOT NULL REFERENCES "{schema}".projections,
    position bigint NOT NULL,
    id uuid NOT NULL,
    error text NOT NULL,
    skipped_at bigint NOT NULL,
    PRIMARY KEY (projection, position)
);
CREATE TABLE IF NOT EXISTS "{schema}".leases (
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    token uuid NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE TABLE IF NOT EXISTS "{schema}".snapshots (
    stream text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    schema bigint NOT NULL,
    version bigint NOT NULL,
    event uuid NOT NULL,
    recorded_at bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (stream, name)
);
CREATE TABLE IF NOT EXISTS "{schema}".moved (
    source text COLLATE "C" NOT NULL,
    old_from bigint NOT NULL,
    old_to bigint NOT NULL,
    new_from bigint NOT NULL,
    PRIMARY KEY (source, old_from)
);
COMMIT;
SELECT format, current_setting('server_encoding') FROM "{schema}".log"#
        )
        .into()
    }

    /// Begins a transaction with the lock of the log, in one round trip. Returns two rows: the
    /// lock, and the end of the log as of a statement that began with the lock held.
    ///
    /// The lock is a row that is never updated, so a long-lived snapshot leaves no dead rows
    /// behind.
    pub(crate) fn begin(&self, wait: Duration, step: Duration) -> Text {
        let lock = self.lock(wait, step);
        format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {lock}").into()
    }

    /// The same within a transaction of the application, after a savepoint: rolling back to it
    /// releases the lock. The row of the lock also has the level of isolation, and the settings
    /// that [`leave`](Self::leave) restores.
    pub(crate) fn join(&self, wait: Duration, step: Duration) -> Text {
        let lock = self.lock(wait, step);
        format!("SAVEPOINT {SAVEPOINT}; {lock}").into()
    }

    fn lock(&self, wait: Duration, step: Duration) -> String {
        let schema = &self.schema;
        let (wait, step, idle) = (millis(wait), millis(step), millis(IDLE));
        let both = wait.saturating_add(step);
        format!(
            r#"SET LOCAL lock_timeout = {wait};
SET LOCAL statement_timeout = {both};
SET LOCAL idle_in_transaction_session_timeout = {idle};
SET LOCAL synchronous_commit = on;
SELECT current_setting('transaction_isolation'), current_setting('enable_seqscan'),
    current_setting('jit'), current_setting('bytea_output') FROM "{schema}".log FOR UPDATE;
SET LOCAL statement_timeout = {step};
SET LOCAL enable_seqscan = off;
SET LOCAL jit = off;
{BYTES}
SELECT s.last_value, s.is_called, e.position, e.id, e.recorded_at
FROM "{schema}".positions s LEFT JOIN (
    SELECT position, id, recorded_at FROM "{schema}".events ORDER BY position DESC LIMIT 1
) e ON true"#
        )
    }

    /// Ends what [`join`](Self::join) has begun, after an append up to this position: restores the
    /// settings of the session, and notifies the hubs of the log when the transaction commits.
    pub(crate) fn leave(&self, session: &Session, position: Position) -> Text {
        let (Session { seqscan, jit, bytes }, channel) = (session, self.channel());
        format!(
            r#"RELEASE SAVEPOINT {SAVEPOINT};
SELECT set_config('enable_seqscan', '{seqscan}', true), set_config('jit', '{jit}', true),
    set_config('bytea_output', '{bytes}', true);
NOTIFY "{channel}", '{position}'"#
        )
        .into()
    }

    /// The channel on which the hubs of this log listen.
    pub(crate) fn channel(&self) -> String {
        format!("downlink_{}", self.schema)
    }
}

/// The settings of a connection that reads. A read whose caller is gone ends at the timeout.
pub(crate) fn reader_settings(step: Duration) -> [(&'static str, String); 4] {
    let [seqscan, jit] = PLANNER.map(|(name, value)| (name, value.to_owned()));
    let read_only = ("default_transaction_read_only", "on".to_owned());
    [seqscan, jit, read_only, ("statement_timeout", millis(step).to_string())]
}

/// The same for one read without a transaction, behind a pooler. A text of several statements is a
/// transaction, which the server ends with the text.
pub(crate) fn read_alone(step: Duration) -> Form {
    let planner = PLANNER.map(|(name, value)| format!("SET LOCAL {name} = {value}; ")).concat();
    let step = millis(step);
    Form::Inlined(format!("SET LOCAL statement_timeout = {step}; {BYTES} {planner}"))
}

/// The same for one write to a table that is a cache, also on a connection that otherwise only reads.
/// It does not wait for the disk, since a crash may lose it.
pub(crate) fn save_alone(step: Duration) -> Form {
    let step = millis(step);
    Form::Inlined(format!(
        "SET TRANSACTION READ WRITE; SET LOCAL synchronous_commit = off; \
         SET LOCAL statement_timeout = {step}; "
    ))
}

/// Settings in a transaction of the application, which are restored after an append.
#[derive(Debug)]
pub(crate) struct Session {
    /// `enable_seqscan`.
    pub(crate) seqscan: String,
    /// `jit`.
    pub(crate) jit: String,
    /// `bytea_output`.
    pub(crate) bytes: String,
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::Forward => 0,
        Direction::Backward => 1,
    }
}

/// At least 1, because 0 would mean no limit.
pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1)
}

fn head(schema: &str) -> Text {
    format!(r#"SELECT position, id FROM "{schema}".events ORDER BY position DESC LIMIT 1"#).into()
}

/// The ends of the streams `$1`, without a position, and the events with the
/// ids `$2`.
fn facts(schema: &str) -> Text {
    format!(
        r#"SELECT NULL::bigint AS position, NULL::uuid AS id, h.stream, h.version, NULL AS type,
    NULL::bigint AS recorded_at, NULL AS content_type, NULL::text[] AS tags,
    NULL::bytea AS metadata, NULL::bytea AS payload
FROM unnest($1::text[]) AS named (stream) CROSS JOIN LATERAL (
    SELECT stream, version FROM "{schema}".events
    WHERE stream = named.stream ORDER BY version DESC LIMIT 1
) h
UNION ALL
SELECT {EVENT} FROM "{schema}".events WHERE id = ANY ($2::uuid[])"#
    )
    .into()
}

/// Stores events, given by columns, and moves the sequence to `$11`. A rollback does not undo
/// that, so no position is used twice.
fn insert(schema: &str) -> Text {
    insert_unless(schema, "", "true")
}

/// The same, and whether no id was stored before.
fn insert_new(schema: &str) -> Text {
    let all = "(SELECT count(*) FROM stored) = cardinality($1)";
    insert_unless(schema, "ON CONFLICT (id) DO NOTHING RETURNING 1", all)
}

fn insert_unless(schema: &str, conflict: &str, is_stored: &str) -> Text {
    format!(
        r#"WITH stored AS (
    INSERT INTO "{schema}".events ({EVENT})
    SELECT position, id, stream, version, type, recorded_at, content_type,
        string_to_array(tags, E'\n'), metadata, payload
    FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[],
        $7::text[], $8::text[], $9::bytea[], $10::bytea[]) AS given ({EVENT})
    {conflict}
)
SELECT setval('"{schema}".positions', $11), {is_stored}"#
    )
    .into()
}

fn set_moved(schema: &str) -> Text {
    format!(
        r#"INSERT INTO "{schema}".moved ({MOVED}) VALUES ($1, $2, $3, $4)
ON CONFLICT (source, old_from) DO UPDATE SET old_to = excluded.old_to, new_from = excluded.new_from"#
    )
    .into()
}

fn all_moved(schema: &str) -> Text {
    format!(r#"SELECT {MOVED} FROM "{schema}".moved ORDER BY source, old_from"#).into()
}

/// A page of the log, in one statement, so of one snapshot. The first row is the state of the log
/// in the columns of an event without a stream: in `recorded_at` and `id` the end of the log, in
/// `version` and `metadata` the position and the id of the event at or next to the mark, in
/// `payload` the position at the beginning of the log.
fn log(schema: &str, direction: Direction) -> Text {
    let state = log_state(schema, direction, "int8send(o.position)");
    let beyond = match direction {
        Direction::Forward => "position > $1",
        Direction::Backward => "position < $1",
    };
    page(schema, &state, &Range { key: "position", beyond, direction, bounds: [2, 3] })
}

fn log_state(schema: &str, direction: Direction, payload: &str) -> String {
    let near = match direction {
        Direction::Forward => "position <= $1 ORDER BY position DESC",
        Direction::Backward => "position >= $1 ORDER BY position",
    };
    format!(
        r#"SELECT {first} AS position, h.id, NULL::text AS stream, n.position AS version,
    NULL::text AS type, h.position AS recorded_at, NULL::text AS content_type,
    NULL::text[] AS tags, uuid_send(n.id) AS metadata, {payload} AS payload
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT position, id FROM "{schema}".events ORDER BY position DESC LIMIT 1) h ON true
LEFT JOIN (SELECT position, id FROM "{schema}".events WHERE {near} LIMIT 1) n ON true
LEFT JOIN (SELECT position FROM "{schema}".events ORDER BY position LIMIT 1) o ON true"#,
        first = before_all(direction)
    )
}

/// A page of the log with the events that meet a condition. The first row is the same, and has in `payload`
/// after the beginning of the log the position and the id of the last event that was looked at.
///
/// What is looked at is a range of positions, so that a condition that no event meets costs one scan of the
/// range. It begins at the first event there is, since many positions may be missing. Twice `OFFSET 0` keeps the
/// planner from something else: from the index of streams, in which a long stream is longer than the range, and
/// from a join that scans all positions.
fn filtered_log(schema: &str, direction: Direction, condition: &str) -> Text {
    let (beyond, within, limit, order, back) = match direction {
        Direction::Forward => ("position > $1", "<=", "+ $4", "position", "position DESC"),
        Direction::Backward => ("position < $1", ">=", "- $4", "position DESC", "position"),
    };
    let looked_at = "int8send(l.position) || uuid_send(l.id)";
    let payload = format!("int8send(o.position) || coalesce({looked_at}, '')");
    let state = log_state(schema, direction, &payload);
    format!(
        r#"WITH looked AS MATERIALIZED (
    SELECT position, id FROM "{schema}".events WHERE position {within} (
        SELECT position FROM "{schema}".events WHERE {beyond} ORDER BY {order} LIMIT 1
    ) {limit} ORDER BY {back} LIMIT 1
), found AS MATERIALIZED (
    SELECT position, sum(size) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) - size AS before FROM (
        SELECT position, octet_length(payload) + octet_length(metadata) AS size FROM (
            SELECT position, stream, type, tags, metadata, payload FROM "{schema}".events
            WHERE {beyond} AND position {within} (SELECT position FROM looked)
            ORDER BY {order} OFFSET 0
        ) AS looked_at WHERE {condition} ORDER BY {order} LIMIT $2
    ) AS sizes
)
({state}
LEFT JOIN looked l ON true)
UNION ALL
(SELECT e.* FROM found CROSS JOIN LATERAL (
    SELECT {EVENT} FROM "{schema}".events WHERE position = found.position OFFSET 0
) e WHERE before < $3)
ORDER BY {order}"#
    )
    .into()
}

/// The same for a stream. The first row has in `recorded_at` and `id` the end of the log, and in
/// `position` the last version of the stream.
fn stream(schema: &str, direction: Direction) -> Text {
    let beyond = match direction {
        Direction::Forward => "stream = $1 AND version > $2",
        Direction::Backward => "stream = $1 AND version < $2",
    };
    let state = format!(
        r#"SELECT v.version AS position, h.id, NULL::text AS stream, {first} AS version,
    NULL::text AS type, h.position AS recorded_at, NULL::text AS content_type,
    NULL::text[] AS tags, NULL::bytea AS metadata, NULL::bytea AS payload
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT position, id FROM "{schema}".events ORDER BY position DESC LIMIT 1) h ON true
LEFT JOIN (SELECT version FROM "{schema}".events WHERE stream = $1 ORDER BY version DESC LIMIT 1) v
    ON true"#,
        first = before_all(direction)
    );
    page(schema, &state, &Range { key: "version", beyond, direction, bounds: [3, 4] })
}

/// A key before those of all events.
fn before_all(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "0::bigint",
        Direction::Backward => "9223372036854775807",
    }
}

/// The events of a page.
struct Range<'a> {
    /// The column by which they are ordered.
    key: &'a str,
    beyond: &'a str,
    direction: Direction,
    /// The parameters with the most rows and the most bytes.
    bounds: [usize; 2],
}

/// One row with the state, and then the next events, limited in rows and in bytes: the server
/// sends at most one event for which the page has no room.
///
/// The sizes are summed in one pass, and only if they exceed the limit in a second one, which
/// finds the last event. To select the events from a running sum takes twice the time of the
/// server, since it copies each row.
fn page(schema: &str, state: &str, range: &Range<'_>) -> Text {
    let Range { key, beyond, direction, bounds: [rows, bytes] } = range;
    let (order, within, last) = match direction {
        Direction::Forward => ((*key).to_owned(), "<=", "max"),
        Direction::Backward => (format!("{key} DESC"), ">=", "min"),
    };
    let next = format!(
        r#"SELECT {key}, octet_length(payload) + octet_length(metadata) AS size
        FROM "{schema}".events WHERE {beyond} ORDER BY {order} LIMIT ${rows}"#
    );
    format!(
        r#"({state})
UNION ALL
(SELECT {EVENT} FROM "{schema}".events WHERE {beyond} AND {key} {within} (
    SELECT CASE WHEN sum(size) <= ${bytes} THEN {last}({key}) ELSE (
        SELECT {last}({key}) FROM (
            SELECT {key}, sum(size) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) - size AS before
            FROM ({next}) AS sizes
        ) AS summed WHERE before < ${bytes}
    ) END FROM ({next}) AS page
) ORDER BY {order} LIMIT ${rows})
ORDER BY {order}"#
    )
    .into()
}
