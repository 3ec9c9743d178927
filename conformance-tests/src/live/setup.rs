use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use downlink::live::{Live, Params, QueryStore};
use downlink::{
    Cursor, Event, EventStore, Expected, Filter, Hub, LocalBus, NewEvent, ProjectionHandle, Result,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::board::{self, Board, BoardQuery};
use super::{LiveFixture, LiveFollower, LiveTransport};
use crate::faults::Relay;
use crate::projection::Opened;
use crate::{sample, tasks};

/// A store whose read models can be queried, and a transport.
pub struct LiveSetup {
    fixture: Arc<dyn Opens>,
    transport: Arc<dyn LiveTransport>,
    affected_by: Filter,
}

impl fmt::Debug for LiveSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSetup")
    }
}

impl LiveSetup {
    /// Tests live queries on this store over this transport.
    #[must_use]
    pub fn new(fixture: impl LiveFixture, transport: impl LiveTransport) -> Self {
        Self {
            fixture: Arc::new(Fixture(Arc::new(fixture))),
            transport: Arc::new(transport),
            affected_by: board::filter(),
        }
    }

    /// Lets the query claim that only these events affect it, for tests of the suite.
    #[must_use]
    pub fn with_affected_by(mut self, filter: Filter) -> Self {
        self.affected_by = filter;
        self
    }

    pub(super) async fn open(&self) -> Log {
        let evaluations = Arc::new(AtomicUsize::new(0));
        let models = self.fixture.open(&self.affected_by, &evaluations).await;
        let bus = LocalBus::new();
        Log { models, bus, transport: Arc::clone(&self.transport), evaluations }
    }
}

/// A fixture, independent of its transaction type.
#[async_trait]
trait Opens: Send + Sync {
    async fn open(
        &self,
        affected_by: &Filter,
        evaluations: &Arc<AtomicUsize>,
    ) -> Arc<dyn LiveModels>;
}

struct Fixture<F>(Arc<F>);

#[async_trait]
impl<F: LiveFixture> Opens for Fixture<F> {
    async fn open(
        &self,
        affected_by: &Filter,
        evaluations: &Arc<AtomicUsize>,
    ) -> Arc<dyn LiveModels> {
        let (opened, queries) = self.0.open_queries().await.expect("an empty log and its models");
        Arc::new(TypedModels {
            fixture: Arc::clone(&self.0),
            opened,
            queries,
            affected_by: affected_by.clone(),
            evaluations: Arc::clone(evaluations),
        })
    }
}

/// One log and its read model, independent of the transaction type.
trait LiveModels: Send + Sync {
    fn log(&self) -> &Arc<dyn EventStore>;
    fn project(&self, hub: &Hub, version: u32) -> ProjectionHandle;
    fn live(&self, hub: &Hub, handles: &[ProjectionHandle]) -> Live;
}

struct TypedModels<F: LiveFixture> {
    fixture: Arc<F>,
    opened: Opened<F::Tx>,
    queries: Arc<dyn QueryStore<Tx = F::Tx>>,
    affected_by: Filter,
    evaluations: Arc<AtomicUsize>,
}

impl<F: LiveFixture> LiveModels for TypedModels<F> {
    fn log(&self) -> &Arc<dyn EventStore> {
        &self.opened.log
    }

    fn project(&self, hub: &Hub, version: u32) -> ProjectionHandle {
        let board = Board { fixture: Arc::clone(&self.fixture), version };
        hub.project(board, Arc::clone(&self.opened.models)).start().expect("a projection")
    }

    fn live(&self, hub: &Hub, handles: &[ProjectionHandle]) -> Live {
        let query = BoardQuery {
            fixture: Arc::clone(&self.fixture),
            affected_by: self.affected_by.clone(),
            evaluations: Arc::clone(&self.evaluations),
        };
        let live = Live::builder(hub, Arc::clone(&self.queries)).with_query(query);
        let live = handles.iter().fold(live, downlink::live::LiveBuilder::with_model);
        live.start().expect("live queries")
    }
}

/// One log, which several servers share.
pub(super) struct Log {
    models: Arc<dyn LiveModels>,
    bus: LocalBus,
    transport: Arc<dyn LiveTransport>,
    evaluations: Arc<AtomicUsize>,
}

impl Log {
    pub(super) async fn hub(&self) -> Hub {
        let hub = Hub::builder(Arc::clone(self.models.log()), Arc::new(self.bus.clone()));
        hub.with_poll_interval(Duration::from_millis(50)).start().await.expect("a hub")
    }

    /// Starts a process that builds these versions of the model and serves the query.
    pub(super) async fn serve(&self, versions: &[u32]) -> Process {
        let hub = self.hub().await;
        let handles: Vec<_> =
            versions.iter().map(|version| self.models.project(&hub, *version)).collect();
        for handle in &handles {
            let live = tasks::soon("a model never becomes live", handle.wait_live()).await;
            live.expect("a complete read model");
        }
        let live = self.models.live(&hub, &handles);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let serving = {
            let (transport, hub, stop) = (Arc::clone(&self.transport), hub.clone(), stop.clone());
            let live = live.clone();
            tokio::spawn(async move { transport.serve(hub, live, listener, stop).await })
        };
        Process { hub, handles, live, address, stop, serving }
    }

    /// Live queries in a process that does not build the model.
    pub(super) fn live_elsewhere(&self, hub: &Hub) -> Live {
        self.models.live(hub, &[])
    }

    pub(super) fn project(&self, hub: &Hub, version: u32) -> ProjectionHandle {
        self.models.project(hub, version)
    }

    pub(super) fn evaluations(&self) -> usize {
        self.evaluations.load(Ordering::SeqCst)
    }

    pub(super) fn follow(&self, relay: &Relay) -> Box<dyn LiveFollower> {
        self.transport.follow(relay.address(), "board", Params::new())
    }

    pub(super) async fn events(&self) -> Vec<Event> {
        sample::log(&**self.models.log()).await
    }
}

/// One process that serves the query.
pub(super) struct Process {
    pub(super) hub: Hub,
    pub(super) handles: Vec<ProjectionHandle>,
    pub(super) live: Live,
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<()>>,
}

impl Process {
    pub(super) async fn append(&self, stream: &str, event: NewEvent) -> Cursor {
        append(&self.hub, stream, event).await
    }

    pub(super) async fn end(&self) {
        self.stop.cancel();
        tasks::soon("a hub does not shut down", self.hub.shutdown()).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
        self.serving.abort();
    }
}

pub(super) async fn append(hub: &Hub, stream: &str, event: NewEvent) -> Cursor {
    let appended = hub.append_to(stream, Expected::Any, [event]).await;
    appended.expect("an append through the hub").cursor
}
