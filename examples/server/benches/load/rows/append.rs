use std::mem::take;
use std::time::Duration;

use super::aim::Aim;
use super::bench::{Bench, file_store};
use super::row::Row;
use crate::median::median;
use crate::number::number;
use crate::server::Server;
use crate::support::Result;
use crate::support::connection::Connection;
use crate::support::disk::Disk;
use crate::support::follower::Follower;
use crate::support::protocol::Protocol;
use crate::support::times::Times;
use crate::support::warm_up::warm_up;

/// In how many turns a round is measured.
const SLICES: u32 = 10;

/// Appends one event at a time over HTTP to a file, and measures the time until one
/// client has it over SSE, and an fdatasync in the same folder in turn.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.folder()?;
    let server = Server::start(&file_store("rusqlite", &folder.path().join("log.db"))).await?;
    let mut disk = Disk::create(folder.path())?;
    bench.progress.set("append to one client: growing the write-ahead log");
    let stream = |_| "flight-0".to_owned();
    warm_up(&mut Connection::open(&server.authority, Protocol::Downlink).await?, stream).await?;
    let mut follower = Follower::connect(&server.authority, Protocol::Downlink, "flight-0").await?;

    let slice = Duration::from_millis(bench.scale.append_millis) / SLICES;
    let (mut events, mut syncs) = (Vec::new(), Vec::new());
    for _ in bench.rounds("append to one client", usize::MAX) {
        let mut times = Times::default();
        for _ in 0..SLICES {
            follower.append(slice).await?;
            disk.measure(slice / 4, &mut times)?;
        }
        events.push(take(&mut follower.to_event).percentile(50)?);
        syncs.push(times.percentile(50)?);
    }
    let beyond = events.iter().zip(&syncs).map(|(event, sync)| event - sync);
    let row = Row::new("append to one SSE client beyond fdatasync, p50", median(beyond), "us");
    let [event, sync] = [events, syncs].map(|times| number(median(times)));
    let row = row.with_before("600 us").with_aim(Aim::AtMost(150.0));
    Ok(vec![row.with_detail(format!("append {event} us, fdatasync {sync} us"))])
}
