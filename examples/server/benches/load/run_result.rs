use std::time::Duration;

use serde_json::{Value, json};

use crate::median::median;
use crate::number::number;
use crate::report::{Latencies, Report};
use crate::support::times::micros;
use crate::transport::Transport;
use crate::usage::Usage;

/// What one transport has delivered, and at what cost.
#[derive(Debug)]
pub(crate) struct RunResult {
    transport: Transport,
    connections: usize,
    /// Before the connections, with them, and now.
    usage: [Usage; 3],
    time: Duration,
    /// A report for each second.
    reports: Vec<Report>,
    /// The memory of the server in each second, in bytes.
    resident: Vec<u64>,
}

impl RunResult {
    pub(crate) fn new(
        transport: Transport,
        connections: usize,
        before: Usage,
        open: Usage,
    ) -> Self {
        let (usage, time) = ([before, open, open], Duration::ZERO);
        Self { transport, connections, usage, time, reports: Vec::new(), resident: Vec::new() }
    }

    pub(crate) fn add(&mut self, report: Report, usage: Usage, time: Duration) {
        self.reports.push(report);
        self.resident.push(usage.resident);
        self.usage[2] = usage;
        self.time = time;
    }

    /// Prints the last second to standard error.
    #[expect(clippy::cast_precision_loss, reason = "sizes stay below 2^53")]
    pub(crate) fn print_progress(&self) {
        let Some(report) = self.reports.last() else { return };
        let Report { deliveries, closed, each, last } = report;
        eprintln!(
            "{:>5.0} s  {}: {deliveries} deliveries, p50 {:.1?}, p99 {:.1?}, to the last client {:.1?}, \
             {closed} closed, {:.1} MiB",
            self.time.as_secs_f64(),
            self.transport.name(),
            each.median,
            each.p99,
            last.median,
            mebibytes(self.usage[2].resident as f64),
        );
    }

    pub(crate) fn print_head() {
        println!(
            "{:<10} {:>11} {:>13} {:>9} {:>11} {:>11} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "",
            "connections",
            "deliveries/s",
            "CPU, %",
            "ns each",
            "bytes each",
            "p50, ms",
            "p99, ms",
            "longest",
            "to last",
            "closed"
        );
    }

    pub(crate) fn print(&self) {
        print!("{:<10} {:>11}", self.transport.name(), self.connections);
        let figures = [
            (13, self.per_second()),
            (9, self.cpu_percent()),
            (11, self.nanos_each()),
            (11, self.bytes_each()),
            (9, self.millis(|report| report.each.median)),
            (9, self.millis(|report| report.each.p99)),
            (9, self.longest().as_secs_f64() * 1e3),
            (9, self.millis(|report| report.last.median)),
        ];
        for (width, figure) in figures {
            print!(" {:>width$}", number(figure));
        }
        println!(" {:>7}", self.closed());
    }

    /// Prints whether the memory of the server grows.
    pub(crate) fn print_memory(&self) {
        let quarters = self.resident_quarters().map(|bytes| format!("{:.1}", mebibytes(bytes)));
        let quarters: Vec<_> = quarters.collect();
        println!(
            "{:<10} memory, median of each quarter of the time: {} MiB",
            self.transport.name(),
            quarters.join(", ")
        );
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "transport": self.transport.name(),
            "connections": self.connections,
            "seconds": self.time.as_secs_f64(),
            "deliveries": self.deliveries(),
            "deliveries_per_second": self.per_second(),
            "cpu_percent": self.cpu_percent(),
            "cpu_nanos_per_delivery": self.nanos_each(),
            "bytes_per_connection": self.bytes_each(),
            "p50_millis": self.millis(|report| report.each.median),
            "p99_millis": self.millis(|report| report.each.p99),
            "longest_millis": self.longest().as_secs_f64() * 1e3,
            "last_client_p50_millis": self.millis(|report| report.last.median),
            "last_client_p99_millis": self.millis(|report| report.last.p99),
            "closed": self.closed(),
            "resident_bytes_by_quarter": self.resident_quarters().collect::<Vec<_>>(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes stay below 2^53")]
    fn resident_quarters(&self) -> impl Iterator<Item = f64> {
        let quarters = self.resident.chunks(self.resident.len().div_ceil(4).max(1));
        quarters.map(|quarter| median(quarter.iter().map(|bytes| *bytes as f64)))
    }

    fn deliveries(&self) -> u64 {
        self.reports.iter().map(|report| report.deliveries).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn per_second(&self) -> f64 {
        self.deliveries() as f64 / self.time.as_secs_f64()
    }

    fn cpu(&self) -> Duration {
        self.usage[2].cpu.saturating_sub(self.usage[1].cpu)
    }

    fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu().as_secs_f64() / self.time.as_secs_f64()
    }

    /// Not a number without deliveries.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn nanos_each(&self) -> f64 {
        self.cpu().as_secs_f64() * 1e9 / self.deliveries() as f64
    }

    /// What a connection has added to the memory of the process.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn bytes_each(&self) -> f64 {
        let [before, open, _] = self.usage;
        open.resident.saturating_sub(before.resident) as f64 / self.connections.max(1) as f64
    }

    /// The median of all seconds.
    fn millis(&self, of: impl Fn(&Report) -> Duration) -> f64 {
        median(self.reports.iter().map(|report| micros(of(report)) / 1e3))
    }

    fn longest(&self) -> Duration {
        self.reports
            .iter()
            .map(|Report { each: Latencies { longest, .. }, .. }| *longest)
            .max()
            .unwrap_or_default()
    }

    fn closed(&self) -> u64 {
        self.reports.last().map_or(0, |report| report.closed)
    }
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
