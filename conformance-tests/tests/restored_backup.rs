//! What clients get when a log is restored from a backup: real stores, a real
//! server, SSE.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use downlink::transport::{Endpoint, Frame};
use downlink::{
    BoxError, Cursor, ErrorKind, Event, EventStore, EventStoreExt, Expected, Hub, LocalBus,
    NewEvent, Result, Subscribe, Transport,
};
use downlink_transports::Sse;
use futures::StreamExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A folder for a log and its backup.
struct LogFolder {
    folder: TempDir,
}

impl LogFolder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Restores as the book says: removes the files of the log, and puts the
    /// backup in their folder.
    fn restore(&self) {
        for name in ["flights.db", "flights.db-wal", "flights.db-shm"] {
            // Closing the last store has removed the other two files.
            let _ = fs::remove_file(self.file(name));
        }
        fs::rename(self.file("backup.db"), self.file("flights.db")).expect("the backup restored");
    }
}

/// A server of a store.
struct Server {
    hub: Hub,
    address: SocketAddr,
    serving: JoinHandle<Result<()>>,
    stop: CancellationToken,
}

impl Server {
    async fn start(store: Arc<dyn EventStore>) -> Self {
        let hub = Hub::builder(store, Arc::new(LocalBus::new()))
            .with_poll_interval(Duration::from_millis(20))
            .start()
            .await
            .expect("a hub");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (served, stop) = (hub.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let serving = tokio::spawn(async move { Sse.serve(served, listener, stopped).await });
        Self { hub, address, serving, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        let _ = soon(self.serving).await;
        self.hub.shutdown().await;
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("an answer in time")
}

/// Follows the log after a cursor until this many events came. Returns them,
/// and the stream of further frames.
async fn follow(
    address: SocketAddr,
    after: Cursor,
    count: usize,
) -> Result<(Vec<Event>, impl futures::Stream<Item = Result<Frame>> + Unpin)> {
    let endpoint = Endpoint::new(format!("http://{address}"));
    let mut frames = soon(Sse.connect(&endpoint, Subscribe::new().with_after(after))).await?;
    let mut events = Vec::new();
    while events.len() < count {
        if let Frame::Event { event, .. } = soon(frames.next()).await.expect("a frame")? {
            events.push(event);
        }
    }
    Ok((events, frames))
}

async fn append(store: &(impl EventStoreExt + ?Sized), stream: &str, count: usize) {
    let departed = || NewEvent::json("FlightDeparted", "{}").expect("an event");
    let events: Vec<_> = (0..count).map(|_| departed()).collect();
    store.append_to(stream, Expected::Any, events).await.expect("an append");
}

/// A cursor beyond a backup is refused by a server that was started on it, and
/// again when its log has grown past the cursor with other events.
async fn a_cursor_beyond_the_backup_is_refused<S: EventStore>(
    folder: &LogFolder,
    store: Arc<S>,
    open: impl AsyncFn(&Path) -> S,
    close: impl AsyncFn(&S),
) {
    let server = Server::start(store.clone()).await;
    append(&*store, "flight-AA1141", 2).await;
    let (events, frames) = follow(server.address, Cursor::START, 5).await.expect("a connection");
    let (kept, beyond) = (events[2].cursor(), events[4].cursor());
    drop(frames);
    server.end().await;
    close(&store).await;
    folder.restore();

    let store = Arc::new(open(&folder.file("flights.db")).await);
    let server = Server::start(store.clone()).await;
    let refused = follow(server.address, beyond, 0).await.err().expect("a refusal");
    assert_eq!(refused.kind(), ErrorKind::CursorAhead, "{refused}");
    append(&*store, "flight-DL1234", 2).await;
    let refused = follow(server.address, beyond, 0).await.err().expect("a refusal");
    assert_eq!(refused.kind(), ErrorKind::HistoryChanged, "{refused}");
    // A client that has seen only what is in the backup resumes as usual.
    let (events, _) = follow(server.address, kept, 2).await.expect("a connection");
    assert!(events.iter().all(|event| event.stream().as_str() == "flight-DL1234"), "{events:?}");
    server.end().await;
}

/// A client of a running server whose file is refolderd by a backup gets
/// `reset`.
async fn an_open_stream_is_reset<S: EventStore>(folder: &LogFolder, store: Arc<S>) {
    let server = Server::start(store.clone()).await;
    append(&*store, "flight-AA1141", 2).await;
    let (_, mut frames) = follow(server.address, Cursor::START, 5).await.expect("a connection");
    // The backup refolders the file that the store has open.
    fs::rename(folder.file("backup.db"), folder.file("flights.db")).expect("the backup restored");
    for end in ["-wal", "-shm"] {
        fs::remove_file(folder.file(&format!("flights.db{end}"))).expect("the old one's");
    }
    let last = loop {
        match soon(frames.next()).await {
            Some(Ok(frame @ Frame::Reset { .. })) => break frame,
            Some(Ok(_)) => {}
            other => panic!("the log was refolderd, and the stream ended with {other:?}"),
        }
    };
    let head = store.head().await.expect("the head");
    assert!(matches!(last, Frame::Reset { head: told, .. } if told == head), "{last:?}");
    assert!(soon(frames.next()).await.is_none(), "nothing follows a reset");
    server.end().await;
}

macro_rules! driver {
    ($name:ident, $driver:ident) => {
        mod $name {
            use super::*;

            async fn with_backup(folder: &LogFolder) -> Result<Arc<$driver::Store>, BoxError> {
                let store = $driver::open(folder.file("flights.db")).await?;
                append(&store, "flight-UA1545", 3).await;
                store.backup(folder.file("backup.db")).await?;
                Ok(Arc::new(store))
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_cursor_beyond_a_backup_is_refused() {
                let folder = LogFolder::new();
                let store = with_backup(&folder).await.expect("a backup");
                let open = async |path: &Path| $driver::open(path).await.expect("a log");
                let close = async |store: &$driver::Store| store.close().await;
                a_cursor_beyond_the_backup_is_refused(&folder, store, open, close).await;
            }

            #[cfg(unix)]
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_client_of_a_running_server_is_reset() {
                let folder = LogFolder::new();
                let store = with_backup(&folder).await.expect("a backup");
                an_open_stream_is_reset(&folder, store).await;
            }
        }
    };
}

mod rusqlite_driver {
    pub(crate) use downlink_rusqlite::{RusqliteStore as Store, open};
}

mod sqlx_driver {
    pub(crate) use downlink_sqlx::{SqlxStore as Store, open};
}

driver!(rusqlite, rusqlite_driver);
driver!(sqlx, sqlx_driver);
