//! Broken live queries: a store, a query, and a transport of one JSON text per line whose
//! client trusts its server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::live::{
    Answer, Change, Evaluated, Live, Model, Params, QueryStore, Token, Update, Watch, Work,
};
use downlink::memory::MemoryProjections;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionStore, Step, StepOutcome,
};
use downlink::{
    BoxError, Cursor, Error, ErrorKind, EventStore, Filter, Hub, MemoryStore, Position, Projection,
    Result,
};
use downlink_conformance_tests::Guard;
use downlink_conformance_tests::live::{Held, LiveFixture, LiveFollower, LiveSetup, LiveTransport};
use downlink_conformance_tests::projection::{Opened, ProjectionFixture};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::live_bug::LiveBug;

/// Live queries with this bug or none.
pub(crate) fn live_queries(bug: Option<LiveBug>) -> LiveSetup {
    let setup = LiveSetup::new(BrokenQueries(bug), BrokenLines(bug));
    match bug {
        Some(LiveBug::MissesAnEvent) => setup.with_affected_by(Filter::types(["Set"])),
        Some(LiveBug::IsAffectedByEverything) => setup.with_affected_by(Filter::everything()),
        _ => setup,
    }
}

/// Opens stores whose queries have this bug or none.
struct BrokenQueries(Option<LiveBug>);

type Lines = Vec<String>;

#[async_trait]
impl ProjectionFixture for BrokenQueries {
    type Tx = Lines;

    async fn open(&self) -> Result<Opened<Lines>> {
        Ok(self.open_queries().await?.0)
    }

    async fn make_list(&self, _: &str, tx: &mut Lines) -> Result<(), BoxError> {
        tx.clear();
        Ok(())
    }

    async fn add_line(&self, _: &str, line: &str, tx: &mut Lines) -> Result<(), BoxError> {
        tx.push(line.to_owned());
        Ok(())
    }

    async fn lines(&self, _: &Opened<Lines>, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl LiveFixture for BrokenQueries {
    async fn open_queries(&self) -> Result<(Opened<Lines>, Arc<dyn QueryStore<Tx = Lines>>)> {
        let (log, inner) = (MemoryStore::new(), MemoryProjections::new());
        let first_version = Arc::default();
        let models = BrokenModels { inner, log: log.clone(), bug: self.0, first_version };
        let opened = Opened {
            log: Arc::new(log),
            models: Arc::new(models.inner.clone()),
            guard: Guard::none(),
        };
        Ok((opened, Arc::new(models)))
    }

    async fn read_lines(&self, _: &str, tx: &mut Lines) -> Result<Vec<String>, BoxError> {
        Ok(tx.clone())
    }
}

#[derive(Clone, Debug)]
struct BrokenModels {
    inner: MemoryProjections<Lines>,
    log: MemoryStore,
    bug: Option<LiveBug>,
    first_version: Arc<AtomicU32>,
}

#[async_trait]
impl QueryStore for BrokenModels {
    fn query_readers(&self) -> usize {
        self.inner.query_readers()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<Lines>,
    ) -> Result<Evaluated> {
        let evaluated = self.inner.evaluate(projection, limit, work).await?;
        match self.bug {
            Some(LiveBug::ReportsTheHeadAsCheckpoint) => {
                // Long enough that events come in between on a quiet machine, too.
                sleep(Duration::from_millis(20)).await;
                Ok(Evaluated { checkpoint: self.log.head().await?, ..evaluated })
            }
            Some(LiveBug::ReadsTwoSnapshots) => {
                sleep(Duration::from_millis(20)).await;
                let nothing: Work<Lines> = Box::new(|_: Model<'_, Lines>| async { Ok(()) }.boxed());
                self.inner.evaluate(projection, limit, nothing).await
            }
            _ => Ok(evaluated),
        }
    }
}

#[async_trait]
impl ProjectionStore for BrokenModels {
    type Tx = Lines;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        if self.bug == Some(LiveBug::ReportsTheHeadAsCheckpoint) {
            return self.log.head().await;
        }
        self.inner.checkpoint(id).await
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = Lines>>,
        step: Step,
    ) -> Result<StepOutcome> {
        self.inner.step(projection, step).await
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = Lines>>) -> Result<()> {
        self.inner.reset(projection).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        let live = self.inner.live(name).await?;
        if self.bug == Some(LiveBug::KeepsTheFirstVersion)
            && let Some(live) = live
        {
            let set =
                self.first_version.compare_exchange(0, live, Ordering::SeqCst, Ordering::SeqCst);
            return Ok(Some(set.map_or_else(|first| first, |_| live)));
        }
        Ok(live)
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        self.inner.make_live(id).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        if self.bug == Some(LiveBug::ForgetsWhatWasAnnounced) {
            return Ok(Some(self.inner.checkpoint(id).await?));
        }
        self.inner.announced(id).await
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        self.inner.announce(id, from, to).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(id, after, limit).await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        self.inner.lease(id, lease).await
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        self.inner.release(id, token).await
    }
}

/// One JSON text per line: the client sends its token or `null`, and the server the frames.
struct BrokenLines(Option<LiveBug>);

#[async_trait]
impl LiveTransport for BrokenLines {
    async fn serve(
        &self,
        _hub: Hub,
        live: Live,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<()> {
        let bug = self.0;
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                let (live, stop) = (live.clone(), stop.clone());
                tokio::spawn(async move {
                    // A connection that fails is a cut.
                    let serving = serve(stream, &live, bug);
                    stop.run_until_cancelled(serving).await;
                });
            }
        };
        stop.run_until_cancelled(accept).await;
        Ok(())
    }

    fn follow(&self, server: SocketAddr, query: &str, _: Params) -> Box<dyn LiveFollower> {
        let (bug, query) = (self.0, query.to_owned());
        Box::new(TrustingClient {
            server,
            query,
            bug,
            connection: None,
            token: None,
            rows: Vec::new(),
        })
    }
}

async fn serve(stream: TcpStream, live: &Live, bug: Option<LiveBug>) -> Result<(), BoxError> {
    let mut stream = BufReader::new(stream);
    let mut hello = String::new();
    stream.read_line(&mut hello).await?;
    let (query, token): (String, Option<String>) = serde_json::from_str(&hello)?;
    let token: Option<Token> = token.map(|token| token.parse()).transpose()?;
    let mut updates = live.watch(Watch::new(query).with_after(token)).await?;
    let mut is_resumed = token.is_some();
    while let Some(update) = updates.next().await {
        let resumed = std::mem::take(&mut is_resumed);
        let Some(frame) = render(&update, resumed, bug) else { continue };
        stream.write_all(format!("{frame}\n").as_bytes()).await?;
    }
    Ok(())
}

fn render(update: &Update, is_resumed: bool, bug: Option<LiveBug>) -> Option<Value> {
    match update {
        Update::Result(answer) if is_resumed && bug == Some(LiveBug::TakesAStaleHash) => {
            Some(json!({"token": answer.token().to_string()}))
        }
        Update::Result(answer) => Some(result(answer)),
        Update::Rows(change) => rows(change, bug),
        Update::Checkpoint(answer) => Some(json!({"token": answer.token().to_string()})),
        _ => None,
    }
}

fn result(answer: &Answer) -> Value {
    let rows: Vec<_> = answer.rows().iter().map(|row| text(&row.json)).collect();
    json!({"token": answer.token().to_string(), "rows": rows})
}

/// Every second change is lost if the client does not compare the base.
fn rows(change: &Change, bug: Option<LiveBug>) -> Option<Value> {
    static LOST: Mutex<bool> = Mutex::new(false);
    if bug == Some(LiveBug::IgnoresTheBase) {
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        *lost = !*lost;
        if *lost {
            return None;
        }
    }
    let order = change.order().filter(|_| bug != Some(LiveBug::LeavesTheOrderOut));
    Some(json!({
        "token": change.token().to_string(),
        "put": change.put().iter().map(|row| text(&row.json)).collect::<Vec<_>>(),
        "del": change.del().iter().map(|key| text(key)).collect::<Vec<_>>(),
        "order": order.map(|order| order.iter().map(|key| text(key)).collect::<Vec<_>>()),
    }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A client that compares nothing.
struct TrustingClient {
    server: SocketAddr,
    query: String,
    bug: Option<LiveBug>,
    connection: Option<BufReader<TcpStream>>,
    token: Option<String>,
    rows: Vec<String>,
}

impl TrustingClient {
    async fn read(&mut self) -> Option<Value> {
        if self.connection.is_none() {
            let mut stream = TcpStream::connect(self.server).await.ok()?;
            let hello = format!("{}\n", json!([self.query, self.token]));
            stream.write_all(hello.as_bytes()).await.ok()?;
            self.connection = Some(BufReader::new(stream));
        }
        let mut line = String::new();
        let read = self.connection.as_mut()?.read_line(&mut line).await;
        if !read.is_ok_and(|read| read > 0 && line.ends_with('\n')) {
            self.connection = None;
        }
        serde_json::from_str(&line).ok()
    }

    fn apply(&mut self, frame: &Value) {
        let list = |name: &str| -> Option<Vec<String>> {
            serde_json::from_value(frame[name].clone()).ok()
        };
        if let Some(rows) = list("rows") {
            self.rows = rows;
        }
        if let Some(deleted) = list("del").filter(|_| self.bug != Some(LiveBug::KeepsDeletedRows)) {
            self.rows.retain(|row| !deleted.contains(&key(row)));
        }
        for row in list("put").unwrap_or_default() {
            let place = self.rows.iter().position(|held| key(held) == key(&row));
            match place.filter(|_| self.bug != Some(LiveBug::AddsInsteadOfReplacing)) {
                Some(place) => self.rows[place] = row,
                None => self.rows.push(row),
            }
        }
        if let Some(order) = list("order") {
            let place = |row: &String| order.iter().position(|key_of| *key_of == key(row));
            self.rows.sort_by_key(place);
        }
        self.token = frame["token"].as_str().map(ToOwned::to_owned);
    }
}

fn key(row: &str) -> String {
    let row: Value = serde_json::from_str(row).unwrap_or_default();
    row["stream"].to_string()
}

#[async_trait]
impl LiveFollower for TrustingClient {
    async fn next(&mut self) -> Result<Held> {
        let frame = loop {
            match self.read().await {
                Some(frame) => break frame,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        self.apply(&frame);
        let token = self.token.as_deref().unwrap_or_default().parse().map_err(|error| {
            Error::with_source(ErrorKind::Corrupt, "the server sent no token", error)
        })?;
        Ok(Held { token, rows: self.rows.clone() })
    }
}
