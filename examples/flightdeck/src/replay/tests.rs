use std::collections::{HashMap, HashSet};
use std::time::Duration;

use downlink::decider::ExecuteError;
use downlink::{EventId, Hub, Item, LocalBus, MemoryStore, Read, Subscribe};
use futures::TryStreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::day::Day;

async fn hub() -> Hub {
    Hub::builder(MemoryStore::new(), LocalBus::new()).start().await.unwrap()
}

/// A running replay.
struct Running {
    replay: Replay,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Running {
    async fn start(hub: &Hub) -> Self {
        let stop = CancellationToken::new();
        let day = Day::recorded();
        let (replay, task) =
            Replay::start(hub, &day, Some(Speed::FASTEST), stop.clone()).await.unwrap();
        Self { replay, task, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.task).await.expect("the replay to end").unwrap();
    }
}

/// A test that takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// Waits until the log has this many events.
async fn events(hub: &Hub, count: usize) {
    timeout(DEADLINE, has(hub, count)).await.expect("the replay to continue");
}

async fn has(hub: &Hub, count: usize) {
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    let mut seen = 0;
    while seen < count {
        let item = subscription.next().await.transpose().unwrap();
        seen += usize::from(matches!(item.expect("an open hub"), Item::Event(_)));
    }
}

#[tokio::test]
async fn the_replay_fills_the_board() {
    let hub = hub().await;
    let running = Running::start(&hub).await;
    events(&hub, 200).await;
    assert!(running.replay.status().clock >= crate::day::OPENING);
    running.end().await;
}

#[tokio::test]
async fn a_restart_resumes_and_repeats_nothing() {
    let hub = hub().await;
    for count in [150, 400, 650] {
        let running = Running::start(&hub).await;
        events(&hub, count).await;
        running.end().await;
    }

    let all: Vec<_> = hub.log_events(Read::log()).try_collect().await.unwrap();
    let ids: HashSet<EventId> = all.iter().map(downlink::Event::id).collect();
    assert_eq!(ids.len(), all.len());
    let mut scheduled: HashMap<_, u32> = HashMap::new();
    for event in all.iter().filter(|event| event.event_type().as_str() == "FlightScheduled") {
        *scheduled.entry(event.stream().clone()).or_default() += 1;
    }
    assert!(scheduled.values().all(|times| *times == 1), "a flight was scheduled twice");
    let starts = all.iter().filter(|event| event.event_type().as_str() == "ReplayStarted");
    assert_eq!(starts.count(), 3);
}

#[tokio::test]
async fn a_paused_replay_stays_paused_after_a_restart() {
    let hub = hub().await;
    let running = Running::start(&hub).await;
    events(&hub, 60).await;
    let pause = Control { paused: Some(true), speed: None };
    running.replay.control(pause).await.unwrap();
    let status = running.replay.status();
    assert!(status.paused);
    running.end().await;

    let head = hub.head().await.unwrap();
    let running = Running::start(&hub).await;
    assert_eq!(running.replay.status(), status);
    let resume = Control { paused: Some(false), speed: None };
    running.replay.control(resume).await.unwrap();
    let page = hub.read_log(Read::log().with_after(head.position())).await.unwrap();
    let types: Vec<_> = page.events.iter().map(|event| event.event_type().as_str()).collect();
    assert_eq!(types[..2], ["ReplayStarted", "ReplayResumed"]);
    running.end().await;
}

#[tokio::test]
async fn a_control_after_shutdown_fails() {
    let hub = hub().await;
    let running = Running::start(&hub).await;
    let replay = running.replay.clone();
    running.end().await;
    hub.shutdown().await;
    let answer = replay.control(Control { paused: Some(true), speed: None }).await;
    assert!(matches!(answer, Err(ExecuteError::Store(_))), "{answer:?}");
}

#[tokio::test]
async fn a_follower_has_the_same_clock_and_can_control_it() {
    let hub = hub().await;
    let running = Running::start(&hub).await;
    events(&hub, 60).await;
    let stop = CancellationToken::new();
    let (follower, following) = Replay::follow(&hub, stop.clone()).await.unwrap();
    assert!(follower.status().running);
    let pause = Control { paused: Some(true), speed: None };
    let done = follower.control(pause).await.unwrap();
    running.replay.wait_until_applied(done.cursor).await;
    assert_eq!(running.replay.status(), follower.status());

    let head = hub.head().await.unwrap();
    running.end().await;
    let after = hub.read_log(Read::log().with_after(head.position())).await.unwrap().events;
    let types: Vec<_> = after.iter().map(|event| event.event_type().as_str()).collect();
    assert_eq!(types, ["ReplayStopped"], "there are events although the replay was paused");
    snapshot::wait_for(&follower.snapshot(), after[0].cursor()).await;
    assert!(!follower.status().running);
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn two_replays_of_the_same_day_execute_every_command_once() {
    let hub = hub().await;
    let (one, other) = (Running::start(&hub).await, Running::start(&hub).await);
    events(&hub, 500).await;
    one.end().await;
    other.end().await;
    let all: Vec<_> = hub.log_events(Read::log()).try_collect().await.unwrap();
    let scheduled = all.iter().filter(|event| event.event_type().as_str() == "FlightScheduled");
    let mut streams: HashSet<_> = HashSet::new();
    assert!(scheduled.into_iter().all(|event| streams.insert(event.stream())), "one came twice");
}
