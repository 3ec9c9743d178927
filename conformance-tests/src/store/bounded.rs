use std::sync::Arc;

use downlink::{ErrorKind, Expected};

use crate::fixture::BoundedFixture;
use crate::sample::{append, log};
use crate::tasks;

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
                // The receiver lives until all appends have ended.
                let _ = told.send(error.kind());
            }
            outcome.is_ok()
        })
    });
    let appends: Vec<_> = appends.collect();
    for count in 0..OFFERED - 4 * QUEUE {
        let what = format!(
            "{OFFERED} appends were made to a blocked queue of {QUEUE}, and only {count} were \
             refused: the queue is not bounded"
        );
        let kind = tasks::soon(what, refusals.recv()).await.expect("an append that ends");
        assert_eq!(kind, ErrorKind::Overloaded, "an append to a full queue has to be `Overloaded`");
    }
    lock.release().await.expect("the writer to continue");
    let stored = tasks::join(appends).await.into_iter().filter(|stored| *stored).count();
    assert!(stored > 0, "the appends in the queue have to be stored when the writer continues");
    let found = log(&*store).await.len();
    assert!(
        found == stored,
        "{stored} appends were acknowledged and {found} are stored: `Overloaded` promises that \
         nothing was written"
    );
    store.append(append("flight-after", Expected::Any, 1)).await.expect("the store to serve again");
}
