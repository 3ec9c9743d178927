use std::fmt;
use std::time::Duration;

use downlink::commit::WriterOptions;
use downlink::{Error, ErrorKind, Result, limits};

/// Options for connecting a [`PostgresStore`](crate::PostgresStore).
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    schema: String,
    readers: usize,
    writer: WriterOptions,
    busy_deadline: Duration,
    step_deadline: Duration,
    query_limit: Duration,
    is_pooled: bool,
    listen_url: Option<Url>,
    replica: Option<Url>,
    replica_distance: u64,
}

/// A URL, which may have a password.
#[derive(Clone)]
struct Url(String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a URL)")
    }
}

/// PostgreSQL truncates names of more than 63 bytes, and the channel of the bus is `downlink_`
/// and this name.
const MAX_SCHEMA_BYTES: usize = 54;

impl Options {
    /// The safe defaults, each of which its setter describes.
    pub fn new() -> Self {
        let writer = WriterOptions::new();
        let (busy_deadline, step_deadline) = (writer.busy_deadline(), Duration::from_secs(10));
        let writer = writer.with_step_deadline(step_deadline);
        Self {
            schema: "downlink".into(),
            readers: 4,
            writer,
            busy_deadline,
            step_deadline,
            query_limit: Duration::from_secs(5),
            is_pooled: false,
            listen_url: None,
            replica: None,
            replica_distance: 5_000,
        }
    }

    /// The schema of the log: `downlink` by default. It is created if it does not exist, and is
    /// for the log alone. The name has 1 to 54 lower-case letters, digits and `_`.
    pub fn with_schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// How many connections read, in addition to the one that serves live delivery: 4 by
    /// default, at least one. They are opened when needed.
    pub fn with_readers(mut self, connections: usize) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// How many appends may be queued: 4,096 by default, at least one. Further ones fail at
    /// once with `Overloaded`.
    pub fn with_queue(mut self, appends: usize) -> Self {
        self.writer = self.writer.with_queue(appends);
        self
    }

    /// How many bytes of events may be queued in total: 64 MiB by default. An append beyond
    /// that fails at once with `Overloaded`, unless the queue is empty.
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.writer = self.writer.with_queue_bytes(bytes);
        self
    }

    /// How many events one transaction takes before it leaves the remaining appends to the
    /// next: 4,096 by default, at least one.
    pub fn with_group(mut self, events: usize) -> Self {
        self.writer = self.writer.with_group(events);
        self
    }

    /// How long to wait for the lock of the log: 5 s by default, a day at most. Then an append
    /// fails with `Busy`.
    pub fn with_busy_deadline(mut self, deadline: Duration) -> Self {
        self.writer = self.writer.with_busy_deadline(deadline);
        self.busy_deadline = deadline.min(limits::MAX_WAIT);
        self
    }

    /// How long each of connecting, storing the events of a group, a commit and a read may
    /// take: 10 s by default, a day at most. A commit that takes longer has no certain outcome,
    /// which is then resolved by the ids of its events.
    pub fn with_step_deadline(mut self, deadline: Duration) -> Self {
        self.writer = self.writer.with_step_deadline(deadline);
        self.step_deadline = deadline.min(limits::MAX_WAIT);
        self
    }

    /// How long a transaction of the application may take: 5 s by default, a day at most. See
    /// [`PostgresStore::transact`](crate::PostgresStore::transact).
    pub fn with_transaction_deadline(mut self, deadline: Duration) -> Self {
        self.writer = self.writer.with_transaction_deadline(deadline);
        self
    }

    /// How long a query of a read model may take: 5 s by default, a day at most. See
    /// [`PostgresStore::query`](crate::PostgresStore::query).
    pub fn with_query_limit(mut self, limit: Duration) -> Self {
        self.query_limit = limit.min(limits::MAX_WAIT);
        self
    }

    /// Whether the URL is that of a pooler in transaction mode, such as PgBouncer: off by default.
    /// The parameter `statement-cache-capacity=0` in a URL does the same.
    ///
    /// Then nothing depends on a session: no prepared statement is kept, and every setting ends
    /// with its transaction. A page is still one round trip, but as text, which is twice as long for
    /// payloads; an append takes four instead of three. What a job or a projection sets for the
    /// session, and the statements that it prepares, end with it.
    pub fn with_pooler(mut self, is_pooled: bool) -> Self {
        self.is_pooled = is_pooled;
        self
    }

    /// The URL at which a [`PostgresBus`](crate::PostgresBus) listens: by default the one that it
    /// connects to. A pooler in transaction mode does not pass notifications on, so behind one this
    /// has to reach the server itself. A bus behind a pooler without it hears no other process,
    /// whose events are found when the hubs poll.
    pub fn with_listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(Url(url.into()));
        self
    }

    /// The URL of a streaming replica, which serves pages of the log far behind its end: none by
    /// default. All other reads, and the decision whether a cursor belongs to the log, are the
    /// primary's.
    ///
    /// A page of the replica is returned only if the primary confirms the cursor at its end, with
    /// its own end of the log. So a reader cannot tell which of the two has served it, and what was
    /// acknowledged is never missing, however late the replica is. If the replica does not answer
    /// within 2 s, pages come from the primary, and the replica is asked again after a pause that
    /// grows to a minute.
    pub fn with_replica(mut self, url: impl Into<String>) -> Self {
        self.replica = Some(Url(url.into()));
        self
    }

    /// How many positions behind the end of the log a page has to begin for the
    /// [replica](Self::with_replica) to be asked: 5,000 by default.
    pub fn with_replica_distance(mut self, positions: u64) -> Self {
        self.replica_distance = positions;
        self
    }

    /// Checks the name, because it becomes part of SQL text.
    pub(crate) fn check_schema(&self) -> Result<()> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=MAX_SCHEMA_BYTES).contains(&self.schema.len()) && self.schema.bytes().all(is_plain)
        {
            return Ok(());
        }
        let message = format!(
            "{:?} is not a valid schema name: use 1 to {MAX_SCHEMA_BYTES} of a-z, 0-9 and '_'",
            self.schema
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// The schema of the log.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn readers(&self) -> usize {
        self.readers
    }

    pub(crate) fn writer(&self) -> WriterOptions {
        self.writer
    }

    pub(crate) fn busy_deadline(&self) -> Duration {
        self.busy_deadline
    }

    pub(crate) fn query_limit(&self) -> Duration {
        self.query_limit
    }

    pub(crate) fn step_deadline(&self) -> Duration {
        self.step_deadline
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    pub(crate) fn listen_url(&self) -> Option<&str> {
        self.listen_url.as_ref().map(|url| &*url.0)
    }

    pub(crate) fn replica(&self) -> Option<&str> {
        self.replica.as_ref().map(|url| &*url.0)
    }

    pub(crate) fn replica_distance(&self) -> u64 {
        self.replica_distance
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let options = Options::new().with_replica("postgres://:secret@a").with_listen_url("secret");
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn a_schema_has_a_plain_name() {
        let check = |name: &str| Options::new().with_schema(name).check_schema().is_ok();
        assert!(check("downlink") && check("log_2") && check(&"x".repeat(54)));
        assert!(!check("") && !check("a\"b") && !check("Flights") && !check(&"x".repeat(55)));
    }
}
