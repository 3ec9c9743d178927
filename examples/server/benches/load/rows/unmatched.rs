use std::time::Instant;

use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use super::subject::Subject;
use crate::median::median;
use crate::number::number;
use crate::server::Server;
use crate::support::Result;
use crate::transport::Transport;

/// Events per second.
const RATE: usize = 200;

/// Appends events that match no client, to a server with such clients and to one
/// without clients.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let count = bench.scale.connections;
    bench.progress.set("streams that match nothing: opening connections");
    let filter = "type=FlightCancelled";
    let mut subject = Subject::start_with_filter(Transport::Sse, count, filter).await?;
    let mut server = Server::in_memory(Transport::Sse).await?;
    let events = RATE * bench.scale.rate_seconds;
    let (mut values, mut alone) = (Vec::new(), Vec::new());
    for _ in bench.rounds("streams that match nothing", 3) {
        let (before, began) = (subject.source.usage(), Instant::now());
        subject.source.at_rate(RATE, events, 1).await?;
        let cpu = subject.source.usage().cpu.saturating_sub(before.cpu);
        values.push(100.0 * cpu.as_secs_f64() / began.elapsed().as_secs_f64());
        if subject.clients.report_open().await?.deliveries > 0 {
            return Err("a client received an event that does not match its filter".into());
        }

        let (before, began) = (server.usage(), Instant::now());
        server.at_rate(RATE, events, 1).await?;
        let cpu = server.usage().cpu.saturating_sub(before.cpu);
        alone.push(100.0 * cpu.as_secs_f64() / began.elapsed().as_secs_f64());
    }
    let measure = format!("{count} streams that match nothing, {RATE} events/s, besides appends");
    let (with, without) = (median(values), median(alone));
    let row = Row::new(measure, (with - without).max(0.0), "% of a core");
    let row = row.with_before("88 % in all").with_aim(Aim::Below(5.0));
    let detail = format!("{} % in all, {} % without streams", number(with), number(without));
    Ok(vec![row.with_detail(detail)])
}
