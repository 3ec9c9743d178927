//! Sends one log to a thousand clients over real sockets. Raw TCP that writes the
//! same bytes is measured in the same run for comparison, because absolute figures
//! depend mostly on the machine.
//!
//! The clients are another process, the same for every transport, that only counts
//! what it reads.
//!
//! ```console
//! $ cargo bench -p downlink-transports --bench fan_out
//! $ cargo bench -p downlink-transports --bench fan_out -- --connections 100 --events 20000
//! ```

mod arguments;
mod clients;
mod raw;
mod readers;
mod report;
mod server;

use std::error::Error;
use std::time::{Duration, Instant};

use arguments::Arguments;
use downlink::NewEvent;
use report::Report;
use rustix::process::{Resource, getrlimit, setrlimit};
use server::Running;
use tokio::time::{MissedTickBehavior, interval};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The allocator of the example server, for all measurements.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The pause between two events under light load.
const LIGHT: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    raise_files()?;
    let arguments = Arguments::parse()?;
    if let Some(transport) = arguments.read {
        return readers::run(transport, &arguments);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(&arguments))
}

fn raise_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let mut all = Vec::new();
    for transport in arguments.transports.clone() {
        all.push((Running::start(transport, arguments).await?, Report::default()));
    }
    // The transports take turns, because the speed of the machine drifts.
    for _ in 0..arguments.rounds {
        for (running, report) in &mut all {
            report.bursts.push(burst(running, arguments).await?);
        }
    }
    for (running, report) in &mut all {
        light(running, arguments).await?;
        report.latencies = running.clients.latencies().await?;
    }
    report::print(arguments, &all);
    Ok(())
}

/// Appends events as fast as possible. Measures the time until the last client has
/// the last event, and the CPU time of the server.
async fn burst(running: &mut Running, arguments: &Arguments) -> Result<report::Burst> {
    let (cpu, began) = (report::cpu_time(), Instant::now());
    let mut left = arguments.events;
    while left > 0 {
        let count = left.min(arguments.batch);
        running.publish((0..count).map(|_| event()).collect()).await?;
        left -= count;
    }
    running.clients.round().await?;
    Ok(report::Burst { time: began.elapsed(), cpu: report::cpu_time().saturating_sub(cpu) })
}

async fn light(running: &mut Running, arguments: &Arguments) -> Result<()> {
    let mut ticks = interval(LIGHT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..arguments.light {
        ticks.tick().await;
        running.publish(vec![event()]).await?;
    }
    Ok(())
}

/// An event with the time at which it was created. Clients count its one `#`.
fn event() -> NewEvent {
    let payload = format!(
        r##"{{"at":"#{:019}","flight":"UA1545","origin":"EWR","destination":"IAH","gate":"C71","minutes":20}}"##,
        readers::now()
    );
    NewEvent::json("FlightDelayed", payload).expect("a valid event")
}
