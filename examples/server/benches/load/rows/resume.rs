use super::aim::Aim;
use super::bench::{Bench, file_store};
use super::row::Row;
use crate::clients::Clients;
use crate::events::event;
use crate::median::median;
use crate::number::number;
use crate::open_files;
use crate::request::Requests;
use crate::resumed::Resumed;
use crate::server::Server;
use crate::support::Result;
use crate::support::log_file::fill;
use crate::support::times::float;
use crate::transport::Transport;

/// The bounds of a page that the hub reads, by default.
const PAGE_EVENTS: usize = 512;
const PAGE_BYTES: usize = 128 << 10;

/// Lets many clients resume at the same time from a cursor far behind, on a new server.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let (folder, range) = (bench.folder()?, bench.scale.resumed_events);
    let clients = open_files::limited(bench.scale.resuming_clients);
    let file = folder.path().join("log.db");
    bench.progress.set("resume: appending events");
    fill(&file, range * 2, |_| Ok(event())).await?;
    let (mut reads, mut times, mut cut) = (Vec::new(), Vec::new(), 0);
    for _ in bench.rounds("resume", 1) {
        let mut server = Server::start(&file_store("rusqlite", &file)).await?;
        let requests = Requests::new(Transport::Sse, &server.authority);
        let requests = requests.with_after(&range.to_string());
        let resumed = Clients::resume(&requests, clients).await?;
        check(resumed, clients * range)?;
        cut += resumed.cut;
        times.push(resumed.time.as_secs_f64());
        reads.push(float(usize::try_from(server.stats().await?.page_reads)?));
    }
    let what = format!("{clients} clients resume {range} events");
    let (reads, pages, seconds) = (median(reads), float(pages(range)), median(times));
    let deliveries = number(float(clients * range) / seconds / 1e6);
    Ok(vec![
        Row::new(format!("{what}, reads to pages of the range"), reads / pages, "x")
            .with_aim(Aim::AtMost(1.0))
            .with_detail(format!("{reads} reads of the store, {pages} pages")),
        Row::new(format!("{what}, disconnected"), float(usize::try_from(cut)?), "")
            .with_aim(Aim::AtMost(0.0)),
        Row::new(format!("{what}, until all are live"), seconds, "s")
            .with_detail(format!("{deliveries} million deliveries/s")),
    ])
}

fn check(resumed: Resumed, expected: usize) -> Result<()> {
    let Resumed { deliveries, cut, .. } = resumed;
    if cut == 0 && deliveries != u64::try_from(expected)? {
        return Err(format!("{deliveries} deliveries instead of {expected}").into());
    }
    Ok(())
}

/// The pages that hold this many events.
fn pages(events: usize) -> usize {
    events.div_ceil(PAGE_EVENTS.min(PAGE_BYTES / event().size()))
}
