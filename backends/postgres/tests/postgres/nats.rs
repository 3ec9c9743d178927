use std::sync::Arc;

use async_trait::async_trait;
use downlink::{Bus, EventStore, Result};
use downlink_conformance_tests::{BusFixture, CrossProcessFixture, Guard, WriteLock};
use downlink_nats::NatsBus;

use crate::fixture::Postgres;
use crate::nats_server;
use crate::server::options;

/// NATS, with a subject for each log.
pub(crate) struct Nats;

#[async_trait]
impl BusFixture for Nats {
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>> {
        let schema = store.get::<String>().expect("what the store keeps");
        Ok(Arc::new(NatsBus::connect(&nats_server::Server::shared().url(), schema).await?))
    }
}

/// Processes with a log in PostgreSQL that wake each other over NATS.
pub(crate) struct PostgresOverNats;

#[async_trait]
impl CrossProcessFixture for PostgresOverNats {
    async fn create(&self) -> Result<(String, Guard)> {
        let (address, guard) = CrossProcessFixture::create(&Postgres).await?;
        Ok((format!("{} {address}", nats_server::Server::shared().url()), guard))
    }

    async fn open(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        let parts: Vec<_> = address.splitn(3, ' ').collect();
        let [nats, schema, url] = parts[..] else { panic!("{address:?} is not from `create`") };
        let store = options(schema).connect(url).await?;
        Ok((Arc::new(store), Arc::new(NatsBus::connect(nats, schema).await?)))
    }

    async fn open_in_child(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)> {
        CrossProcessFixture::open(self, address).await
    }

    async fn open_with_short_timeout(&self) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        Postgres.open_with_short_timeout().await
    }

    async fn verify(&self, address: &str) -> Result<()> {
        Postgres.verify(address).await
    }
}
