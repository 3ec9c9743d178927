use super::*;

const LEASE: Duration = Duration::from_secs(10);

/// What a worker needs to notice that a lease is free.
const SOON: Duration = Duration::from_secs(1);

fn start(hub: &Hub, models: &Models) -> ProjectionHandle {
    hub.project(Board::new(1), models.clone()).with_lease(LEASE).start().unwrap()
}

/// A worker with the lease, and one that stands by.
async fn two_workers(hub: &Hub, models: &Models) -> (ProjectionHandle, ProjectionHandle) {
    let first = start(hub, models);
    first.wait_live().await.unwrap();
    let second = start(hub, models);
    tokio::time::sleep(SOON).await;
    assert!(is_standby(&second));
    (first, second)
}

fn is_standby(worker: &ProjectionHandle) -> bool {
    matches!(worker.progress().status, Status::Standby)
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_keeps_its_lease() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let (first, second) = two_workers(&hub, &models).await;
    for _ in 0..1_000 {
        tokio::time::sleep(SOON).await;
        assert!(is_standby(&second) && !is_standby(&first));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_keeps_its_lease_while_events_are_announced() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let announcing = |_: Vec<Event>| tokio::time::sleep(LEASE * 5);
    let first = hub.project(Board::new(1), models.clone()).with_lease(LEASE);
    let first = first.on_applied(announcing).start().unwrap();
    first.wait_live().await.unwrap();
    let second = start(&hub, &models);
    second.wait_for(append(&hub, "FlightDelayed", 1).await).await.unwrap();
    for _ in 0..60 {
        tokio::time::sleep(SOON).await;
        assert!(is_standby(&second));
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_asks_for_its_lease_once() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models, 0.into(), 0.into(), 0.into()));
    let board = hub.project(Board::new(1), Arc::clone(&store)).with_lease(LEASE).start().unwrap();
    for _ in 0..100 {
        tokio::time::sleep(SOON).await;
        board.wait_for(append(&hub, "FlightDelayed", 1).await).await.unwrap();
    }
    assert_eq!(store.2.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_leaves_its_lease_to_another() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let failing = Board::new(1);
    let first = hub.project(failing.clone(), models.clone()).with_lease(LEASE).start().unwrap();
    first.wait_live().await.unwrap();
    let second = start(&hub, &models);
    failing.fails.store(true, Ordering::Relaxed);
    let cursor = append(&hub, "FlightDelayed", 2).await;
    first.wait_for(cursor).await.unwrap_err();
    timeout(SOON, second.wait_for(cursor)).await.expect("the other takes over at once").unwrap();
    // It may stand by again.
    first.resume().await.unwrap();
    first.wait_for(cursor).await.unwrap();
    assert!(is_standby(&first));
    assert_eq!((first.progress().applied, second.progress().applied), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_a_worker_that_stands_by_rebuilds_the_model() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let (first, second) = two_workers(&hub, &models).await;
    let cursor = append(&hub, "FlightDelayed", 5).await;
    second.wait_for(cursor).await.unwrap();
    second.reset().await.unwrap();
    assert_eq!(count(&models, &second), 0);
    timeout(LEASE, second.wait_for(cursor)).await.expect("a rebuild").unwrap();
    assert_eq!(count(&models, &second), 5);
    assert_eq!((first.progress().applied, second.progress().applied), (10, 0));
}

/// Otherwise this process would answer live queries from a model without most of its events.
#[tokio::test(start_paused = true)]
async fn a_worker_that_stands_by_knows_of_a_rebuild() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let (first, second) = two_workers(&hub, &models).await;
    let cursor = append(&hub, "FlightDelayed", 5).await;
    second.wait_for(cursor).await.unwrap();
    assert!(!second.progress().is_rebuilding());
    let board: Arc<dyn Projection<Tx = usize>> = Arc::new(Board::new(1));
    models.reset(&board).await.unwrap();
    tokio::time::sleep(SOON).await;
    assert!(second.progress().is_rebuilding() && is_standby(&second));
    // The other one has noticed it.
    tokio::time::sleep(LEASE).await;
    assert!(!second.progress().is_rebuilding() && is_standby(&second));
    assert_eq!((count(&models, &second), first.progress().applied), (5, 10));
}

#[tokio::test(start_paused = true)]
async fn commands_reach_a_worker_that_stands_by() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let (first, second) = two_workers(&hub, &models).await;
    second.pause().await.unwrap();
    first.shutdown().await;
    let cursor = append(&hub, "FlightDelayed", 1).await;
    never(second.wait_for(cursor)).await;
    second.resume().await.unwrap();
    second.wait_for(cursor).await.unwrap();
}

/// Without a lease a worker neither waits for one that has one nor takes it.
#[tokio::test(start_paused = true)]
async fn a_worker_without_a_lease_needs_none() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models.clone(), 0.into(), 0.into(), 0.into()));
    let board = hub.project(Board::new(1), Arc::clone(&store)).start().unwrap();
    board.wait_for(append(&hub, "FlightDelayed", 1).await).await.unwrap();
    tokio::time::sleep(LEASE).await;
    assert_eq!(store.2.load(Ordering::SeqCst), 0);
    let with_lease = start(&hub, &models);
    with_lease.wait_live().await.unwrap();
    assert!(!is_standby(&with_lease) && !is_standby(&board));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_continues_with_its_lease() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models.clone(), 1.into(), 0.into(), 0.into()));
    let board = hub.project(Board::new(1), Arc::clone(&store)).with_lease(LEASE).start().unwrap();
    board.wait_live().await.unwrap();
    // While it prolongs its lease.
    store.1.store(1, Ordering::SeqCst);
    tokio::time::sleep(LEASE).await;
    assert_eq!(store.1.load(Ordering::SeqCst), 0);
    board.wait_for(append(&hub, "FlightDelayed", 1).await).await.unwrap();
    assert_eq!(count(&models, &board), 1);
}

/// A step that was dropped may go on in the store, which then does not give the lease up at once.
#[tokio::test(start_paused = true)]
async fn a_lease_is_given_up_although_the_store_is_busy_at_first() {
    let (hub, models) = (memory::hub().await.unwrap(), Models::new());
    let store = Arc::new(Panics(models.clone(), 0.into(), 0.into(), 3.into()));
    let first = hub.project(Board::new(1), Arc::clone(&store)).with_lease(LEASE).start().unwrap();
    first.wait_live().await.unwrap();
    let second = start(&hub, &models);
    tokio::time::sleep(SOON).await;
    assert!(is_standby(&second));
    first.pause().await.unwrap();
    assert_eq!(store.3.load(Ordering::SeqCst), 0);
    tokio::time::sleep(SOON).await;
    assert!(!is_standby(&second), "it waits until the lease expires");
}
