//! Read models that are written once, over PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../any/models.rs"]
#[allow(dead_code, reason = "shared with the tests of files")]
mod models;
#[path = "../../../postgres/tests/postgres/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the store")]
mod server;
#[path = "../any/values.rs"]
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use downlink::decider::SnapshotStore;
use downlink::{BoxError, Error, ErrorKind, Result};
use downlink_any::{BusUrl, Log, Options, StoreUrl, Tx};
use downlink_conformance_tests::projection::{Opened, ProjectionFixture};
use downlink_conformance_tests::{Guard, SnapshotFixture, SnapshotPlace};
use server::{Server, fresh_schema};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A log and tables of the application, each in a schema of its own.
struct InPostgres;

/// The schema of the application.
struct Tables(String);

fn failed(error: impl Into<BoxError>) -> Error {
    Error::with_source(ErrorKind::Backend, "the fixture failed", error)
}

async fn open() -> Result<(Log, Tables)> {
    let (schema, tables) = (fresh_schema(), fresh_schema());
    let url = Server::get().url();
    let mut connection = PgConnection::connect(&url).await.map_err(failed)?;
    let create = sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {tables}")));
    create.execute(&mut connection).await.map_err(failed)?;
    let store = StoreUrl::Postgres(format!("{url}&options[search_path]={tables}"));
    let log = Options::new(store)
        .with_postgres(server::options(&schema))
        .with_bus(BusUrl::Local)
        .open()
        .await?;
    Ok((log, Tables(tables)))
}

#[async_trait]
impl ProjectionFixture for InPostgres {
    type Tx = Tx;

    async fn open(&self) -> Result<Opened<Tx>> {
        let (log, tables) = open().await?;
        Ok(models::opened(&log, Guard::new(tables)).0)
    }

    async fn make_list(&self, list: &str, tx: &mut Tx) -> Result<(), BoxError> {
        models::make_list(list, tx).await
    }

    async fn add_line(&self, list: &str, line: &str, tx: &mut Tx) -> Result<(), BoxError> {
        models::add_line(list, line, tx).await
    }

    async fn lines(&self, opened: &Opened<Tx>, list: &str) -> Result<Vec<String>> {
        let Tables(schema) = opened.guard.get().expect("what `open` keeps");
        let mut connection = PgConnection::connect(&Server::get().url()).await.map_err(failed)?;
        let exists = "SELECT to_regclass($1) IS NOT NULL";
        let exists = sqlx::query_scalar(exists).bind(format!("{schema}.{list}"));
        if !exists.fetch_one(&mut connection).await.map_err(failed)? {
            return Ok(Vec::new());
        }
        let select = AssertSqlSafe(format!("SELECT line FROM {schema}.{list} ORDER BY number"));
        sqlx::query_scalar(select).fetch_all(&mut connection).await.map_err(failed)
    }
}

#[async_trait]
impl SnapshotFixture for InPostgres {
    async fn create(&self) -> Result<Box<dyn SnapshotPlace>> {
        Ok(Box::new(Schema(fresh_schema())))
    }
}

/// The schema of a log.
struct Schema(String);

#[async_trait]
impl SnapshotPlace for Schema {
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>> {
        let options = Options::new(StoreUrl::Postgres(Server::get().url()))
            .with_postgres(server::options(&self.0))
            .with_bus(BusUrl::Local);
        Ok(options.open().await?.snapshots())
    }
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(
        InPostgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod projection_store {
    use super::*;
    downlink_conformance_tests::projection_store!(
        InPostgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn values_come_back_from_a_database() {
    values::values_come_back(&open().await.unwrap().0).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_type_that_is_not_everywhere_is_refused_with_advice() {
    let mut connection = PgConnection::connect(&Server::get().url()).await.unwrap();
    let tx: &mut Tx = &mut connection;
    let refused = tx.fetch("SELECT 1.5::numeric AS share", Vec::new()).await.unwrap_err();
    assert!(refused.to_string().contains("\"share\"") && refused.to_string().contains("cast"));
    let select = r#"SELECT true, 2::smallint, '"x"'::json, 'n'::name"#;
    let rows = tx.fetch(select, Vec::new()).await.unwrap();
    let expected = [1_i64.into(), 2_i64.into(), "\"x\"".into(), "n".into()];
    assert_eq!(rows[0].values(), expected);
}
