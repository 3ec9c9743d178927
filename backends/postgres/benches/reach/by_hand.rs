use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use downlink::EventId;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

use crate::load::{EVENT, next};
use crate::server::Server;

/// A row, decoded.
pub(crate) type Row =
    (i64, Uuid, String, i64, String, i64, Option<String>, Vec<String>, Vec<u8>, Vec<u8>);

/// A table with the columns and constraints of a log, and connections to it.
#[derive(Clone)]
pub(crate) struct ByHand {
    pub(crate) pool: PgPool,
    table: String,
    insert: String,
    inserted: Arc<AtomicUsize>,
}

impl ByHand {
    pub(crate) async fn create(server: &Server, table: &str, connections: u32) -> Self {
        let pool = pool(server, connections).await;
        let create = format!(
            "CREATE TABLE {table} (
                position bigserial PRIMARY KEY,
                id uuid NOT NULL UNIQUE,
                stream text COLLATE \"C\" NOT NULL,
                version bigint NOT NULL,
                type text COLLATE \"C\" NOT NULL,
                recorded_at bigint NOT NULL,
                content_type text COLLATE \"C\",
                tags text[] COLLATE \"C\" NOT NULL,
                metadata bytea NOT NULL,
                payload bytea NOT NULL,
                UNIQUE (stream, version)
            )"
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.expect("a table");
        let insert = format!(
            "INSERT INTO {table} (id, stream, version, type, recorded_at, tags, metadata, payload) \
             SELECT id, 'flight-' || version % 64, version, 'FlightDeparted', 0, '{{}}', '', $3 \
             FROM unnest($1::uuid[], $2::bigint[]) AS given (id, version) RETURNING position"
        );
        Self { pool, table: table.to_owned(), insert, inserted: Arc::default() }
    }

    /// Reads the rows from this position on, in the order of their positions.
    pub(crate) async fn read_from(&self, position: i64, limit: i64) -> Vec<Row> {
        let select = format!(
            "SELECT position, id, stream, version, type, recorded_at, content_type, tags, metadata, \
             payload FROM {} WHERE position >= $1 ORDER BY position LIMIT $2",
            self.table
        );
        let select = sqlx::query_as(AssertSqlSafe(select)).bind(position).bind(limit);
        select.fetch_all(&self.pool).await.expect("rows")
    }

    /// Reads the row at this position.
    pub(crate) async fn read(&self, position: i64) {
        assert_eq!(self.read_from(position, 1).await.len(), 1);
    }

    /// Inserts this many events with one statement.
    pub(crate) async fn insert(&self, on: impl PgExecutor<'_>, count: usize) -> usize {
        self.insert_at(on, count).await;
        count
    }

    /// Inserts events, and returns the position of one.
    pub(crate) async fn insert_at(&self, on: impl PgExecutor<'_>, count: usize) -> i64 {
        let first = next(&self.inserted, count);
        let ids: Vec<_> =
            (0..count).map(|_| Uuid::from_bytes(*EventId::now().as_bytes())).collect();
        let versions = first..first + count;
        let versions: Vec<_> =
            versions.map(|version| i64::try_from(version).expect("a few")).collect();
        let insert = sqlx::query_scalar(AssertSqlSafe(self.insert.clone()));
        let rows = insert.bind(ids).bind(versions).bind(EVENT.as_bytes()).fetch_all(on).await;
        rows.expect("the rows to be stored")[0]
    }
}

pub(crate) async fn pool(server: &Server, connections: u32) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections);
    pool.connect(&server.url()).await.expect("a pool")
}
