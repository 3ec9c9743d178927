use std::sync::Arc;

use downlink::store::Appended;
use downlink::{Append, ErrorKind, EventStore, EventType, Expected, Result};

use crate::fixture::{GroupCommitFixture, WriteLock};
use crate::sample::{append, event, log};
use crate::tasks;

/// **Law.** An append that cannot be inserted fails alone. Nothing of it is
/// stored, and the appends that were committed together with it are.
pub async fn a_failing_append_fails_alone(fixture: &dyn GroupCommitFixture) {
    let poison = EventType::new("Poison").expect("a valid type");
    let (store, lock) = fixture.open(&poison).await.expect("a fresh store");
    for round in 0..4 {
        for (number, offered, outcome) in append_a_group(&store, &*lock, &poison, round).await {
            match outcome {
                Ok(_) if number == 4 => {
                    panic!(
                        "an append that cannot be inserted was acknowledged: report the error of \
                         the insert"
                    )
                }
                Err(error) if number == 4 => known_outcome(&error),
                Ok(_) => {}
                Err(error) => panic!(
                    "an append failed (`{error}`) because another one of its group cannot be \
                     inserted: repeat the group one by one"
                ),
            }
            if number != 4 {
                let again = store.append(offered).await.expect("a repeat");
                assert!(again.duplicate, "an append of the group was acknowledged and not stored");
            }
        }
        let found = log(&*store).await;
        assert!(
            found.iter().all(|event| !event.stream().as_str().ends_with("-4")),
            "half of an append that failed was stored"
        );
        assert_eq!(
            found.len(),
            (round + 1) * 16,
            "all other appends of the group have to be stored once"
        );
    }
}

/// Makes nine appends that are committed together, of which the one with the
/// number 4 cannot be inserted.
pub(super) async fn append_a_group(
    store: &Arc<dyn EventStore>,
    lock: &dyn WriteLock,
    poison: &EventType,
    round: usize,
) -> Vec<(usize, Append, Result<Appended>)> {
    lock.hold().await.expect("the writer to stop");
    let appends = (0..9).map(|number| {
        let name = format!("flight-{round}-{number}");
        let offered = if number == 4 {
            Append::to(name, Expected::NoStream, [event("Valid"), event(poison.as_str())])
                .expect("a valid name")
        } else {
            append(&name, Expected::NoStream, 2)
        };
        let store = Arc::clone(store);
        tokio::spawn(async move { (number, offered.clone(), store.append(offered).await) })
    });
    let appends: Vec<_> = appends.collect();
    // Lets all of them reach the queue, as far as can be known from outside.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    lock.release().await.expect("the writer to continue");
    tasks::join(appends).await
}

fn known_outcome(error: &downlink::Error) {
    let unknown = error.kind() == ErrorKind::OutcomeUnknown;
    assert!(
        !unknown,
        "an append that failed before the commit was not stored: its outcome is known, so do not \
         return `OutcomeUnknown`"
    );
}
