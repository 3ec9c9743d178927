//! What live queries cost, in memory:
//!
//! ```console
//! $ cargo bench -p downlink --bench live
//! ```
//!
//! - evaluations with one and with 1,000 subscribers of one question: the same number;
//! - 10,240 questions, of which each event concerns one: as many evaluations as events;
//! - the memory of a question, with its task, its answer and one subscriber.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use downlink::live::{
    Live, LiveError, LiveQuery, LiveSubscription, Model, Params, Rows, Scope, Watch,
};
use downlink::memory::MemoryProjections;
use downlink::{
    BoxError, Event, Expected, Filter, FilterItem, Hub, NewEvent, Projection, ProjectionHandle,
};
use serde_json::json;
use tokio::time::sleep;

type Sums = BTreeMap<String, u64>;

/// How many sets of live queries there are, each with as many questions as it may have.
const SETS: usize = 10;

#[derive(Debug)]
struct SumModel;

#[async_trait]
impl Projection for SumModel {
    type Tx = Sums;

    fn name(&self) -> &'static str {
        "sums"
    }

    async fn prepare(&self, sums: &mut Sums) -> Result<(), BoxError> {
        sums.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], sums: &mut Sums) -> Result<(), BoxError> {
        for event in events {
            *sums.entry(event.stream().to_string()).or_default() += 1;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SumQuery(Arc<AtomicUsize>);

#[async_trait]
impl LiveQuery for SumQuery {
    type Tx = Sums;
    type Principal = ();

    fn name(&self) -> &'static str {
        "sums"
    }

    fn projection(&self) -> &'static str {
        "sums"
    }

    fn key(&self) -> &'static str {
        "stream"
    }

    fn parameters(&self) -> &[&str] {
        &["stream"]
    }

    fn scope(&self, _: Option<&()>, _: &Params) -> Result<Scope, LiveError> {
        Ok(Scope::everything())
    }

    async fn eval(
        &self,
        model: &mut Model<'_, Sums>,
        _: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let stream = params.get("stream").unwrap_or_default();
        let sum = model.get(stream).copied().unwrap_or_default();
        Ok(Rows::collect([json!({"stream": stream, "sum": sum})])?)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> downlink::Result<Filter> {
        let stream = params.get("stream").unwrap_or_default();
        Ok(FilterItem::new().with_stream(stream)?.into())
    }
}

struct Bench {
    hub: Hub,
    model: ProjectionHandle,
    sets: Vec<Live>,
    evaluations: Arc<AtomicUsize>,
}

impl Bench {
    async fn new(sets: usize) -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let models = MemoryProjections::new();
        let model = hub.project(SumModel, models.clone()).start().unwrap();
        model.wait_live().await.unwrap();
        let evaluations = Arc::new(AtomicUsize::new(0));
        let set = || {
            let live = Live::builder(&hub, models.clone());
            let live = live.with_query(SumQuery(Arc::clone(&evaluations))).with_model(&model);
            live.start().unwrap()
        };
        let sets = (0..sets).map(|_| set()).collect();
        Self { hub, model, sets, evaluations }
    }

    async fn append(&self, stream: &str) {
        let event = NewEvent::json("Added", "{}").unwrap();
        let appended = self.hub.append_to(stream, Expected::Any, [event]).await.unwrap();
        self.model.wait_for(appended.cursor).await.unwrap();
    }

    async fn watch(&self, number: usize) -> LiveSubscription {
        let live = &self.sets[number % self.sets.len()];
        let params = Params::new().with("stream", format!("s{number}"));
        live.watch(Watch::new("sums").with_params(params)).await.unwrap()
    }

    fn take_evaluations(&self) -> usize {
        self.evaluations.swap(0, Ordering::Relaxed)
    }
}

/// Evaluations of one question on a busy log with this many subscribers.
async fn subscribers(count: usize) {
    let bench = Bench::new(1).await;
    let updates = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let (mut subscription, updates) = (bench.watch(0).await, Arc::clone(&updates));
        tokio::spawn(async move {
            while subscription.next().await.is_some() {
                updates.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    bench.take_evaluations();
    let (began, mut events) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(5) {
        bench.append("s0").await;
        events += 1;
        sleep(Duration::from_millis(2)).await;
    }
    let per_second = bench.take_evaluations() / 5;
    let updates = updates.load(Ordering::Relaxed);
    println!(
        "{count:>6} subscribers of one question: {per_second} evaluations/s for {} events/s, \
         {updates} updates",
        events / 5
    );
    bench.hub.shutdown().await;
}

async fn questions() {
    const EVENTS: usize = 2_000;
    let bench = Bench::new(SETS).await;
    let alone = time(&bench, EVENTS).await;
    let before = resident();
    let count = SETS * downlink::limits::MAX_LIVE_KEYS;
    let mut subscriptions = Vec::with_capacity(count);
    for number in 0..count {
        subscriptions.push(bench.watch(number).await);
    }
    let bytes = resident().saturating_sub(before) / count;
    bench.take_evaluations();
    let watched = time(&bench, EVENTS).await;
    sleep(Duration::from_secs(1)).await;
    println!(
        "{count:>6} questions: {} evaluations for {EVENTS} events, {bytes} bytes each; an append \
         and its step take {watched:?}, and {alone:?} without questions",
        bench.take_evaluations()
    );
    drop(subscriptions);
    bench.hub.shutdown().await;
}

/// The time of an append and its step, over events of different streams.
async fn time(bench: &Bench, events: usize) -> Duration {
    let began = Instant::now();
    for number in 0..events {
        bench.append(&format!("s{}", number * 5)).await;
    }
    began.elapsed() / u32::try_from(events).unwrap()
}

/// The resident memory of this process in bytes; zero if the system does not say.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default() * 4_096
}

#[tokio::main]
async fn main() {
    for count in [1, 1_000] {
        subscribers(count).await;
    }
    questions().await;
}
