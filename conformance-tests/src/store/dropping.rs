use std::sync::Arc;

use downlink::{Append, EventStore, Expected};

use crate::faults::drop_after;
use crate::fixture::StoreFixture;
use crate::sample::{append, event, stream, stream_of};
use crate::tasks;

/// **Law.** Dropping the future of an append at any await leaves all of its
/// events stored or none, and leaves no transaction open: other appends proceed
/// at once, and a repeat with the same ids ends with one copy.
pub async fn a_dropped_append_is_all_or_nothing(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let mut finished = 0;
    for polls in (0..40).map(|round| round % 10) {
        let name = stream(&format!("flight-{finished}-{polls}-{}", downlink::EventId::now()));
        let dropped = Append::to(&name, Expected::NoStream, [event("A"), event("B"), event("C")])
            .and_then(|append| append.and(format!("{name}-2"), Expected::NoStream, [event("D")]))
            .expect("a valid name");
        finished += usize::from(drop_after(polls, store.append(dropped.clone())).await.is_some());
        all_or_nothing(&*store, &name).await;
        others_proceed(&store).await;
        let repeated =
            tasks::soon("the repeat of a dropped append was not answered", store.append(dropped));
        repeated.await.unwrap_or_else(|error| {
            panic!(
                "the repeat of a dropped append was refused although its ids are known or new: \
                 {error}"
            )
        });
        let copies = stream_of(&*store, &name).await.len();
        assert!(copies == 3, "a dropped append and its repeat stored {copies} events instead of 3");
    }
}

async fn all_or_nothing(store: &dyn EventStore, name: &downlink::StreamId) {
    let first = stream_of(store, name).await.len();
    assert!(
        first == 0 || first == 3,
        "a dropped append left {first} of its 3 events: run the transaction in a task that the \
         caller cannot drop"
    );
}

async fn others_proceed(store: &Arc<dyn EventStore>) {
    let next = store.append(append("flight-next", Expected::Any, 1));
    let next = tasks::soon(
        "after an append was dropped, the next one waits forever: a transaction was left open",
        next,
    );
    next.await.unwrap_or_else(|error| {
        panic!(
            "after an append was dropped, the next one fails (`{error}`): a transaction was left \
             open"
        )
    });
}
