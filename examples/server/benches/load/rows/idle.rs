use std::time::Duration;

use tokio::time::sleep;

use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use super::table::number;
use crate::clients::Clients;
use crate::median::median;
use crate::open_files;
use crate::request::Requests;
use crate::server::Server;
use crate::support::Result;
use crate::support::times::float;
use crate::transport::Transport;

/// The transports, with the figures before, and the aims, in KiB.
const TRANSPORTS: [(Transport, &str, Option<Aim>); 4] = [
    (Transport::Sse, "8.3", Some(Aim::Below(2.0))),
    (Transport::WebSocket, "4.3", Some(Aim::Below(3.0))),
    (Transport::Poll, "10.6", Some(Aim::Below(4.0))),
    (Transport::Raw, "", None),
];

/// The pause between two looks at the memory, and how many are the same at the end.
const PAUSE: Duration = Duration::from_millis(200);
const SAME: usize = 3;
const LOOKS: usize = 50;

/// Opens connections without events on a new server, and measures its memory.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let count = open_files::limited(bench.scale.idle + 1) - 1;
    let mut values = TRANSPORTS.map(|_| Vec::new());
    for _ in bench.rounds("idle connections", 3) {
        for ((transport, ..), values) in TRANSPORTS.iter().zip(&mut values) {
            values.push(measure(bench, *transport, count).await?);
        }
    }
    let rows = TRANSPORTS.into_iter().zip(&values).map(|((transport, before, aim), values)| {
        let measure = format!("memory for each of {count} idle connections, {}", transport.name());
        let each = median(values.iter().map(|(each, _)| *each));
        let total = median(values.iter().map(|(_, total)| *total));
        let row = Row::new(measure, each, "KiB").with_before(before);
        let row = row.with_detail(format!("the process: {} MiB", number(total)));
        Row { aim, ..row }
    });
    Ok(rows.collect())
}

/// KiB for each connection, and MiB of the process with all.
async fn measure(bench: &Bench, transport: Transport, count: usize) -> Result<(f64, f64)> {
    let server = Server::in_memory(transport).await?;
    let requests = Requests::new(transport, &server.authority);
    let mut first = Clients::open(&requests, 1).await?;
    let before = settled(&server).await;
    let mut clients = Clients::open(&requests, count).await?;
    sleep(Duration::from_secs(bench.scale.idle_seconds)).await;
    let after = settled(&server).await;
    first.report_open().await?;
    clients.report_open().await?;
    let each = kibibytes(after.saturating_sub(before)) / float(count);
    Ok((each, kibibytes(after) / 1_024.0))
}

/// The resident memory once it does not change.
async fn settled(server: &Server) -> u64 {
    let mut resident = server.usage().resident;
    let mut same = 0;
    for _ in 0..LOOKS {
        sleep(PAUSE).await;
        let now = server.usage().resident;
        same = if now == resident { same + 1 } else { 0 };
        resident = now;
        if same == SAME {
            break;
        }
    }
    resident
}

#[expect(clippy::cast_precision_loss, reason = "memory stays below 2^53 bytes")]
fn kibibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_024.0
}
