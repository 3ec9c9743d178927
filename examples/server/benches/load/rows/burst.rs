use std::time::Instant;

use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use super::subject::Subject;
use crate::median::{median, median_ratio};
use crate::number::number;
use crate::peer::Peer;
use crate::support::Result;
use crate::support::times::float;
use crate::transport::Transport;

/// The figures of one server.
#[derive(Debug)]
struct Bursts {
    subject: Subject,
    /// Deliveries per second in each round.
    rates: Vec<f64>,
    /// Nanoseconds of CPU time per delivery.
    costs: Vec<f64>,
}

/// Appends events as fast as possible, and measures the time until the last client has
/// the last event.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    bench.progress.set("bursts: opening connections");
    let ours = [Transport::Raw, Transport::Sse, Transport::WebSocket];
    let peers = [Transport::Redis, Transport::Nats].into_iter();
    let peers = peers.filter(|peer| Peer::program(*peer).is_some());
    let mut all = Vec::new();
    for transport in ours.into_iter().chain(peers) {
        let subject = Subject::start(transport, bench.scale.connections).await?;
        all.push(Bursts { subject, rates: Vec::new(), costs: Vec::new() });
    }
    for _ in bench.rounds("bursts", usize::MAX) {
        for bursts in &mut all {
            bursts.measure(bench).await?;
        }
    }
    let Some((raw, others)) = all.split_first() else { return Ok(Vec::new()) };
    Ok(others.iter().map(|bursts| bursts.row(raw)).collect())
}

impl Bursts {
    async fn measure(&mut self, bench: &Bench) -> Result<()> {
        let Subject { source, clients, .. } = &mut self.subject;
        let (events, batch) = (bench.scale.burst_events, bench.scale.burst_batch);
        let deliveries = events * clients.count();
        clients.expect(deliveries).await?;
        let (before, began) = (source.usage(), Instant::now());
        source.burst(events, batch).await?;
        clients.received().await?;
        let (time, cpu) = (began.elapsed(), source.usage().cpu.saturating_sub(before.cpu));
        self.rates.push(float(deliveries) / time.as_secs_f64());
        self.costs.push(cpu.as_secs_f64() * 1e9 / float(deliveries));
        Ok(())
    }

    fn row(&self, raw: &Self) -> Row {
        let transport = self.subject.transport;
        let measure = format!(
            "burst to {} clients, {} beside raw",
            self.subject.clients.count(),
            transport.name()
        );
        let ratio = median_ratio(&self.rates, &raw.rates);
        let [rate, raw_rate] =
            [self, raw].map(|bursts| number(median(bursts.rates.iter().copied()) / 1e6));
        let [cost, raw_cost] =
            [self, raw].map(|bursts| number(median(bursts.costs.iter().copied())));
        let row = Row::new(measure, ratio, "x").with_detail(format!(
            "{rate} to {raw_rate} million deliveries/s, {cost} to {raw_cost} ns of CPU for each"
        ));
        match transport {
            Transport::Sse => row.with_before("1.16").with_aim(Aim::AtLeast(1.2)),
            Transport::WebSocket => row.with_aim(Aim::AtLeast(1.2)),
            _ => row,
        }
    }
}
