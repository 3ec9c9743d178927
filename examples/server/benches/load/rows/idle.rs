use std::time::Duration;

use tokio::time::sleep;

use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use crate::clients::Clients;
use crate::median::median;
use crate::number::number;
use crate::open_files;
use crate::request::Requests;
use crate::server::Server;
use crate::support::Result;
use crate::support::times::float;
use crate::transport::Transport;

/// What is open, with the figures before, and the aims, in KiB.
const KINDS: [(Kind, &str, Option<Aim>); 5] = [
    (Kind::Of(Transport::Sse), "8.3", Some(Aim::Below(2.0))),
    (Kind::Of(Transport::WebSocket), "4.3", Some(Aim::Below(3.0))),
    (Kind::FirstPoll, "10.6", Some(Aim::Below(4.0))),
    (Kind::Of(Transport::Poll), "", Some(Aim::Below(4.0))),
    (Kind::Of(Transport::Raw), "", None),
];

/// The pause between two looks at the memory, and how many are the same at the end.
const PAUSE: Duration = Duration::from_millis(100);
const SAME: usize = 3;
const LOOKS: usize = 100;

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// With polls, each is the second on its connection.
    Of(Transport),
    /// A waiting poll on a new connection.
    FirstPoll,
}

/// Opens connections without events on a new server, and measures its memory.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let count = open_files::limited(bench.scale.idle + 1) - 1;
    let mut values = KINDS.map(|_| Vec::new());
    for _ in bench.rounds("idle connections", 3) {
        for ((kind, ..), values) in KINDS.iter().zip(&mut values) {
            values.push(measure(bench, *kind, count).await?);
        }
    }
    let rows = KINDS.into_iter().zip(&values).map(|((kind, before, aim), values)| {
        let measure = format!("memory for each of {count} idle connections, {}", kind.name());
        let each = median(values.iter().map(|(each, _)| *each));
        let total = median(values.iter().map(|(_, total)| *total));
        let row = Row::new(measure, each, "KiB").with_before(before);
        let row = row.with_detail(format!("the process: {} MiB", number(total)));
        Row { aim, ..row }
    });
    Ok(rows.collect())
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::FirstPoll => "poll",
            Self::Of(Transport::Poll) => "poll after a poll",
            Self::Of(transport) => transport.name(),
        }
    }

    fn transport(self) -> Transport {
        match self {
            Self::Of(transport) => transport,
            Self::FirstPoll => Transport::Poll,
        }
    }

    fn requests(self, authority: &str) -> Requests {
        let requests = Requests::new(self.transport(), authority);
        if matches!(self, Self::FirstPoll) { requests.waiting_at_once() } else { requests }
    }
}

/// KiB for each connection, and MiB of the process with all.
async fn measure(bench: &Bench, kind: Kind, count: usize) -> Result<(f64, f64)> {
    let server = Server::in_memory(kind.transport()).await?;
    let requests = kind.requests(&server.authority);
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
