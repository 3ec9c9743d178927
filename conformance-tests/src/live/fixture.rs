use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::live::{Live, Params, QueryStore, Token};
use downlink::{BoxError, Hub, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::projection::{Opened, ProjectionFixture};

/// Opens stores whose read models can be queried: for [`live_matrix!`](crate::live_matrix!).
#[async_trait]
pub trait LiveFixture: ProjectionFixture {
    /// As [`open`](ProjectionFixture::open), with the store for queries.
    async fn open_queries(&self) -> Result<(Opened<Self::Tx>, Arc<dyn QueryStore<Tx = Self::Tx>>)>;

    /// Reads the lines of a list in order, in the transaction of a query.
    async fn read_lines(&self, list: &str, tx: &mut Self::Tx) -> Result<Vec<String>, BoxError>;
}

/// Serves live queries, and follows them.
#[async_trait]
pub trait LiveTransport: Send + Sync + 'static {
    /// Serves these queries on this listener until `stop` is cancelled.
    async fn serve(
        &self,
        hub: Hub,
        live: Live,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<()>;

    /// Follows a query of the server at this address. The follower reconnects by itself, soon
    /// after a connection was cut, and resumes.
    fn follow(&self, server: SocketAddr, query: &str, params: Params) -> Box<dyn LiveFollower>;
}

/// A client that keeps the rows of a live query.
#[async_trait]
pub trait LiveFollower: Send {
    /// Waits for the next frame that changes the rows or their cursor.
    async fn next(&mut self) -> Result<Held>;
}

/// The rows that a client holds after a frame.
#[derive(Clone, Debug)]
pub struct Held {
    /// What they are the answer of.
    pub token: Token,
    /// The rows as JSON, in order.
    pub rows: Vec<String>,
}
