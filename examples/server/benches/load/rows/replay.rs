use std::path::Path;
use std::time::Instant;

use downlink::EventStore;
use downlink::store::ReadLog;

use super::aim::Aim;
use super::bench::{Bench, file_store};
use super::row::Row;
use crate::clients::Clients;
use crate::events::event;
use crate::median::{median, median_ratio};
use crate::number::number;
use crate::request::Requests;
use crate::server::Server;
use crate::support::Result;
use crate::support::log_file::fill;
use crate::support::times::float;
use crate::transport::Transport;

/// The events of a page in process.
const PAGE: usize = 500;

/// Reads a long log over one SSE stream, and the same pages in process.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let (folder, events) = (bench.folder()?, bench.scale.replayed_events);
    let file = folder.path().join("log.db");
    bench.progress.set(format!("replay: appending {events} events"));
    fill(&file, events, |_| Ok(event())).await?;
    Ok(vec![
        replay(bench, &file, "rusqlite")
            .await?
            .with_before("217000/s")
            .with_aim(Aim::AtLeast(500_000.0)),
        replay(bench, &file, "sqlx")
            .await?
            .with_before("143000/s")
            .with_aim(Aim::AtLeast(300_000.0)),
    ])
}

async fn replay(bench: &Bench, file: &Path, driver: &str) -> Result<Row> {
    let events = bench.scale.replayed_events;
    let server = Server::start(&file_store(driver, file)).await?;
    let requests = Requests::new(Transport::Sse, &server.authority).with_after("start");
    let (mut rates, mut in_process) = (Vec::new(), Vec::new());
    for _ in bench.rounds(&format!("replay, {driver}"), 3) {
        let resumed = Clients::resume(&requests, 1).await?;
        if resumed.deliveries != u64::try_from(events)? {
            return Err(format!("{} of {events} events arrived", resumed.deliveries).into());
        }
        rates.push(float(events) / resumed.time.as_secs_f64());
        in_process.push(float(events) / read(file, driver).await?);
    }
    let ratio = number(median_ratio(&rates, &in_process));
    let row =
        Row::new(format!("replay of {events} events over SSE, {driver}"), median(rates), "/s");
    let alone = number(median(in_process));
    Ok(row.with_detail(format!("pages in process {alone}/s, {ratio} x of that")))
}

/// The seconds to read all pages in process.
async fn read(file: &Path, driver: &str) -> Result<f64> {
    if driver == "sqlx" {
        let store = downlink_sqlx::open(file).await?;
        let seconds = read_all(&store).await?;
        store.close().await;
        return Ok(seconds);
    }
    let store = downlink_rusqlite::open(file).await?;
    let seconds = read_all(&store).await?;
    store.close().await;
    Ok(seconds)
}

async fn read_all(store: &impl EventStore) -> Result<f64> {
    let began = Instant::now();
    let mut read = ReadLog::log().with_limit(PAGE);
    loop {
        let page = store.read_log(read).await?;
        if !page.more {
            return Ok(began.elapsed().as_secs_f64());
        }
        read = ReadLog::log().with_limit(PAGE).with_after(page.scanned);
    }
}
