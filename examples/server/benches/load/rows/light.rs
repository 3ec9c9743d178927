use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use super::subject::Subject;
use crate::median::{median, median_ratio};
use crate::number::number;
use crate::support::Result;
use crate::support::times::{float, micros};
use crate::transport::Transport;

/// Events per second.
const RATE: usize = 20;

/// The figures of one server, of each round.
#[derive(Debug)]
struct Light {
    subject: Subject,
    /// Microseconds of CPU time per delivery.
    costs: Vec<f64>,
    /// Milliseconds from an append to the last client.
    medians: Vec<f64>,
    p99s: Vec<f64>,
}

/// Appends one event at a time.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    bench.progress.set("one event at a time: opening connections");
    let mut all = Vec::new();
    for transport in [Transport::Raw, Transport::Sse, Transport::WebSocket] {
        all.push(Light::start(transport, bench.scale.connections).await?);
    }
    for _ in bench.rounds("one event at a time", usize::MAX) {
        for light in &mut all {
            light.measure(bench.scale.light_events).await?;
        }
    }
    let Some((raw, others)) = all.split_first() else { return Ok(Vec::new()) };
    let costs = others.iter().map(|light| light.cost(raw));
    let latencies = others.iter().flat_map(|light| light.latencies(raw));
    Ok(costs.chain(latencies).collect())
}

impl Light {
    async fn start(transport: Transport, connections: usize) -> Result<Self> {
        let subject = Subject::start(transport, connections).await?;
        Ok(Self { subject, costs: Vec::new(), medians: Vec::new(), p99s: Vec::new() })
    }

    async fn measure(&mut self, events: usize) -> Result<()> {
        let Subject { source, clients, .. } = &mut self.subject;
        let deliveries = events * clients.count();
        clients.expect_timed(deliveries).await?;
        let before = source.usage();
        source.at_rate(RATE, events, 1).await?;
        let report = clients.received().await?;
        let cpu = source.usage().cpu.saturating_sub(before.cpu);
        self.costs.push(micros(cpu) / float(deliveries));
        self.medians.push(micros(report.last.median) / 1e3);
        self.p99s.push(micros(report.last.p99) / 1e3);
        Ok(())
    }

    fn cost(&self, raw: &Self) -> Row {
        let name = self.subject.transport.name();
        let measure = format!("one event at a time, CPU per delivery, {name} beside raw");
        let detail = Self::detail(&self.costs, &raw.costs, "us");
        let row = Row::new(measure, median_ratio(&self.costs, &raw.costs), "x");
        let row = row.with_aim(Aim::AtMost(1.1)).with_detail(detail);
        self.with_before(row, "1.4")
    }

    fn latencies(&self, raw: &Self) -> [Row; 2] {
        let (name, count) = (self.subject.transport.name(), self.subject.clients.count());
        let row = |percentile, before, values: &[f64], raw: &[f64]| {
            let measure = format!("append to the last of {count}, {percentile}, {name} beside raw");
            let row = Row::new(measure, median_ratio(values, raw), "x");
            let row = row.with_aim(Aim::AtMost(1.1)).with_detail(Self::detail(values, raw, "ms"));
            self.with_before(row, before)
        };
        [
            row("p50", "6 ms to 5", &self.medians, &raw.medians),
            row("p99", "9 ms to 8", &self.p99s, &raw.p99s),
        ]
    }

    fn with_before(&self, row: Row, before: &'static str) -> Row {
        if self.subject.transport == Transport::Sse { row.with_before(before) } else { row }
    }

    fn detail(values: &[f64], raw: &[f64], unit: &str) -> String {
        let [values, raw] = [values, raw].map(|values| number(median(values.iter().copied())));
        format!("{values} to {raw} {unit}")
    }
}
