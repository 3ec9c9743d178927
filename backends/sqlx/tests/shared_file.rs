//! One file that both drivers write.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use downlink::store::{Appended, Page};
use downlink::{Append, Event, EventStore, Expected, Read, Result};
use futures::future::{join_all, try_join_all};
use proptest::prelude::*;
use support::{AnyRead, TempLog, all, append, event, stored};

/// Both drivers with the same file open.
struct Both {
    sqlx: downlink_sqlx::SqlxStore,
    rusqlite: downlink_rusqlite::RusqliteStore,
}

impl Both {
    async fn open(temp: &TempLog) -> Self {
        let sqlx = temp.open().await;
        Self { sqlx, rusqlite: downlink_rusqlite::open(&temp.path).await.unwrap() }
    }

    fn one(&self, is_sqlx: bool) -> &dyn EventStore {
        if is_sqlx { &self.sqlx } else { &self.rusqlite }
    }

    async fn verify(&self) {
        for report in [self.sqlx.verify().await.unwrap(), self.rusqlite.verify().await.unwrap()] {
            assert!(report.is_sound(), "{report}");
        }
    }
}

type Row = (i64, i64, i64, i64, i64, i64);

/// Position, stream, version, links and type of every event.
fn rows(temp: &TempLog) -> Vec<Row> {
    let connection = temp.sql();
    let text =
        "SELECT position, stream, version, prev, jump, type FROM downlink_events ORDER BY position";
    let mut statement = connection.prepare(text).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    statement.query_map((), read).unwrap().map(Result::unwrap).collect()
}

/// Appends to two streams, each with one of the drivers.
fn steps() -> impl Strategy<Value = Vec<(bool, usize, usize)>> {
    prop::collection::vec((any::<bool>(), 0..5_usize, 1..9_usize), 1..60)
}

fn batch(stream: usize, count: usize) -> Append {
    let events = |name: &str| (0..count).map(|_| event(name)).collect::<Vec<_>>();
    Append::to(format!("flight-{stream}"), Expected::Any, events("FlightDelayed"))
        .and_then(|append| append.and("board", Expected::Any, events("BoardChanged")))
        .unwrap()
}

fn pages() -> Vec<AnyRead> {
    let mut reads = vec![
        AnyRead::Log(Read::log().with_limit(1_000)),
        AnyRead::Log(Read::log().backward().with_limit(1_000)),
    ];
    for stream in 0..5 {
        let name = || format!("flight-{stream}").try_into().unwrap();
        reads.push(AnyRead::Stream(Read::stream(name()).with_limit(1_000)));
        reads.push(AnyRead::Stream(Read::stream(name()).backward().with_limit(3)));
    }
    reads
}

async fn both_read(both: &Both) -> Vec<Page> {
    let mut found = Vec::new();
    for read in pages() {
        let one = read.page(&both.sqlx).await.unwrap();
        assert_eq!(one, read.page(&both.rusqlite).await.unwrap());
        found.push(one);
    }
    found
}

async fn take_turns(steps: Vec<(bool, usize, usize)>) {
    let (temp, alone) = (TempLog::new(), TempLog::new());
    let (both, other) = (Both::open(&temp).await, alone.open().await);
    for (is_sqlx, stream, count) in steps {
        let append = batch(stream, count);
        let shared = both.one(is_sqlx).append(append.clone()).await.unwrap();
        assert_eq!(other.append(append.clone()).await.unwrap(), shared);
        let again = both.one(!is_sqlx).append(append).await.unwrap();
        assert_eq!(again, Appended { duplicate: true, ..shared });
        both_read(&both).await;
    }
    both.verify().await;
    assert!(rows(&temp) == rows(&alone), "keys or links depend on the driver");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn alternating_drivers_write_the_same_as_one(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(take_turns(steps));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_write_at_the_same_time() {
    let temp = TempLog::new();
    let both = Both::open(&temp).await;
    for _ in 0..20 {
        let appends = (0..40).map(|number| {
            both.one(number % 2 == 0).append(append(&format!("flight-{}", number % 7), 3))
        });
        for appended in try_join_all(appends).await.unwrap() {
            let written = &appended.writes[0];
            assert_eq!(written.last.get(), written.first.get() + 2, "batches stay whole");
        }
        both_read(&both).await;
    }
    assert_eq!(both.sqlx.head().await.unwrap().position().get(), 20 * 40 * 3);
    both.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_conflicting_appends_succeeds() {
    let temp = TempLog::new();
    let both = Both::open(&temp).await;
    for round in 0..50 {
        let stream = format!("flight-{round}");
        let first = || Append::to(stream.clone(), Expected::NoStream, [event("A")]).unwrap();
        let outcomes = join_all([both.sqlx.append(first()), both.rusqlite.append(first())]).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    }
    both.verify().await;
}

#[tokio::test]
async fn a_file_can_be_opened_by_each_driver_in_turn() {
    let temp = TempLog::new();
    let mut events: Vec<Event> = Vec::new();
    for round in 0..6 {
        let (appended, read) = if round % 2 == 0 {
            let store = temp.open().await;
            (stored(&store, "flight-UA1545", 5).await, all(&store).await)
        } else {
            let store = downlink_rusqlite::open(&temp.path).await.unwrap();
            (stored(&store, "flight-UA1545", 5).await, all(&store).await)
        };
        assert_eq!(appended.writes[0].first.get(), 5 * round + 1);
        assert_eq!(read.events[..events.len()], events);
        events = read.events;
    }
    Both::open(&temp).await.verify().await;
}
