use super::aim::Aim;
use super::bench::Bench;
use super::row::Row;
use super::subject::Subject;
use crate::median::{median, median_ratio};
use crate::number::number;
use crate::open_files;
use crate::support::Result;
use crate::support::times::float;
use crate::transport::Transport;

/// Events per second.
const RATE: usize = 1_000;

/// How many subscribers an event is for.
const MATCHES: usize = 10;

/// Appends events that match ten of many subscribers each, and ten that are alone.
pub(super) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let streams = open_files::limited(bench.scale.subscribers) / MATCHES;
    let count = streams * MATCHES;
    bench.progress.set("subscribers of different filters: opening connections");
    let mut many = Subscribers::start(count, "stream=flight-{n/10}&stream=gate-{n}").await?;
    let mut few = Subscribers::start(MATCHES, "stream_prefix=flight-").await?;
    for _ in bench.rounds("subscribers of different filters", 3) {
        for subscribers in [&mut many, &mut few] {
            subscribers.measure(bench.scale.rate_seconds, streams).await?;
        }
    }
    let ratio = median_ratio(&many.loads, &few.loads);
    let measure =
        format!("{count} SSE filters, {RATE} events/s that match {MATCHES}, beside {MATCHES}");
    let [many, few] = [many.loads, few.loads].map(|loads| number(median(loads)));
    let row = Row::new(measure, ratio, "x").with_aim(Aim::AtMost(2.0));
    Ok(vec![row.with_detail(format!("{many} to {few} % of a core"))])
}

#[derive(Debug)]
struct Subscribers {
    subject: Subject,
    /// Percent of a core, in each round.
    loads: Vec<f64>,
}

impl Subscribers {
    async fn start(count: usize, filter: &str) -> Result<Self> {
        let subject = Subject::start_with_filter(Transport::Sse, count, filter).await?;
        Ok(Self { subject, loads: Vec::new() })
    }

    async fn measure(&mut self, seconds: usize, streams: usize) -> Result<()> {
        let Subject { source, clients, .. } = &mut self.subject;
        let events = RATE * seconds;
        clients.expect(events * MATCHES).await?;
        let before = source.usage();
        source.at_rate(RATE, events, streams).await?;
        clients.received().await?;
        let cpu = source.usage().cpu.saturating_sub(before.cpu);
        // Of the planned time: a server that falls behind has the same events to send.
        self.loads.push(100.0 * cpu.as_secs_f64() / float(seconds));
        Ok(())
    }
}
