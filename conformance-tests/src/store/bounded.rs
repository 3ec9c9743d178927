use std::sync::Arc;

use downlink::{ErrorKind, Expected};

use crate::sample::{append, log};
use crate::{BoundedFixture, tasks};

/// **Law.** The queue of appends is bounded. Appends beyond the bound fail with
/// `Overloaded` at once and write nothing; those in the queue are stored when
/// the writer continues.
pub async fn a_full_queue_is_overloaded(fixture: &dyn BoundedFixture) {
    const QUEUE: usize = 8;
    const OFFERED: usize = 40 * QUEUE;
    let (store, lock) = fixture.open(QUEUE).await.expect("a fresh store");
    lock.hold().await.expect("the writer to stop");
    let (told, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let appends = (0..OFFERED).map(|number| {
        let (store, told) = (Arc::clone(&store), told.clone());
        tokio::spawn(async move {
            let outcome =
                store.append(append(&format!("flight-{number}"), Expected::NoStream, 1)).await;
            if let Err(error) = &outcome {
                // The law ends only after all appends have.
                let _ = told.send(error.kind());
            }
            outcome.is_ok()
        })
    });
    let appends: Vec<_> = appends.collect();
    for count in 0..OFFERED - 4 * QUEUE {
        let what = format!(
            "{OFFERED} appends were offered to a queue of {QUEUE} that is held, and only {count} \
             were refused: the queue is not bounded"
        );
        let kind = tasks::soon(what, refusals.recv()).await.expect("somebody to tell");
        assert_eq!(kind, ErrorKind::Overloaded, "a full queue is Overloaded");
    }
    lock.release().await.expect("the writer to go on");
    let stored = tasks::join(appends).await.into_iter().filter(|stored| *stored).count();
    assert!(stored > 0, "the appends in the queue are stored when the writer goes on");
    let found = log(&*store).await.len();
    assert!(
        found == stored,
        "{stored} appends were acknowledged and {found} are stored: `Overloaded` says that nothing \
         was written"
    );
    store.append(append("flight-after", Expected::Any, 1)).await.expect("the store to serve again");
}
