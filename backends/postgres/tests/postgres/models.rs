use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::Transacted;
use downlink::live::QueryStore;
use downlink::{BoxError, EventStore, Result};
use downlink_conformance_tests::live::LiveFixture;
use downlink_conformance_tests::projection::{DurableProjectionFixture, Opened, ProjectionFixture};
use downlink_conformance_tests::{Application, Guard, TransactionStep, TransactionalFixture};
use downlink_postgres::{Options, PostgresStore};
use futures::FutureExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::fixture::failed;
use crate::server::{Server, fresh_schema, options};

/// A log, and tables of the application in a schema of their own, which the connections of the
/// store search.
pub(crate) struct Models;

/// The schema of the application, and a store whose connections search it.
pub(crate) struct Tables {
    schema: String,
    pub(crate) store: PostgresStore,
}

impl Tables {
    async fn open() -> Result<Self> {
        let (schema, tables, url) = addresses();
        Self::with(tables, options(&schema), &url).await
    }

    /// The same through this URL, whose user searches the schema of the application.
    pub(crate) async fn with(schema: String, options: Options, url: &str) -> Result<Self> {
        execute(format!("CREATE SCHEMA {schema}")).await?;
        let store = options.connect(url).await?;
        Ok(Self { schema, store })
    }

    /// With the table that the laws of transactions write to.
    pub(crate) async fn with_rows(self) -> Result<Self> {
        execute(format!("CREATE TABLE {}.rows (name text)", self.schema)).await?;
        Ok(self)
    }

    pub(crate) fn opened(self) -> Opened<PgConnection> {
        let store = self.store.clone();
        let guard = Guard::new(self);
        Opened { log: Arc::new(store.clone()), models: Arc::new(store), guard }
    }

    async fn texts(&self, select: &str) -> Result<Vec<String>> {
        let mut connection = PgConnection::connect(&Server::get().url()).await.map_err(failed)?;
        let select = AssertSqlSafe(select.replace("{schema}", &self.schema));
        sqlx::query_scalar(select).fetch_all(&mut connection).await.map_err(failed)
    }
}

/// A schema for a log, one for its read models, and the URL with which these are found.
fn addresses() -> (String, String, String) {
    let schema = fresh_schema();
    let tables = format!("{schema}_tables");
    let url = format!("{}&options[search_path]={tables}", Server::get().url());
    (schema, tables, url)
}

pub(crate) async fn execute(sql: String) -> Result<()> {
    let mut connection = PgConnection::connect(&Server::get().url()).await.map_err(failed)?;
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    done.map(drop).map_err(failed)
}

#[async_trait]
impl ProjectionFixture for Models {
    type Tx = PgConnection;

    async fn open(&self) -> Result<Opened<PgConnection>> {
        Ok(Tables::open().await?.opened())
    }

    async fn make_list(&self, list: &str, tx: &mut PgConnection) -> Result<(), BoxError> {
        let sql = format!(
            "DROP TABLE IF EXISTS {list}; \
             CREATE TABLE {list} (number bigserial PRIMARY KEY, line text)"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx).await?;
        Ok(())
    }

    async fn add_line(
        &self,
        list: &str,
        line: &str,
        tx: &mut PgConnection,
    ) -> Result<(), BoxError> {
        let sql = format!("INSERT INTO {list} (line) VALUES ($1)");
        sqlx::query(AssertSqlSafe(sql)).bind(line).execute(tx).await?;
        Ok(())
    }

    async fn lines(&self, opened: &Opened<PgConnection>, list: &str) -> Result<Vec<String>> {
        let tables = opened.guard.get::<Tables>().expect("what `open` keeps");
        let exists = "SELECT table_name::text FROM information_schema.tables \
                      WHERE table_schema = '{schema}'";
        if !tables.texts(exists).await?.iter().any(|name| name == list) {
            return Ok(Vec::new());
        }
        tables.texts(&format!("SELECT line FROM {{schema}}.{list} ORDER BY number")).await
    }
}

#[async_trait]
impl DurableProjectionFixture for Models {
    async fn create(&self) -> Result<(String, Guard)> {
        let (schema, tables, url) = addresses();
        execute(format!("CREATE SCHEMA {tables}")).await?;
        Ok((format!("{schema} {tables} {url}"), Guard::none()))
    }

    async fn open_at(&self, address: &str) -> Result<Opened<PgConnection>> {
        let parts: Vec<_> = address.split(' ').collect();
        let store = options(parts[0]).connect(parts[2]).await?;
        Ok(Tables { schema: parts[1].to_owned(), store }.opened())
    }
}

#[async_trait]
impl LiveFixture for Models {
    async fn open_queries(&self) -> Result<(Opened<Self::Tx>, Arc<dyn QueryStore<Tx = Self::Tx>>)> {
        let opened = ProjectionFixture::open(self).await?;
        let tables = opened.guard.get::<Tables>().expect("what `open` keeps");
        let store = tables.store.clone();
        Ok((opened, Arc::new(store)))
    }

    async fn read_lines(&self, list: &str, tx: &mut PgConnection) -> Result<Vec<String>, BoxError> {
        let sql = format!("SELECT line FROM {list} ORDER BY number");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(tx).await?)
    }
}

#[async_trait]
impl TransactionalFixture for Models {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)> {
        let tables = Tables::open().await?.with_rows().await?;
        Ok((Arc::new(tables.store.clone()), Arc::new(tables)))
    }
}

#[async_trait]
impl Application for Tables {
    async fn transact(&self, steps: Vec<TransactionStep>) -> Result<bool, BoxError> {
        let transacted = self.store.transact(move |tx| {
            async move {
                for step in steps {
                    match step {
                        TransactionStep::InsertRow(name) => {
                            let add = sqlx::query("INSERT INTO rows VALUES ($1)").bind(name);
                            add.execute(tx.rows().await?).await?;
                        }
                        TransactionStep::Append(append) => drop(tx.append(append).await?),
                        TransactionStep::AppendIgnoringErrors(append) => {
                            drop(tx.append(append).await);
                        }
                        TransactionStep::Fail => {
                            return Err(BoxError::from("this step fails on purpose"));
                        }
                        TransactionStep::Panic => panic!("this step panics on purpose"),
                    }
                }
                Ok(())
            }
            .boxed()
        });
        Ok(matches!(transacted.await?, Transacted::Duplicate(_)))
    }

    async fn rows(&self) -> Result<Vec<String>> {
        self.texts("SELECT name FROM {schema}.rows ORDER BY name COLLATE \"C\"").await
    }
}
