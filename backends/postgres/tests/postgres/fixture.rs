use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::decider::SnapshotStore;
use downlink::{BoxError, Bus, Error, ErrorKind, EventStore, EventType, LocalBus, Result};
use downlink_conformance_tests::{
    BoundedFixture, BusFixture, CrossProcessFixture, DurableFixture, DurableLog,
    GroupCommitFixture, Guard, SnapshotFixture, SnapshotPlace, StoreFixture, WriteLock,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Mutex;

use crate::server::{Server, fresh_schema, options};

/// How long a store waits while its log is locked.
const PATIENT: Duration = Duration::from_mins(1);

/// A schema of its own for each log.
pub(crate) struct Postgres;

#[async_trait]
impl StoreFixture for Postgres {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let schema = fresh_schema();
        let store = options(&schema).connect(&Server::get().url()).await?;
        Ok((Arc::new(store), Guard::new(schema)))
    }
}

#[async_trait]
impl DurableFixture for Postgres {
    async fn create(&self) -> Result<Box<dyn DurableLog>> {
        Ok(Box::new(Schema(fresh_schema())))
    }
}

struct Schema(String);

#[async_trait]
impl DurableLog for Schema {
    async fn open(&self) -> Result<Arc<dyn EventStore>> {
        Ok(Arc::new(options(&self.0).connect(&Server::get().url()).await?))
    }
}

#[async_trait]
impl SnapshotFixture for Postgres {
    async fn create(&self) -> Result<Box<dyn SnapshotPlace>> {
        Ok(Box::new(Schema(fresh_schema())))
    }
}

#[async_trait]
impl SnapshotPlace for Schema {
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>> {
        Ok(Arc::new(options(&self.0).connect(&Server::get().url()).await?))
    }
}

#[async_trait]
impl BoundedFixture for Postgres {
    async fn open(&self, queue: usize) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let schema = fresh_schema();
        let options = options(&schema).with_queue(queue).with_busy_deadline(PATIENT);
        let store = options.connect(&Server::get().url()).await?;
        Ok((Arc::new(store), Box::new(Lock::of(schema).await?)))
    }
}

#[async_trait]
impl GroupCommitFixture for Postgres {
    async fn open(&self, poison: &EventType) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let schema = fresh_schema();
        let options = options(&schema).with_busy_deadline(PATIENT);
        let store = options.connect(&Server::get().url()).await?;
        let lock = Lock::of(schema).await?;
        lock.poison(poison).await?;
        Ok((Arc::new(store), Box::new(lock)))
    }
}

/// Holds the log's lock, like another process with a long transaction.
pub(crate) struct Lock {
    connection: Mutex<PgConnection>,
    schema: String,
}

impl Lock {
    pub(crate) async fn of(schema: String) -> Result<Self> {
        let connection = PgConnection::connect(&Server::get().url()).await.map_err(failed)?;
        Ok(Self { connection: Mutex::new(connection), schema })
    }

    /// Makes the insertion of events of this type fail.
    pub(crate) async fn poison(&self, poison: &EventType) -> Result<()> {
        let schema = &self.schema;
        self.execute(format!(
            "CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$; \
             CREATE TRIGGER poison BEFORE INSERT ON {schema}.events FOR EACH ROW \
             WHEN (NEW.type = '{poison}') EXECUTE FUNCTION {schema}.refuse()"
        ))
        .await
    }

    async fn execute(&self, sql: String) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await;
        done.map(drop).map_err(failed)
    }
}

#[async_trait]
impl WriteLock for Lock {
    async fn hold(&self) -> Result<()> {
        self.execute(format!("BEGIN; SELECT FROM {}.log FOR UPDATE", self.schema)).await
    }

    async fn release(&self) -> Result<()> {
        self.execute("ROLLBACK".into()).await
    }
}

pub(crate) fn failed(error: impl Into<BoxError>) -> Error {
    Error::with_source(ErrorKind::Backend, "the fixture failed", error)
}

/// The bus of the server: `LISTEN` and `NOTIFY`.
pub(crate) struct Notify;

#[async_trait]
impl BusFixture for Notify {
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>> {
        let schema = store.get::<String>().expect("what the store keeps");
        Ok(Arc::new(options(schema).connect_bus(&Server::get().url()).await?))
    }
}

#[async_trait]
impl CrossProcessFixture for Postgres {
    async fn create(&self) -> Result<(String, Guard)> {
        let schema = fresh_schema();
        Ok((format!("{schema} {}", Server::get().url()), Guard::none()))
    }

    async fn open(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        let (schema, url) = address.split_once(' ').expect("what `create` returns");
        let store = options(schema).connect(url).await?;
        Ok((Arc::new(store), Arc::new(options(schema).connect_bus(url).await?)))
    }

    async fn open_in_child(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        CrossProcessFixture::open(self, address).await
    }

    async fn open_with_short_timeout(&self) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let schema = fresh_schema();
        let options = options(&schema).with_busy_deadline(Duration::from_millis(200));
        let store = options.connect(&Server::get().url()).await?;
        Ok((Arc::new(store), Box::new(Lock::of(schema).await?)))
    }

    async fn verify(&self, _: &str) -> Result<()> {
        // The constraints of the tables hold, and the laws compare the versions of all events.
        Ok(())
    }
}

/// The bus of one process.
pub(crate) struct Local;

#[async_trait]
impl BusFixture for Local {
    async fn open(&self, _: &Guard) -> Result<Arc<dyn Bus>> {
        Ok(Arc::new(LocalBus::new()))
    }
}
