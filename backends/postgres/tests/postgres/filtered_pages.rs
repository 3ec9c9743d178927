//! Pages with a filter, of a log that is longer than what one page looks at.

use downlink::store::{Direction, ReadLog};
use downlink::{Event, EventStore, Filter, StreamId};
use downlink_postgres::PostgresStore;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::pooler;
use crate::server::{Server, fresh_schema, options};

/// So many flights, and between two of them a million missing positions.
const FLIGHTS: i64 = 40_000;

/// One flight in so many was diverted: half of what one page looks at, so that one of them is at its very end.
const ONE_IN: i64 = 8_192;

/// Payload and metadata of a diversion.
const BYTES: usize = 4;

/// The same log, read directly and behind a pooler.
async fn recorded() -> [PostgresStore; 2] {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.expect("a log");
    let fill = format!(
        "INSERT INTO {schema}.events SELECT n + CASE WHEN n > 20000 THEN 1000000 ELSE 0 END, gen_random_uuid(), \
         'flight-' || n, 1, CASE n % {ONE_IN} WHEN 0 THEN 'FlightDiverted' ELSE 'FlightDeparted' END, n, NULL, \
         '{{}}', '{{}}', '{{}}' FROM generate_series(1, {FLIGHTS}) n"
    );
    let mut connection = PgConnection::connect(&Server::get().url()).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await.expect("events");
    [store, pooler::connect(&schema).await.expect("the log behind a pooler")]
}

fn diversions(direction: Direction) -> ReadLog {
    let read = ReadLog::log().with_filter(Filter::types(["FlightDiverted"]));
    match direction {
        Direction::Forward => read,
        Direction::Backward => read.backward(),
    }
}

fn flights(events: &[Event]) -> Vec<i64> {
    let number = |stream: &StreamId| stream.as_str()["flight-".len()..].parse().expect("a number");
    events.iter().map(|event| number(event.stream())).collect()
}

/// What all pages have together, and how many they are.
async fn all(store: &PostgresStore, mut read: ReadLog) -> (Vec<i64>, usize) {
    let mut found = Vec::new();
    for pages in 1.. {
        let page = store.read_log(read.clone()).await.expect("a page");
        found.extend(flights(&page.events));
        if !page.more || pages > 100 {
            return (found, pages);
        }
        read = read.with_after(page.scanned.position());
    }
    unreachable!("the loop has no end")
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_sparse_filter_takes_few_pages_and_passes_missing_positions() {
    for store in recorded().await {
        let mut expected: Vec<i64> = (1..=FLIGHTS / ONE_IN).map(|n| n * ONE_IN).collect();
        for direction in [Direction::Forward, Direction::Backward] {
            let (found, pages) = all(&store, diversions(direction)).await;
            assert_eq!(found, expected);
            assert!(pages <= 4, "{pages} pages");
            expected.reverse();
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_page_that_is_full_of_bytes_ends_at_its_last_event() {
    for store in recorded().await {
        for direction in [Direction::Forward, Direction::Backward] {
            let (expected, _) = all(&store, diversions(direction)).await;
            for bytes in [1, BYTES, BYTES + 1, 2 * BYTES] {
                let (found, _) = all(&store, diversions(direction).with_max_bytes(bytes)).await;
                assert_eq!(found, expected, "{bytes} bytes, {direction:?}");
            }
            let (found, _) = all(&store, diversions(direction).with_limit(1)).await;
            assert_eq!(found, expected);
        }
    }
}
