use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use downlink::commit::{Commits, Facts, Group, LogHead};
use downlink::event::Timestamp;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Event, EventStore, Position, Result, StreamId, Version};
use downlink_conformance_tests::{Guard, StoreFixture};
use downlink_postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};
use tokio::time::sleep;
use uuid::Uuid;

use crate::fixture::failed;
use crate::server::{Server, fresh_schema, options};

/// How transactions that append at the same time are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The lock of the log is held from the first read to the commit.
    Lock,
    /// Positions come from a sequence, as with `bigserial`, and nothing is locked.
    SequenceAlone,
    /// The same, and readers see nothing that is newer than the oldest transaction that runs.
    SequenceAndXmin,
    /// The lock is taken after the versions of the streams were read.
    LockAfterTheFacts,
}

/// Logs of a store with this strategy, on this server.
pub(crate) struct Racing(pub(crate) Strategy, pub(crate) &'static Server);

/// A store whose transactions stay open for a while before and after they insert, in the tables of
/// a [`PostgresStore`], which serves the reads.
#[derive(Debug)]
struct RacingStore {
    strategy: Strategy,
    schema: String,
    reads: PostgresStore,
    pool: PgPool,
    appends: AtomicU64,
}

#[async_trait]
impl StoreFixture for Racing {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let Self(strategy, server) = *self;
        let (schema, url) = (fresh_schema(), server.url());
        let reads = options(&schema).connect(&url).await?;
        let pool = PgPoolOptions::new().max_connections(16).connect(&url).await.map_err(failed)?;
        let store = RacingStore { strategy, schema, reads, pool, appends: AtomicU64::new(0) };
        store.prepare().await?;
        Ok((Arc::new(store), Guard::none()))
    }
}

impl RacingStore {
    /// Makes room for the events of an append between two values of the sequence, removes the
    /// constraint that would catch what a strategy misses, and hides what readers must not see.
    async fn prepare(&self) -> Result<()> {
        self.execute(
            "ALTER SEQUENCE {schema}.positions INCREMENT BY 10;
             ALTER TABLE {schema}.events DROP CONSTRAINT events_stream_version_key",
        )
        .await?;
        if self.strategy != Strategy::SequenceAndXmin {
            return Ok(());
        }
        self.execute(
            "ALTER TABLE {schema}.events RENAME TO all_events;
             CREATE VIEW {schema}.events AS SELECT * FROM {schema}.all_events e
             WHERE e.xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
        )
        .await
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        sqlx::raw_sql(self.sql(sql)).execute(&self.pool).await.map(drop).map_err(failed)
    }

    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("{schema}", &self.schema))
    }

    async fn try_append(&self, append: Append) -> sqlx::Result<Result<Appended>> {
        let group = Group::new(vec![append]);
        let mut tx = self.pool.begin().await?;
        let early = match self.strategy {
            Strategy::LockAfterTheFacts => Some(self.facts(&group, &mut tx).await?),
            _ => None,
        };
        if matches!(self.strategy, Strategy::Lock | Strategy::LockAfterTheFacts) {
            let lock = self.sql("SELECT FROM {schema}.log FOR UPDATE");
            sqlx::query(lock).execute(&mut *tx).await?;
        }
        let facts = match early {
            Some(facts) => facts,
            None => self.facts(&group, &mut tx).await?,
        };
        let next = sqlx::query_scalar(self.sql("SELECT nextval('{schema}.positions')"));
        let next = position(next.fetch_one(&mut *tx).await?);
        let mut plan = group.decide(&facts, LogHead { next, ..LogHead::EMPTY }, Timestamp::now());
        self.dawdle().await;
        for event in &plan.rows {
            self.insert(event, &mut tx).await?;
        }
        self.dawdle().await;
        tx.commit().await?;
        Ok(plan.outcomes.remove(0))
    }

    /// Keeps the transaction open, so that others begin and commit in the meantime.
    async fn dawdle(&self) {
        let turn = self.appends.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(turn * 7 % 11)).await;
    }

    async fn facts(&self, group: &Group, tx: &mut PgConnection) -> sqlx::Result<Facts> {
        let streams: Vec<_> = group.needs().streams.iter().map(ToString::to_string).collect();
        let select = self.sql(
            "SELECT stream, max(version) FROM {schema}.events WHERE stream = ANY ($1) \
             GROUP BY stream",
        );
        let mut facts = Facts::default();
        for row in sqlx::query(select).bind(streams).fetch_all(tx).await? {
            let stream = StreamId::new(row.get::<String, _>(0)).expect("a name");
            let version = row.get::<i64, _>(1).cast_unsigned();
            facts.streams.insert(stream, Version::new(version).expect("a version"));
        }
        Ok(facts)
    }

    async fn insert(&self, event: &Event, tx: &mut PgConnection) -> sqlx::Result<()> {
        let insert = self.sql(
            "INSERT INTO {schema}.events (position, id, stream, version, type, recorded_at, tags, \
             metadata, payload) VALUES ($1, $2, $3, $4, $5, $6, '{}', '', $7)",
        );
        let insert = sqlx::query(insert)
            .bind(event.position().get().cast_signed())
            .bind(Uuid::from_bytes(*event.id().as_bytes()))
            .bind(event.stream().as_str())
            .bind(event.version().get().cast_signed())
            .bind(event.event_type().as_str())
            .bind(event.recorded_at().as_micros().cast_signed())
            .bind(&event.payload()[..]);
        insert.execute(tx).await.map(drop)
    }
}

fn position(number: i64) -> Position {
    Position::new(number.cast_unsigned()).expect("a position")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for RacingStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.try_append(append).await.map_err(failed)?
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.reads.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.reads.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.reads.head().await
    }

    fn commits(&self) -> Option<Commits> {
        None
    }
}
