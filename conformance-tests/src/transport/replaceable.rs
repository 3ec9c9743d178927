use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::transport::Frame;
use downlink::{Cursor, Expected, Hub, LocalBus, Subscribe};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::setup::connect;
use crate::fixture::{ReplaceableFixture, TransportFixture};
use crate::sample::append;

/// A store whose log can be restored while it runs, and a transport.
pub struct ReplaceableTransportSetup {
    store: Arc<dyn ReplaceableFixture>,
    transport: Arc<dyn TransportFixture>,
}

impl fmt::Debug for ReplaceableTransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaceableTransportSetup")
    }
}

impl ReplaceableTransportSetup {
    /// Tests this transport, over this store.
    #[must_use]
    pub fn new(store: impl ReplaceableFixture, transport: impl TransportFixture) -> Self {
        Self { store: Arc::new(store), transport: Arc::new(transport) }
    }
}

/// **Law.** A client whose log is replaced gets `reset`, after which nothing
/// follows. Its cursor is refused, and the restored log is served.
pub async fn a_running_server_reports_a_restore(setup: &ReplaceableTransportSetup) {
    let (store, backups) = setup.store.open().await.expect("a fresh store");
    let hub = Hub::builder(Arc::clone(&store), Arc::new(LocalBus::new()))
        .with_poll_interval(Duration::from_millis(20))
        .start();
    let hub = hub.await.expect("a hub");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (transport, stop) = (setup.transport.transport(), CancellationToken::new());
    let serving = {
        let (transport, hub, stop) = (Arc::clone(&transport), hub.clone(), stop.clone());
        tokio::spawn(async move { transport.serve(hub, listener, stop).await })
    };
    hub.append(append("flight-UA1545", Expected::NoStream, 3)).await.expect("an append");
    backups.back_up().await.expect("a copy");
    hub.append(append("flight-UA1545", Expected::Exists, 4)).await.expect("an append");
    let mut client = connect(&transport, address, Subscribe::new()).await.expect("a connection");
    client.until(7, "the log was not delivered").await;
    backups.restore().await.expect("the copy restored");
    client.until_the_end().await;
    let reset = matches!(client.seen.last(), Some(Frame::Reset { .. }));
    assert!(
        reset,
        "a client did not get `reset` when the log was replaced; the last frame was {:?}",
        client.seen.last()
    );
    let old = client.cursor().expect("a cursor");
    let refused = connect(&transport, address, Subscribe::new().with_after(old)).await.err();
    assert!(
        refused.is_some_and(|error| error.is_other_history()),
        "a cursor of events that are gone was served"
    );
    let now = connect(&transport, address, Subscribe::new().with_after(Cursor::START)).await;
    let mut now = now.expect("a connection");
    now.until_live().await;
    assert_eq!(now.events().count(), 3, "the restored log has to be served");
    stop.cancel();
    serving.abort();
}
