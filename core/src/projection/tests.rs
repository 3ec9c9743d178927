mod leases;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::*;
use crate::cursor::Cursor;
use crate::error::{BoxError, ErrorKind};
use crate::event::{Event, NewEvent};
use crate::filter::Filter;
use crate::hub::Hub;
use crate::id::Position;
use crate::memory::{self, MemoryProjections};
use crate::store::Expected;

/// A projection that counts events, and that fails on demand.
#[derive(Clone, Debug)]
struct Board {
    version: u32,
    fails: Arc<AtomicBool>,
}

impl Board {
    fn new(version: u32) -> Self {
        Self { version, fails: Arc::default() }
    }
}

#[async_trait]
impl Projection for Board {
    type Tx = usize;

    fn name(&self) -> &'static str {
        "board"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn filter(&self) -> Filter {
        Filter::types(["FlightDelayed"])
    }

    async fn prepare(&self, count: &mut usize) -> Result<(), BoxError> {
        *count = 0;
        Ok(())
    }

    async fn apply(&self, events: &[Event], count: &mut usize) -> Result<(), BoxError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err("no such gate".into());
        }
        *count += events.len();
        Ok(())
    }
}

type Models = MemoryProjections<usize>;

async fn append(hub: &Hub, event_type: &str, count: usize) -> Cursor {
    let events: Vec<_> = (0..count).map(|_| NewEvent::json(event_type, "{}").unwrap()).collect();
    hub.append_to("flight-UA1545", Expected::Any, events).await.unwrap().cursor
}

fn count(models: &Models, handle: &ProjectionHandle) -> usize {
    *models.state(handle.id()).unwrap()
}

/// Checks that the future never completes.
async fn never<T>(future: impl Future<Output = T>) {
    assert!(timeout(Duration::from_hours(1), future).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_paused_projection_waits_until_it_is_resumed() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let board = hub.project(Board::new(1), models.clone()).start().unwrap();
    board.wait_for(append(&hub, "FlightDelayed", 3).await).await.unwrap();
    board.pause().await.unwrap();
    let cursor = append(&hub, "FlightDelayed", 4).await;
    never(board.wait_for(cursor)).await;
    let progress = board.progress();
    assert!(matches!(progress.status, Status::Paused) && !progress.is_caught_up());
    assert_eq!((progress.lag(), board.lag().await.unwrap()), (4, 4));
    assert_eq!(count(&models, &board), 3);
    // A reset does not resume it.
    board.reset().await.unwrap();
    assert_eq!(count(&models, &board), 0);
    never(board.wait_for(cursor)).await;
    board.resume().await.unwrap();
    board.wait_for(cursor).await.unwrap();
    assert_eq!((count(&models, &board), board.progress().lag()), (7, 0));
}

/// Otherwise queries are refused as of a model that is being built again.
#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_log_rebuilds_nothing() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let seen: Arc<Mutex<Vec<Status>>> = Arc::default();
    let handle: Arc<OnceLock<ProjectionHandle>> = Arc::default();
    let observe = {
        let (seen, handle) = (Arc::clone(&seen), Arc::clone(&handle));
        move |_: Vec<Event>| {
            seen.lock().unwrap().push(handle.get().unwrap().progress().status);
            async {}
        }
    };
    let board = hub.project(Board::new(1), models).on_applied(observe).start().unwrap();
    let board = handle.get_or_init(|| board);
    board.wait_live().await.unwrap();
    board.pause().await.unwrap();
    let cursor = append(&hub, "FlightDelayed", 1).await;
    board.resume().await.unwrap();
    board.wait_for(cursor).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(matches!(seen.lock().unwrap()[..], [Status::CatchingUp]), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reset_rebuilds_a_running_projection() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let board = hub.project(Board::new(1), models.clone()).with_batch(10, 1 << 20).start().unwrap();
    let cursor = append(&hub, "FlightDelayed", 100).await;
    board.wait_for(cursor).await.unwrap();
    board.reset().await.unwrap();
    board.wait_for(cursor).await.unwrap();
    assert_eq!((count(&models, &board), board.progress().applied), (100, 200));
    assert_eq!(models.live_state("board").as_deref(), Some(&100));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_projection_reports_its_error_until_it_is_resumed() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let failing_board = Board::new(1);
    failing_board.fails.store(true, Ordering::Relaxed);
    let board = hub.project(failing_board.clone(), models.clone()).start().unwrap();
    let cursor = append(&hub, "FlightDelayed", 1).await;
    let error = board.wait_for(cursor).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("resume") && source == "no such gate", "{error}: {source}");
    assert!(matches!(board.progress().status, Status::Failed(_)));
    assert!(board.wait_for(cursor).await.is_err());
    failing_board.fails.store(false, Ordering::Relaxed);
    board.resume().await.unwrap();
    board.wait_for(cursor).await.unwrap();
    assert_eq!(count(&models, &board), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_events_that_do_not_match_needs_no_transaction() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let board = hub.project(Board::new(1), models.clone()).start().unwrap();
    board.wait_live().await.unwrap();
    let cursor = append(&hub, "GateChanged", 5).await;
    board.wait_for(cursor).await.unwrap();
    assert_eq!(models.checkpoint(board.id()).await.unwrap(), Cursor::START);
    let stored = board.changes().skip_while(|progress| {
        let is_before = progress.checkpoint != cursor;
        async move { is_before }
    });
    let progress = stored.boxed().next().await.unwrap();
    assert_eq!((progress.position, progress.applied), (cursor, 0));
    assert_eq!(models.checkpoint(board.id()).await.unwrap(), cursor);
}

#[tokio::test(start_paused = true)]
async fn on_applied_gets_each_event_once_and_never_history() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    append(&hub, "FlightDelayed", 10).await;
    let announced: Arc<Mutex<Vec<Position>>> = Arc::default();
    let start = |version| {
        let announced = Arc::clone(&announced);
        let announce = move |events: Vec<Event>| {
            announced.lock().unwrap().extend(events.iter().map(Event::position));
            async { panic!("on purpose") }
        };
        hub.project(Board::new(version), models.clone()).on_applied(announce).start().unwrap()
    };
    let one = start(1);
    one.wait_live().await.unwrap();
    one.wait_for(append(&hub, "FlightDelayed", 2).await).await.unwrap();
    one.reset().await.unwrap();
    one.wait_for(append(&hub, "FlightDelayed", 2).await).await.unwrap();
    let two = start(2);
    two.wait_live().await.unwrap();
    let last = append(&hub, "FlightDelayed", 2).await;
    two.wait_for(last).await.unwrap();
    one.wait_for(last).await.unwrap();
    let announced: Vec<_> =
        announced.lock().unwrap().iter().map(|position| position.get()).collect();
    assert_eq!(announced, [11, 12, 13, 14, 15, 16]);
    assert_eq!((one.progress().live, two.progress().live), (Some(2), Some(2)));
    // A higher version is live, so waiting for this one returns.
    one.wait_live().await.unwrap();
}

/// Otherwise queries that are asked after `wait_live` are refused now and then.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_live_is_not_rebuilding() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let one = hub.project(Board::new(1), models.clone()).start().unwrap();
    one.wait_live().await.unwrap();
    one.pause().await.unwrap();
    append(&hub, "FlightDelayed", 3).await;
    // It announces what version 1 has not, after it has become live.
    let mut two = hub.project(Board::new(2), models);
    two = two.on_applied(|_: Vec<Event>| std::future::pending::<()>());
    let two = two.start().unwrap();
    two.wait_live().await.unwrap();
    let progress = two.progress();
    assert!(matches!(progress.status, Status::CatchingUp), "{progress:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lower_version_does_not_become_live() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let two = hub.project(Board::new(2), models.clone()).start().unwrap();
    two.wait_live().await.unwrap();
    let one = hub.project(Board::new(1), models.clone()).start().unwrap();
    one.wait_for(append(&hub, "FlightDelayed", 1).await).await.unwrap();
    one.wait_live().await.unwrap();
    assert_eq!(models.live("board").await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_handle_and_with_its_hub() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let start = || hub.project(Board::new(1), models.clone()).start().unwrap();
    let board = start();
    board.wait_live().await.unwrap();
    board.shutdown().await;
    assert!(matches!(board.progress().status, Status::Ended));
    let beyond = append(&hub, "FlightDelayed", 1).await;
    for outcome in [board.wait_for(beyond).await, board.resume().await, board.reset().await] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    let mut changes = start().changes();
    // Its only handle was dropped.
    while changes.next().await.is_some() {}

    let board = start();
    board.wait_for(beyond).await.unwrap();
    drop(hub);
    let ended = |progress: &Progress| matches!(progress.status, Status::Ended);
    assert!(board.changes().any(|progress| std::future::ready(ended(&progress))).await);
}

#[tokio::test]
async fn an_invalid_name_is_refused_at_the_start() {
    #[derive(Debug)]
    struct Nameless(Board);

    #[async_trait]
    impl Projection for Nameless {
        type Tx = usize;

        fn name(&self) -> &'static str {
            ""
        }

        fn version(&self) -> u32 {
            1
        }

        fn filter(&self) -> Filter {
            self.0.filter()
        }

        async fn prepare(&self, count: &mut usize) -> Result<(), BoxError> {
            self.0.prepare(count).await
        }

        async fn apply(&self, events: &[Event], count: &mut usize) -> Result<(), BoxError> {
            self.0.apply(events, count).await
        }
    }

    let hub = memory::hub().await.unwrap();
    let refused = hub.project(Nameless(Board::new(1)), Models::new()).start();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn changes_between_two_polls_are_merged() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let board = hub.project(Board::new(1), models.clone()).with_batch(1, 1).start().unwrap();
    let mut changes = board.changes();
    let cursor = append(&hub, "FlightDelayed", 50).await;
    board.wait_for(cursor).await.unwrap();
    assert_eq!(changes.next().await.unwrap().position, cursor);
    while changes.next().now_or_never().is_some() {}
    let cursor = append(&hub, "FlightDelayed", 1).await;
    assert!(changes.any(|progress| std::future::ready(progress.position == cursor)).await);
}

/// Records the positions of the events that are announced.
fn record(
    announced: &Arc<Mutex<Vec<u64>>>,
) -> impl Fn(Vec<Event>) -> std::future::Ready<()> + use<> {
    let announced = Arc::clone(announced);
    move |events| {
        announced.lock().unwrap().extend(events.iter().map(|event| event.position().get()));
        std::future::ready(())
    }
}

#[tokio::test(start_paused = true)]
async fn events_after_a_restore_are_announced() {
    let (store, models) = (crate::MemoryStore::new(), Models::new());
    let hub = Hub::builder(store.clone(), crate::LocalBus::new()).start().await.unwrap();
    append(&hub, "FlightDelayed", 2).await;
    let backup = store.snapshot();
    let announced = Arc::default();
    let board = hub.project(Board::new(1), models).on_applied(record(&announced)).start().unwrap();
    board.wait_live().await.unwrap();
    let cursor = append(&hub, "FlightDelayed", 10).await;
    board.wait_for(cursor).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*announced.lock().unwrap(), (3..=12).collect::<Vec<_>>());

    store.restore(&backup);
    tokio::time::sleep(Duration::from_secs(2)).await;
    board.reset().await.unwrap();
    let cursor = append(&hub, "FlightDelayed", 5).await;
    board.wait_for(cursor).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(announced.lock().unwrap()[10..], [3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_version_without_a_hook_leaves_nothing_to_the_next_one() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let one = hub.project(Board::new(1), models.clone()).start().unwrap();
    one.wait_live().await.unwrap();
    one.shutdown().await;
    append(&hub, "FlightDelayed", 3).await;
    let two = hub.project(Board::new(2), models.clone()).start().unwrap();
    two.wait_live().await.unwrap();
    let announced = Arc::default();
    let three = hub.project(Board::new(3), models).on_applied(record(&announced)).start().unwrap();
    three.wait_live().await.unwrap();
    let cursor = append(&hub, "FlightDelayed", 1).await;
    three.wait_for(cursor).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*announced.lock().unwrap(), [4]);
}

/// A projection store whose next calls panic, that counts how often it is asked for leases, and
/// whose next releases are busy.
#[derive(Debug)]
struct Panics(Models, AtomicUsize, AtomicUsize, AtomicUsize);

impl Panics {
    fn panic_on_demand(&self) {
        let one_less = |left: usize| left.checked_sub(1);
        let panics = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        assert!(!panics, "the store panics (injected by the test)");
    }
}

#[async_trait]
impl ProjectionStore for Panics {
    type Tx = usize;

    async fn checkpoint(&self, id: &crate::id::ProjectionId) -> crate::Result<Cursor> {
        self.panic_on_demand();
        self.0.checkpoint(id).await
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = usize>>,
        step: Step,
    ) -> crate::Result<StepOutcome> {
        self.panic_on_demand();
        self.0.step(projection, step).await
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = usize>>) -> crate::Result<()> {
        self.panic_on_demand();
        self.0.reset(projection).await
    }

    async fn live(&self, name: &str) -> crate::Result<Option<u32>> {
        self.0.live(name).await
    }

    async fn make_live(&self, id: &crate::id::ProjectionId) -> crate::Result<u32> {
        self.0.make_live(id).await
    }

    async fn announced(&self, id: &crate::id::ProjectionId) -> crate::Result<Option<Cursor>> {
        self.0.announced(id).await
    }

    async fn announce(
        &self,
        id: &crate::id::ProjectionId,
        from: Cursor,
        to: Cursor,
    ) -> crate::Result<bool> {
        self.0.announce(id, from, to).await
    }

    async fn dead_letters(
        &self,
        id: &crate::id::ProjectionId,
        after: Position,
        limit: usize,
    ) -> crate::Result<Vec<DeadLetter>> {
        self.0.dead_letters(id, after, limit).await
    }

    async fn lease(
        &self,
        id: &crate::id::ProjectionId,
        lease: Lease,
    ) -> crate::Result<LeaseOutcome> {
        self.panic_on_demand();
        self.2.fetch_add(1, Ordering::SeqCst);
        self.0.lease(id, lease).await
    }

    async fn release(&self, id: &crate::id::ProjectionId, token: LeaseToken) -> crate::Result<()> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.3.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(crate::Error::new(ErrorKind::Busy, "a step is in progress"));
        }
        self.0.release(id, token).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_projection_store_costs_only_time_even_if_logging_panics() {
    let _log = tracing::subscriber::set_default(crate::supervise::PanickingLog);
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models.clone(), 2.into(), 0.into(), 0.into()));
    let board = hub.project(Board::new(1), Arc::clone(&store));
    let board = board.start().unwrap();
    board.wait_live().await.unwrap();
    store.1.store(3, Ordering::SeqCst);
    let cursor = append(&hub, "FlightDelayed", 5).await;
    board.wait_for(cursor).await.unwrap();
    assert_eq!(models.state(board.id()).as_deref(), Some(&5));
}

#[tokio::test(start_paused = true)]
async fn a_projection_accepts_commands_while_its_store_panics() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models.clone(), 0.into(), 0.into(), 0.into()));
    let board = hub.project(Board::new(1), Arc::clone(&store));
    let board = board.start().unwrap();
    board.wait_live().await.unwrap();
    board.pause().await.unwrap();
    store.1.store(1, Ordering::SeqCst);
    assert_eq!(board.reset().await.unwrap_err().kind(), ErrorKind::Backend);
    append(&hub, "FlightDelayed", 2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(
        matches!(board.progress().status, Status::Paused),
        "a reset that panics does not resume the projection"
    );
    assert_eq!(models.state(board.id()).as_deref(), Some(&0));

    store.1.store(usize::MAX, Ordering::SeqCst);
    board.resume().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(matches!(board.progress().status, Status::Retrying(_)));
    timeout(Duration::from_secs(5), board.pause()).await.expect("an answer").unwrap();
    assert!(matches!(board.progress().status, Status::Paused));
    timeout(Duration::from_secs(5), board.shutdown()).await.expect("an end");
}

#[tokio::test(start_paused = true)]
async fn events_that_the_next_version_skipped_are_not_announced() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let announced = Arc::default();
    let one =
        hub.project(Board::new(1), models.clone()).on_applied(record(&announced)).start().unwrap();
    one.wait_live().await.unwrap();
    one.shutdown().await;
    append(&hub, "FlightDelayed", 3).await;
    let failing = Board::new(2);
    failing.fails.store(true, Ordering::Relaxed);
    let fails = Arc::clone(&failing.fails);
    let two = hub.project(failing, models.clone()).with_policy(FailurePolicy::skip());
    let two = two.on_applied(record(&announced)).start().unwrap();
    two.wait_live().await.unwrap();
    fails.store(false, Ordering::Relaxed);
    let cursor = append(&hub, "FlightDelayed", 1).await;
    two.wait_for(cursor).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*announced.lock().unwrap(), [4]);
}
