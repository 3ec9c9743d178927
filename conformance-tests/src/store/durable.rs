use downlink::{ErrorKind, Event, Expected, Read};

use crate::fixture::DurableFixture;
use crate::sample::{append, event, log, stream_of};

/// **Law.** After the store was closed and opened again, everything that was
/// acknowledged is there, byte for byte and at its position.
pub async fn reopening_keeps_the_log(fixture: &dyn DurableFixture) {
    let place = fixture.create().await.expect("a log that does not exist yet");
    let mut before: Vec<Event> = Vec::new();
    for round in 1..=3 {
        let store = place.open().await.expect("the log to open");
        assert!(
            log(&*store).await == before,
            "the log changed when it was closed and opened again"
        );
        let append = append("flight-UA1545", Expected::Any, round)
            .and(format!("flight-{round}"), Expected::NoStream, [event("FlightScheduled")])
            .expect("a valid name");
        store.append(append).await.expect("an append after reopening");
        let head = store.head().await.expect("a head");
        store
            .read_log(Read::log().with_after(head))
            .await
            .expect("a read that resumes from the head");
        before = log(&*store).await;
    }
    let store = place.open().await.expect("the log to open");
    let found = stream_of(&*store, &crate::sample::stream("flight-UA1545")).await;
    let versions: Vec<_> = found.iter().map(|event| event.version().get()).collect();
    assert_eq!(versions, (1..=6).collect::<Vec<_>>(), "versions have to continue after reopening");
}

/// **Law.** Event ids stay known forever, also after the store was closed and
/// opened again.
pub async fn ids_are_known_after_reopening(fixture: &dyn DurableFixture) {
    let place = fixture.create().await.expect("a log that does not exist yet");
    let first = append("flight-UA1545", Expected::NoStream, 3);
    let store = place.open().await.expect("the log to open");
    let original = store.append(first.clone()).await.expect("an append");
    drop(store);
    let store = place.open().await.expect("the log to open");
    let repeat = store.append(first.clone()).await.unwrap_or_else(|error| {
        panic!("a repeat was refused after reopening (`{error}`): keep ids with the log")
    });
    assert!(repeat.duplicate, "a repeat was stored again after reopening: keep ids with the log");
    assert_eq!(repeat.writes, original.writes, "a duplicate has to return the original versions");
    let mut other = first;
    other.writes[0].stream = crate::sample::stream("flight-AA1141");
    let refused = store.append(other).await.err().map(|error| error.kind());
    assert_eq!(
        refused,
        Some(ErrorKind::IdReused),
        "a known id in another stream has to be `IdReused`, also after reopening"
    );
}

/// **Law.** After reopening, positions continue above all that were assigned
/// before, and none is used again.
pub async fn positions_continue_after_reopening(fixture: &dyn DurableFixture) {
    let place = fixture.create().await.expect("a log that does not exist yet");
    let mut highest = downlink::Position::ZERO;
    for _ in 0..4 {
        let store = place.open().await.expect("the log to open");
        let head = store.head().await.expect("a head").position();
        assert!(
            head == highest,
            "the head was {highest} and is {head} after reopening: keep it with the log"
        );
        let appended = store.append(append("flight-UA1545", Expected::Any, 2)).await;
        let appended = appended.expect("an append after reopening");
        assert!(
            appended.first > highest,
            "position {} was assigned again after reopening: the last was {highest}",
            appended.first
        );
        highest = appended.last();
        // A refused append must not leave anything that a later one collides with.
        store.append(append("flight-UA1545", Expected::NoStream, 1)).await.expect_err("a conflict");
    }
}
