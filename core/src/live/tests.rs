use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::error::BoxError;
use crate::event::{Event, NewEvent};
use crate::filter::{Filter, FilterItem};
use crate::hub::Hub;
use crate::limits::{MAX_LIVE_KEYS_PER_PRINCIPAL, MAX_LIVE_ROWS};
use crate::memory::{LocalBus, MemoryProjections, MemoryStore};
use crate::projection::{Projection, ProjectionHandle};
use crate::store::Expected;
use crate::{Cursor, ErrorKind, memory};

/// A number for each stream: the sum of the payloads of its events.
type Sums = BTreeMap<String, i64>;

#[derive(Debug)]
struct Sum {
    version: u32,
}

#[async_trait]
impl Projection for Sum {
    type Tx = Sums;

    fn name(&self) -> &'static str {
        "sums"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn filter(&self) -> Filter {
        Filter::types(["Added", "Removed"])
    }

    async fn prepare(&self, sums: &mut Sums) -> Result<(), BoxError> {
        sums.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], sums: &mut Sums) -> Result<(), BoxError> {
        for event in events {
            let stream = event.stream().to_string();
            if event.event_type().as_str() == "Removed" {
                sums.remove(&stream);
                continue;
            }
            let number: i64 = serde_json::from_slice(event.payload())?;
            *sums.entry(stream).or_default() += number * i64::from(self.version);
        }
        Ok(())
    }
}

/// The sums of the streams with a prefix, the largest first.
#[derive(Debug, Default)]
struct ByPrefix {
    evaluations: Arc<AtomicUsize>,
    is_slow: bool,
}

#[async_trait]
impl LiveQuery for ByPrefix {
    type Tx = Sums;
    type Principal = String;

    fn name(&self) -> &'static str {
        "by-prefix"
    }

    fn projection(&self) -> &'static str {
        "sums"
    }

    fn key(&self) -> &'static str {
        "stream"
    }

    fn parameters(&self) -> &[&str] {
        &["copies", "prefix"]
    }

    fn scope(&self, principal: Option<&String>, _: &Params) -> Result<Scope, LiveError> {
        if principal.is_some_and(|name| name == "stranger") {
            return Err(LiveError::Forbidden("not for you".into()));
        }
        Ok(Scope::everything())
    }

    async fn eval(
        &self,
        model: &mut Model<'_, Sums>,
        _: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        if self.is_slow {
            std::future::pending::<()>().await;
        }
        let prefix = params.get("prefix").unwrap_or_default();
        let mut sums: Vec<_> = model.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        sums.sort_by_key(|&(name, sum)| (-sum, name));
        let copies = params.get("copies").map_or(Ok(1), str::parse::<usize>)?;
        let copies = sums.iter().flat_map(|row| std::iter::repeat_n(row, copies).enumerate());
        let name = |copy, name: &str| if copy == 0 { name.into() } else { format!("{name}{copy}") };
        let rows =
            copies.map(|(copy, (stream, sum))| json!({"stream": name(copy, stream), "sum": sum}));
        Ok(Rows::collect(rows)?)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> crate::Result<Filter> {
        let prefix = params.get("prefix").unwrap_or("s");
        Ok(FilterItem::new().with_stream_prefix(prefix)?.into())
    }
}

struct Setup {
    hub: Hub,
    sums: ProjectionHandle,
    live: Live,
    evaluations: Arc<AtomicUsize>,
}

impl Setup {
    async fn new() -> Self {
        Self::with(ByPrefix::default()).await
    }

    async fn with(query: ByPrefix) -> Self {
        let hub = memory::hub().await.unwrap();
        let models = MemoryProjections::new();
        let sums = hub.project(Sum { version: 1 }, models.clone()).start().unwrap();
        sums.wait_live().await.unwrap();
        let evaluations = Arc::clone(&query.evaluations);
        let live = Live::builder(&hub, models).with_query(query).with_model(&sums);
        Self { live: live.start().unwrap(), hub, sums, evaluations }
    }

    async fn add(&self, stream: &str, number: i64) -> Cursor {
        let event = NewEvent::json("Added", number.to_string()).unwrap();
        self.hub.append_to(stream, Expected::Any, [event]).await.unwrap().cursor
    }

    async fn watch(&self) -> LiveSubscription {
        self.live.watch(Watch::new("by-prefix")).await.unwrap()
    }
}

fn rows(answer: &Answer) -> String {
    let rows = answer.rows().iter().map(|row| {
        let row: serde_json::Value = serde_json::from_slice(&row.json).unwrap();
        format!("{}={}", row["stream"].as_str().unwrap(), row["sum"])
    });
    rows.collect::<Vec<_>>().join(" ")
}

async fn next(subscription: &mut LiveSubscription) -> Update {
    let next = tokio::time::timeout(Duration::from_mins(1), subscription.next());
    next.await.expect("an update").expect("it goes on")
}

async fn result(subscription: &mut LiveSubscription) -> Arc<Answer> {
    loop {
        match next(subscription).await {
            Update::Result(answer) => return answer,
            Update::Checkpoint(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_follows_the_log() {
    let setup = Setup::new().await;
    let mut watched = setup.watch().await;
    assert_eq!(rows(&*result(&mut watched).await), "");
    for n in 0..20 {
        setup.add(&format!("s{n}"), n).await;
    }
    let at = setup.add("s0", 100).await;
    let mut last = result(&mut watched).await;
    while last.token().cursor < at {
        last = match next(&mut watched).await {
            Update::Result(answer) => answer,
            Update::Rows(_) => {
                let mut other = setup.watch().await;
                result(&mut other).await
            }
            other => panic!("{other:?}"),
        };
    }
    assert!(rows(&last).starts_with("s0=100 s19=19"));
    // A change of one row is sent as that, with the order if it is another one.
    let at = setup.add("s1", 50).await;
    let Update::Rows(change) = next(&mut watched).await else { panic!("a change") };
    assert_eq!(change.token().cursor, at);
    assert_eq!(change.base(), last.token().hash);
    assert_eq!(change.put().len(), 1);
    assert!(change.order().is_some_and(|order| order[..2] == [r#""s0""#, r#""s1""#]));
    let removed = NewEvent::json("Removed", "{}").unwrap();
    setup.hub.append_to("s19", Expected::Any, [removed]).await.unwrap();
    let Update::Rows(change) = next(&mut watched).await else { panic!("a change") };
    assert_eq!((change.del(), change.order()), (&[r#""s19""#.into()][..], None));
}

#[tokio::test(start_paused = true)]
async fn rows_that_stay_are_a_checkpoint_and_resuming_compares_hashes() {
    let setup = Setup::new().await;
    let at = setup.add("s1", 1).await;
    let mut watched = setup.live.watch(Watch::new("by-prefix").with_at_least(at)).await.unwrap();
    let before = result(&mut watched).await;
    let at = setup.add("s1", 0).await;
    let Update::Checkpoint(same) = next(&mut watched).await else { panic!("a checkpoint") };
    let token = same.token();
    assert_eq!((token.cursor, token.hash), (at, before.token().hash));
    for after in [before.token(), token] {
        let watch = Watch::new("by-prefix").with_after(Some(after));
        let mut resumed = setup.live.watch(watch).await.unwrap();
        assert!(matches!(next(&mut resumed).await, Update::Checkpoint(_)));
    }
    let at = setup.add("s1", 5).await;
    let watch = Watch::new("by-prefix").with_after(Some(token)).with_at_least(at);
    let mut resumed = setup.live.watch(watch).await.unwrap();
    assert_eq!(rows(&*result(&mut resumed).await), "s1=6");
}

#[tokio::test(start_paused = true)]
async fn one_evaluation_serves_all_and_only_matching_events_cause_one() {
    let setup = Setup::new().await;
    let a = Watch::new("by-prefix").with_params([("prefix", "sa")].into_iter().collect());
    let mut subscribers = Vec::new();
    for _ in 0..100 {
        subscribers.push(setup.live.watch(a.clone()).await.unwrap());
    }
    for subscriber in &mut subscribers {
        result(subscriber).await;
    }
    assert_eq!(setup.evaluations.load(Ordering::Relaxed), 1);
    for _ in 0..100 {
        let at = setup.add("sb", 1).await;
        setup.sums.wait_for(at).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(setup.evaluations.load(Ordering::Relaxed), 1, "no event matches");
    setup.add("sa", 1).await;
    let shared = result(&mut subscribers[0]).await;
    for subscriber in &mut subscribers[1..] {
        assert!(Arc::ptr_eq(&shared, &result(subscriber).await));
    }
    assert_eq!(setup.evaluations.load(Ordering::Relaxed), 2);
    // Many events within the shortest pause are one evaluation.
    for _ in 0..100 {
        setup.add("sa", 1).await;
    }
    while rows(&*result(&mut subscribers[0]).await) != "sa=101" {}
    assert!(setup.evaluations.load(Ordering::Relaxed) <= 4);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_moves_without_matches_and_without_evaluations() {
    let setup = Setup::new().await;
    let at = setup.add("s1", 1).await;
    let params = Params::new().with("prefix", "s1");
    let watch = Watch::new("by-prefix").with_params(params).with_at_least(at);
    let mut watched = setup.live.watch(watch).await.unwrap();
    result(&mut watched).await;
    for n in 0..200 {
        setup.add("s2", n).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let Update::Checkpoint(moved) = next(&mut watched).await else { panic!("a checkpoint") };
    assert!(moved.token().cursor > at);
    assert_eq!(setup.evaluations.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_ends_some_time_after_its_last_subscriber() {
    let setup = Setup::new().await;
    let watched = setup.watch().await;
    assert_eq!(setup.live.evaluations(), 1);
    drop(watched);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(setup.live.evaluations(), 1);
    drop(setup.watch().await);
    assert_eq!(setup.evaluations.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(setup.live.evaluations(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.live.evaluations(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_or_too_slow_is_refused() {
    let setup = Setup::new().await;
    setup.add("s", 1).await;
    let copies = |number: usize| {
        Watch::new("by-prefix").with_params(Params::new().with("copies", number.to_string()))
    };
    assert!(setup.live.watch(copies(MAX_LIVE_ROWS)).await.is_ok());
    let refused = setup.live.watch(copies(MAX_LIVE_ROWS + 1)).await;
    assert!(matches!(refused, Err(LiveError::TooLarge(_))), "{refused:?}");
    let slow = Setup::with(ByPrefix { is_slow: true, ..ByPrefix::default() }).await;
    let refused = slow.live.watch(Watch::new("by-prefix")).await;
    assert!(matches!(refused, Err(LiveError::TooSlow)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn questions_are_checked() {
    let setup = Setup::new().await;
    let refused = async |watch| setup.live.watch(watch).await.unwrap_err();
    assert!(matches!(refused(Watch::new("none")).await, LiveError::UnknownQuery(_)));
    let typo = Watch::new("by-prefix").with_params(Params::new().with("prefx", "s"));
    assert!(matches!(refused(typo).await, LiveError::BadParameter { .. }));
    let long = Params::new().with("prefix", "s".repeat(9_000));
    let long = refused(Watch::new("by-prefix").with_params(long)).await;
    assert!(matches!(long, LiveError::BadParameter { .. }), "{long:?}");
    let stranger = Some(Principal::new("stranger".to_owned()));
    let forbidden = Watch::new("by-prefix").with_principal(stranger);
    assert!(matches!(refused(forbidden).await, LiveError::Forbidden(_)));
    let ahead = "00000000000000ff-00000000".parse().unwrap();
    let LiveError::Store(error) = refused(Watch::new("by-prefix").with_at_least(ahead)).await
    else {
        panic!()
    };
    assert_eq!(error.kind(), ErrorKind::CursorAhead);
}

#[tokio::test(start_paused = true)]
async fn a_principal_watches_a_limited_number_of_questions() {
    let setup = Setup::new().await;
    let ann = Some(Principal::new("ann".to_owned()));
    let watch = |n: usize, principal: &Option<Principal>| {
        let params = Params::new().with("prefix", format!("s{n}"));
        Watch::new("by-prefix").with_params(params).with_principal(principal.clone())
    };
    let mut all = Vec::new();
    for n in 0..MAX_LIVE_KEYS_PER_PRINCIPAL {
        all.push(setup.live.watch(watch(n, &ann)).await.unwrap());
    }
    // The same again is no further one.
    all.push(setup.live.watch(watch(0, &ann)).await.unwrap());
    let refused = setup.live.watch(watch(99, &ann)).await;
    assert!(matches!(refused, Err(LiveError::Limit { .. })), "{refused:?}");
    let ben = Some(Principal::new("ben".to_owned()));
    setup.live.watch(watch(99, &ben)).await.unwrap();
    all.pop();
    all.pop();
    setup.live.watch(watch(98, &ann)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reads_see_the_writes_before_them() {
    let setup = Setup::new().await;
    let mut watched = setup.watch().await;
    result(&mut watched).await;
    for n in 1..=10 {
        let at = setup.add("s", 1).await;
        let watch = Watch::new("by-prefix").with_at_least(at);
        let mut fresh = setup.live.watch(watch).await.unwrap();
        let answer = result(&mut fresh).await;
        assert!(answer.token().cursor >= at);
        assert_eq!(rows(&answer), format!("s={n}"));
    }
    // An event that does not match the model moves it as well.
    let other = NewEvent::json("Other", "{}").unwrap();
    let at = setup.hub.append_to("x", Expected::Any, [other]).await.unwrap().cursor;
    let mut fresh = setup.live.watch(Watch::new("by-prefix").with_at_least(at)).await.unwrap();
    assert_eq!(result(&mut fresh).await.token().cursor, at);
    setup.sums.pause().await.unwrap();
    let at = setup.add("s", 1).await;
    let watch = Watch::new("by-prefix").with_at_least(at).with_wait(Duration::from_secs(1));
    assert!(matches!(setup.live.watch(watch).await, Err(LiveError::Behind)));
}

#[tokio::test(start_paused = true)]
async fn a_reset_model_keeps_its_last_answer_until_it_has_passed_it() {
    let setup = Setup::new().await;
    setup.add("s", 1).await;
    let at = setup.add("s", 2).await;
    let mut watched = setup.live.watch(Watch::new("by-prefix").with_at_least(at)).await.unwrap();
    let before = result(&mut watched).await;
    setup.sums.pause().await.unwrap();
    setup.sums.reset().await.unwrap();
    setup.add("s", 4).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(watched.try_next().is_none(), "the answer stays");
    let mut other = setup.watch().await;
    assert_eq!(result(&mut other).await.token(), before.token());
    let cold = Watch::new("by-prefix").with_params(Params::new().with("prefix", "s"));
    let refused = setup.live.watch(cold).await;
    assert!(matches!(refused, Err(LiveError::Rebuilding)), "{refused:?}");
    setup.sums.resume().await.unwrap();
    assert_eq!(rows(&*result(&mut watched).await), "s=7");
}

#[tokio::test(start_paused = true)]
async fn the_model_of_another_process_is_followed() {
    let (store, bus) = (MemoryStore::new(), LocalBus::new());
    let ours = Hub::builder(store.clone(), bus.clone()).start().await.unwrap();
    let theirs = Hub::builder(store, bus).start().await.unwrap();
    let models = MemoryProjections::new();
    let sums = theirs.project(Sum { version: 1 }, models.clone()).start().unwrap();
    sums.wait_live().await.unwrap();
    let live = Live::builder(&ours, models.clone()).with_query(ByPrefix::default());
    let live = live.start().unwrap();
    let mut watched = live.watch(Watch::new("by-prefix")).await.unwrap();
    result(&mut watched).await;
    let added = |number: i32| [NewEvent::json("Added", number.to_string()).unwrap()];
    theirs.append_to("s", Expected::Any, added(1)).await.unwrap();
    assert_eq!(rows(&*result(&mut watched).await), "s=1");
    ours.append_to("s", Expected::Any, added(1)).await.unwrap();
    assert_eq!(rows(&*result(&mut watched).await), "s=2");
    // A new version replaces the old one, although no event comes.
    let second = theirs.project(Sum { version: 2 }, models).start().unwrap();
    second.wait_live().await.unwrap();
    assert_eq!(rows(&*result(&mut watched).await), "s=4");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_log_resets_and_a_stopped_hub_ends() {
    let store = MemoryStore::new();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let models = MemoryProjections::new();
    let sums = hub.project(Sum { version: 1 }, models.clone()).start().unwrap();
    sums.wait_live().await.unwrap();
    let live = Live::builder(&hub, models).with_query(ByPrefix::default()).with_model(&sums);
    let live = live.start().unwrap();
    let empty = store.snapshot();
    let added = [NewEvent::json("Added", "1").unwrap()];
    let at = hub.append_to("s", Expected::Any, added).await.unwrap().cursor;
    let mut watched = live.watch(Watch::new("by-prefix").with_at_least(at)).await.unwrap();
    result(&mut watched).await;
    store.restore(&empty);
    assert!(matches!(next(&mut watched).await, Update::Reset { .. }));
    assert!(watched.next().await.is_none());
    sums.reset().await.unwrap();
    sums.resume().await.unwrap();
    let mut watched = live.watch(Watch::new("by-prefix")).await.unwrap();
    assert_eq!(rows(&*result(&mut watched).await), "");
    hub.shutdown().await;
    assert!(watched.next().await.is_none());
}
