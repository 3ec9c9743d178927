//! Handwritten code for comparison: a pool of connections and a transaction for
//! each append, on the tables of the store.

use std::path::Path;
use std::time::{Duration, Instant};

use downlink::{EventId, Version};
use downlink_sqlite_schema::links::{Chain, Links, Next};
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{Durability, Pragmas, sql};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, SqliteConnection, SqlitePool};

use crate::measure::Rate;
use crate::raw::{Random, event, stream};

pub(crate) async fn pool(path: &Path, connections: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_mins(1))
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(Duration::from_mins(1))
        .after_connect(|connection, _| {
            Box::pin(async {
                let pragmas = Pragmas {
                    durability: Durability::Full,
                    cache_bytes: 8 << 20,
                    checkpoint_pages: 4_096,
                    is_shared: false,
                };
                connection.execute(AssertSqlSafe(pragmas.writer())).await.map(drop)
            })
        })
        .connect_with(options)
        .await
        .expect("a pool")
}

/// Runs `count` tasks that append through the pool.
pub(crate) async fn appenders(pool: &SqlitePool, count: u64, round: Duration) -> Rate {
    let began = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|task| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let (mut random, mut waits) = (Random::new(task + 1), Vec::new());
                while began.elapsed() < round {
                    let name = stream(random.below(1_000));
                    let asked = Instant::now();
                    append(&pool, &name).await.expect("stored");
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut rate = Rate::default();
    for task in tasks {
        rate.waits.extend(task.await.expect("no panic"));
    }
    rate.time = began.elapsed();
    rate.events = u64::try_from(rate.waits.len()).expect("a few");
    rate
}

async fn append(pool: &SqlitePool, name: &str) -> sqlx::Result<()> {
    let mut transaction = pool.begin_with(sql::BEGIN_WRITE).await?;
    let head: (i64, Option<Vec<u8>>, i64, i64) =
        sqlx::query_as(sql::HEAD).fetch_one(&mut *transaction).await?;
    let (position, generation) = (head.0 + 1, head.3 + 1);
    let end: Option<(i64, i64, i64)> =
        sqlx::query_as(sql::STREAM_HEAD).bind(name).fetch_optional(&mut *transaction).await?;
    let (key, version, links) = match end {
        None => {
            let added = sqlx::query(sql::ADD_STREAM).bind(name).execute(&mut *transaction).await?;
            (added.last_insert_rowid(), Version::FIRST, Chain::FIRST)
        }
        Some((key, version, at)) => {
            let (version, at) =
                (version_from_sql(version).expect("one"), position_from_sql(at).expect("one"));
            let links = links(&mut transaction, key, Chain::of_head(version, at)).await?;
            (key, version.next(), links)
        }
    };
    let (id, event_type) = (EventId::now(), event_type(&mut transaction).await?);
    let content = event();
    sqlx::query(sql::ADD_EVENT)
        .bind(position)
        .bind(&id.as_bytes()[..])
        .bind(key)
        .bind(version_to_sql(version))
        .bind(position_to_sql(links.prev))
        .bind(position_to_sql(links.jump))
        .bind(event_type)
        .bind(1_i64)
        .bind(None::<&str>)
        .bind(None::<&[u8]>)
        .bind(None::<&[u8]>)
        .bind(&content.payload()[..])
        .execute(&mut *transaction)
        .await?;
    sqlx::query(sql::SET_STREAM_HEAD)
        .bind(key)
        .bind(version_to_sql(version))
        .bind(position)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(sql::SET_HEAD)
        .bind(position)
        .bind(&id.as_bytes()[..])
        .bind(1_i64)
        .bind(generation)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

async fn event_type(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let name = "FlightDeparted";
    let known =
        sqlx::query_scalar(sql::TYPE_KEY).bind(name).fetch_optional(&mut *connection).await?;
    if let Some(key) = known {
        return Ok(key);
    }
    let added = sqlx::query(sql::ADD_TYPE).bind(name).execute(connection).await?;
    Ok(added.last_insert_rowid())
}

async fn links(
    connection: &mut SqliteConnection,
    key: i64,
    mut chain: Chain,
) -> sqlx::Result<Links> {
    loop {
        match chain.next() {
            Next::Ready(links) => return Ok(links),
            Next::Fetch(version, position) => {
                let jump = sqlx::query_scalar(sql::JUMP_AT)
                    .bind(position_to_sql(position))
                    .bind(key)
                    .bind(version_to_sql(version))
                    .fetch_one(&mut *connection)
                    .await?;
                chain.add_jump(position_from_sql(jump).expect("one"));
            }
        }
    }
}
