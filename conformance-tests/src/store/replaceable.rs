use std::sync::Arc;
use std::time::Duration;

use downlink::{
    After, Cursor, ErrorKind, EventStore, Expected, Hub, Item, LocalBus, Read, Subscribe,
};

use crate::fixture::{Backups, ReplaceableFixture};
use crate::sample::{append, event, log};
use crate::tasks;

/// **Law.** A cursor from before the log was restored is refused: at once if it
/// is past the head, and, when the log has grown past it again, because another
/// event has its position.
pub async fn a_restored_log_refuses_old_cursors(fixture: &dyn ReplaceableFixture) {
    let (store, backups) = fixture.open().await.expect("a fresh store");
    let (common, lost) = lose_a_tail(&*store, &*backups).await;
    let kind = refusal(&*store, lost).await;
    assert_eq!(
        kind,
        Some(ErrorKind::CursorAhead),
        "a cursor past the end of a restored log has to be refused as `CursorAhead`"
    );
    while store.head().await.expect("a head").position() <= lost.position() {
        store.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
    }
    let kind = refusal(&*store, lost).await;
    assert_eq!(
        kind,
        Some(ErrorKind::HistoryChanged),
        "a cursor of an event that a restore removed was served after the log had grown past it: \
         compare the event at the position"
    );
    let page = store.read_log(Read::log().with_after(common)).await;
    page.unwrap_or_else(|error| panic!("a cursor that both histories share was refused: {error}"));
}

/// **Law.** After a restore, a store forgets what it has cached of streams and
/// ids together with the events that are gone.
pub async fn a_restore_invalidates_caches(fixture: &dyn ReplaceableFixture) {
    let (store, backups) = fixture.open().await.expect("a fresh store");
    store.append(append("flight-UA1545", Expected::NoStream, 2)).await.expect("an append");
    backups.back_up().await.expect("a copy");
    let gone = append("flight-UA1545", Expected::Exists, 3)
        .and("flight-AA1141", Expected::NoStream, [event("FlightScheduled")])
        .expect("a valid name");
    store.append(gone.clone()).await.expect("an append");
    backups.restore().await.expect("the copy restored");
    let again = store.append(gone).await.unwrap_or_else(|error| {
        panic!("an append was refused because of events that the restore removed: {error}")
    });
    assert!(
        !again.duplicate,
        "an append was called a duplicate of events that the restore removed"
    );
    let versions: Vec<_> = again.writes.iter().map(|write| write.first.get()).collect();
    assert_eq!(versions, [3, 1], "versions have to continue from the restored streams");
    assert_eq!(
        log(&*store).await.len(),
        6,
        "the log has to have the restored events and those appended again"
    );
}

/// **Law.** A subscription whose log is replaced ends with an error that says
/// so, and a new subscription follows the restored log.
pub async fn a_running_subscription_reports_a_restore(fixture: &dyn ReplaceableFixture) {
    let (store, backups) = fixture.open().await.expect("a fresh store");
    let hub = Hub::builder(Arc::clone(&store), Arc::new(LocalBus::new()))
        .with_poll_interval(Duration::from_millis(20))
        .start();
    let hub = hub.await.expect("a hub");
    let mut subscription = hub.subscribe(Subscribe::new()).await.expect("a subscription");
    hub.append(append("flight-UA1545", Expected::NoStream, 3)).await.expect("an append");
    backups.back_up().await.expect("a copy");
    let lost = hub.append(append("flight-UA1545", Expected::Exists, 4)).await;
    let lost = lost.expect("an append").cursor;
    while subscription.cursor() != lost {
        let delivered = tasks::soon("the log was not delivered", subscription.next()).await;
        delivered.expect("an open subscription").expect("an item");
    }
    backups.restore().await.expect("the copy restored");
    let reported =
        tasks::soon("a running subscription did not report that its log was replaced", async {
            loop {
                match subscription.next().await {
                    Some(Ok(Item::Event(_))) => {
                        panic!("an event was delivered after the log had been replaced")
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => {
                        panic!("a subscription ended without an error that its log was replaced")
                    }
                }
            }
        });
    assert!(reported.await.is_other_history(), "the error has to say that the log is another one");
    let refused = hub.subscribe(Subscribe::new().with_after(After::Cursor(lost))).await;
    assert!(
        refused.is_err_and(|error| error.is_other_history()),
        "the old cursor has to be refused"
    );
    hub.append_to("flight-AA1141", Expected::Any, [event("FlightLanded")])
        .await
        .expect("an append");
    let wanted = log(&*store).await;
    let mut fresh = hub.subscribe(Subscribe::new()).await.expect("a subscription");
    let mut found = Vec::new();
    let all = async {
        while found.len() < wanted.len() {
            if let Some(Ok(Item::Event(event))) = fresh.next().await {
                found.push(event);
            }
        }
    };
    tasks::soon("a new subscription does not follow the restored log", all).await;
    assert!(found == wanted, "a new subscription has to deliver the restored log");
}

/// Appends, backs up, appends more and restores. Returns a cursor that both
/// histories have, and one of an event that is gone.
async fn lose_a_tail(store: &dyn EventStore, backups: &dyn Backups) -> (Cursor, Cursor) {
    let common = store.append(append("flight-UA1545", Expected::NoStream, 3)).await;
    backups.back_up().await.expect("a copy");
    let lost = store.append(append("flight-UA1545", Expected::Exists, 4)).await;
    backups.restore().await.expect("the copy restored");
    (common.expect("an append").cursor, lost.expect("an append").cursor)
}

async fn refusal(store: &dyn EventStore, cursor: Cursor) -> Option<ErrorKind> {
    store.read_log(Read::log().with_after(cursor)).await.err().map(|error| error.kind())
}
