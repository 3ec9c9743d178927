use std::time::Duration;

use downlink::EventId;

use crate::sql::{Text, millis};

/// The tables of a log, which only the store writes to.
const TABLES: [&str; 7] =
    ["events", "log", "projections", "dead_letters", "leases", "snapshots", "moved"];

/// The time of the server, in microseconds.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// A step that is in progress has the row of its lease, and may take a while.
const DO_NOT_WAIT: &str = "SET LOCAL lock_timeout = 100";

/// The statements about read models and the transactions of the application, for the tables of
/// one schema.
#[derive(Debug)]
pub(crate) struct ModelStatements {
    /// The row of the projection of name `$1` and version `$2`.
    pub(crate) find: Text,
    /// The row of the live version of the projection of name `$1`.
    pub(crate) live: Text,
    /// Whether any version of the projection of name `$1` exists.
    pub(crate) is_known: Text,
    /// Adds a projection by name, version and first checkpoint, and returns its key.
    pub(crate) add: Text,
    /// Sets checkpoint, liveness and announced cursor of the projection with the key `$1`.
    pub(crate) set: Text,
    /// Adds a dead letter: the key of its projection, position, id, error and time.
    pub(crate) add_dead_letter: Text,
    /// Deletes the dead letters of the projection with the key `$1`.
    pub(crate) delete_dead_letters: Text,
    /// The dead letters of name `$1`, version `$2`, after position `$3`, at most `$4`.
    pub(crate) dead_letters: Text,
    /// The token of the lease of name `$1` and version `$2`, and the microseconds until it expires.
    pub(crate) lease: Text,
    /// Takes the lease of name `$1` and version `$2` for the token `$3`, for `$4` microseconds.
    /// Returns no row if it may not, and fails if a step is in progress.
    pub(crate) take_lease: Text,
    /// Prolongs the same lease. Returns no row if it is not that of the token.
    pub(crate) prolong_lease: Text,
    /// The same for a worker between its steps.
    pub(crate) renew_lease: Text,
    /// Gives up the lease of name `$1` and version `$2` of the token `$3`.
    pub(crate) release_lease: Text,
    /// How many rows of the log's tables this transaction has written.
    pub(crate) writes: Text,
    /// Waits until no query reads, and keeps others from beginning.
    pub(crate) keep_queries_out: Text,
    begin_query: String,
    /// Rolls the transaction of a query back.
    pub(crate) leave_query: Text,
    /// Fails if the transaction of a query is not the one that was begun.
    pub(crate) end_query: Text,
    /// Opens the savepoint around application code, under a name that the code does not know.
    pub(crate) open_job: Text,
    /// Ends the savepoint, which fails if the code has ended the
    /// transaction, opens it again, and reads the end of the log.
    pub(crate) check: Text,
}

impl ModelStatements {
    /// `is_session`: whether the connection has a session of its own. Otherwise the server may have
    /// statements of other clients, and must not keep those of the application.
    pub(crate) fn of(schema: &str, is_session: bool) -> Self {
        let forget = if is_session { "" } else { "DEALLOCATE ALL; " };
        let unlock = if is_session { "" } else { "SELECT pg_advisory_unlock_all()" };
        let row = format!(
            r#"SELECT key, version, checkpoint, live, announced_to FROM "{schema}".projections"#
        );
        let tables = TABLES.map(|table| format!(r#"'"{schema}".{table}'::regclass"#)).join(", ");
        let prolong_lease = format!(
            r#"UPDATE "{schema}".leases SET until = {NOW} + $4
WHERE name = $1 AND version = $2 AND token = $3 RETURNING until"#
        );
        let job = format!("downlink_{:032x}", u128::from_be_bytes(*EventId::now().as_bytes()));
        Self {
            find: format!("{row} WHERE name = $1 AND version = $2").into(),
            live: format!("{row} WHERE name = $1 AND live").into(),
            is_known: format!(
                r#"SELECT EXISTS (SELECT FROM "{schema}".projections WHERE name = $1)"#
            )
            .into(),
            add: format!(
                r#"INSERT INTO "{schema}".projections (name, version, checkpoint, live, announced_to)
VALUES ($1, $2, $3, false, $3) RETURNING key"#
            )
            .into(),
            set: format!(
                r#"UPDATE "{schema}".projections SET checkpoint = $2, live = $3, announced_to = $4
WHERE key = $1"#
            )
            .into(),
            add_dead_letter: format!(
                r#"INSERT INTO "{schema}".dead_letters (projection, position, id, error, skipped_at)
VALUES ($1, $2, $3, $4, $5)"#
            )
            .into(),
            delete_dead_letters: format!(
                r#"DELETE FROM "{schema}".dead_letters WHERE projection = $1"#
            )
            .into(),
            dead_letters: format!(
                r#"SELECT d.position, d.id, d.error, d.skipped_at
FROM "{schema}".projections p JOIN "{schema}".dead_letters d ON d.projection = p.key
WHERE p.name = $1 AND p.version = $2 AND d.position > $3 ORDER BY d.position LIMIT $4"#
            )
            .into(),
            lease: format!(
                r#"SELECT token, until - {NOW} FROM "{schema}".leases WHERE name = $1 AND version = $2"#
            )
            .into(),
            // A lease that would last for longer than the new one has expired: the clock was set
            // back.
            take_lease: format!(
                r#"{DO_NOT_WAIT}; INSERT INTO "{schema}".leases AS l (name, version, token, until)
VALUES ($1, $2, $3, {NOW} + $4) ON CONFLICT (name, version)
DO UPDATE SET token = excluded.token, until = excluded.until
WHERE l.token = excluded.token OR l.until <= {NOW} OR l.until > excluded.until RETURNING until"#
            )
            .into(),
            renew_lease: format!("{DO_NOT_WAIT}; {prolong_lease}").into(),
            prolong_lease: prolong_lease.into(),
            release_lease: format!(
                r#"{DO_NOT_WAIT}; DELETE FROM "{schema}".leases
WHERE name = $1 AND version = $2 AND token = $3"#
            )
            .into(),
            writes: format!(
                "SELECT sum(pg_stat_get_xact_tuples_inserted(t) + pg_stat_get_xact_tuples_updated(t) \
                 + pg_stat_get_xact_tuples_deleted(t))::bigint FROM unnest(ARRAY[{tables}]) AS t"
            )
            .into(),
            keep_queries_out: format!(
                r#"LOCK TABLE "{schema}".projections IN ACCESS EXCLUSIVE MODE"#
            )
            .into(),
            begin_query: format!(
                r#"LOCK TABLE "{schema}".projections IN ACCESS SHARE MODE; {forget}SAVEPOINT {job}"#
            ),
            leave_query: format!("ROLLBACK; {forget}{unlock}").into(),
            end_query: format!("RELEASE SAVEPOINT {job}").into(),
            open_job: format!("{forget}SAVEPOINT {job}").into(),
            check: format!(
                r#"RELEASE SAVEPOINT {job}; SAVEPOINT {job};
SELECT position, id FROM "{schema}".events ORDER BY position DESC LIMIT 1"#
            )
            .into(),
        }
    }

    /// Begins the transaction of a query, which reads one snapshot and has a time limit.
    ///
    /// It takes a lock before its snapshot, which a step that makes tables anew waits for: a
    /// snapshot does not hold tables. A query that began before would find the new table, and
    /// none of its rows. Nothing may come before the lock that takes a snapshot, as DEALLOCATE does.
    pub(crate) fn begin_query(&self, limit: Duration) -> Text {
        let (limit, lock) = (millis(limit), &self.begin_query);
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL statement_timeout = {limit}; {lock}"
        )
        .into()
    }
}
