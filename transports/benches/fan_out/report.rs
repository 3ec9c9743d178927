use std::fs;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::clients::Latencies;
use crate::server::Running;

/// The measurements of one transport.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) bursts: Vec<Burst>,
    pub(crate) latencies: Latencies,
}

/// The cost of one burst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) time: Duration,
    /// CPU time of the server's process.
    pub(crate) cpu: Duration,
}

impl Report {
    /// The median burst, by time and by CPU time.
    fn median(&self, of: fn(&Burst) -> Duration) -> f64 {
        let mut all: Vec<_> = self.bursts.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default().as_secs_f64()
    }
}

/// The CPU time of this process; zero if the system does not report it.
pub(crate) fn cpu_time() -> Duration {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let thread = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.flatten().filter_map(|entry| thread(entry.path())).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
pub(crate) fn print(arguments: &Arguments, all: &[(Running, Report)]) {
    let deliveries = (arguments.connections * arguments.events) as f64;
    println!(
        "{} connections, bursts of {} events, {} rounds; then an event every {:?}",
        arguments.connections,
        arguments.events,
        arguments.rounds,
        crate::LIGHT
    );
    println!(
        "{:<5} {:>13} {:>6}   {:>12} {:>6}   {:>9} {:>9} {:>9} {:>6}",
        "", "deliveries/s", "ratio", "CPU ns each", "ratio", "median", "p99", "longest", "ratio"
    );
    let Some((_, first)) = all.first() else { return };
    for (running, report) in all {
        let (time, cpu) = (report.median(|burst| burst.time), report.median(|burst| burst.cpu));
        let Latencies { median, p99, longest } = report.latencies;
        println!(
            "{:<5} {:>13.0} {:>6.2}   {:>12.0} {:>6.2}   {median:>9.0?} {p99:>9.0?} {longest:>9.0?} {:>6.2}",
            running.transport.name(),
            deliveries / time,
            first.median(|burst| burst.time) / time,
            cpu * 1e9 / deliveries,
            cpu / first.median(|burst| burst.cpu),
            median.as_secs_f64() / first.latencies.median.as_secs_f64(),
        );
    }
}
