use std::time::{Duration, Instant};

use downlink::store::ReadLog;
use downlink::{Cursor, EventStore, Filter, Read};
use downlink_postgres::PostgresStore;

use crate::aim::Aim;
use crate::appender_process::connect;
use crate::arguments::Arguments;
use crate::by_hand::ByHand;
use crate::load::{append, per_second};
use crate::median::{median, median_ratio};
use crate::server::{Server, fresh_schema};
use crate::table;

/// The events of a page.
const PAGE: usize = 500;

/// The events of an append that fills a log.
const BATCH: usize = 500;

/// Reading a log from its beginning, beside the same rows read by hand.
pub(crate) async fn measure(server: &Server, arguments: &Arguments) {
    let count = arguments.replayed;
    let store = connect(&fresh_schema(), &server.url()).await;
    let table = ByHand::create(server, "replayed", 2).await;
    for batch in 0..count / BATCH {
        let mut events = append(batch % 64);
        let one = events.writes[0].events[0].clone();
        let id = || one.clone().with_id(downlink::EventId::now());
        events.writes[0].events = (0..BATCH).map(|_| id()).collect();
        store.append(events).await.expect("an append");
        table.insert(&table.pool, BATCH).await;
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&table.pool).await.expect("a vacuum");
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        by_hand.push(by_hand_rate(&table).await);
        ours.push(rate(&store).await);
    }
    let rate = |rates: &[f64]| table::rate(median(rates.iter().copied()));
    table::print("SELECT in pages of 500 through sqlx", &rate(&by_hand));
    let ratio = median_ratio(&ours, &by_hand);
    table::print_ratio("read_log in pages of 500", &rate(&ours), ratio, Aim::AtLeast(0.7));
    let none = Read::log().with_filter(Filter::types(["FlightDiverted"]));
    let mut searched = Vec::new();
    for _ in 0..arguments.rounds {
        searched.push(per_second(count, read(&store, &none).await.1));
    }
    table::print("searched by a filter that nothing matches", &rate(&searched));
}

async fn rate(store: &PostgresStore) -> f64 {
    let (events, took) = read(store, &Read::log().with_limit(PAGE)).await;
    per_second(events, took)
}

/// Reads to the end of the log, and returns how many events and in how long.
async fn read(store: &PostgresStore, all: &ReadLog) -> (usize, Duration) {
    let (began, mut read, mut after) = (Instant::now(), 0, Cursor::START);
    loop {
        let page = store.read_log(all.clone().with_after(after)).await.expect("a page");
        (read, after) = (read + page.events.len(), page.scanned);
        if !page.more {
            return (read, began.elapsed());
        }
    }
}

async fn by_hand_rate(table: &ByHand) -> f64 {
    let (began, mut read, mut from) = (Instant::now(), 0, 1);
    loop {
        let rows = table.read_from(from, i64::try_from(PAGE).expect("a few")).await;
        let Some(last) = rows.last() else { return per_second(read, began.elapsed()) };
        (read, from) = (read + rows.len(), last.0 + 1);
    }
}
