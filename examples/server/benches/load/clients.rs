use crate::report::Report;
use crate::request::Requests;
use crate::resumed::Resumed;
use crate::support::Result;
use crate::worker::Worker;

/// The process of all clients of one server.
#[derive(Debug)]
pub(crate) struct Clients {
    worker: Worker,
    connections: usize,
}

impl Clients {
    /// Returns when all are live.
    pub(crate) async fn open(requests: &Requests, connections: usize) -> Result<Self> {
        let mut worker = start(requests, connections, &[])?;
        expect(&worker.answer().await?, "live")?;
        Ok(Self { worker, connections })
    }

    /// Opens clients that are behind, and returns when all are live.
    pub(crate) async fn resume(requests: &Requests, connections: usize) -> Result<Resumed> {
        let mut worker = start(requests, connections, &["--resume"])?;
        expect(&worker.answer().await?, "connected")?;
        worker.ask("go").await?.parse()
    }

    pub(crate) fn count(&self) -> usize {
        self.connections
    }

    /// Counts from now on. [`received`](Self::received) waits for this number of
    /// deliveries.
    pub(crate) async fn expect(&mut self, deliveries: usize) -> Result<()> {
        expect(&self.worker.ask(&format!("count {deliveries}")).await?, "ready")
    }

    /// As [`expect`](Self::expect), and measures latencies.
    pub(crate) async fn expect_timed(&mut self, deliveries: usize) -> Result<()> {
        expect(&self.worker.ask(&format!("time {deliveries}")).await?, "ready")
    }

    /// Waits for all deliveries.
    pub(crate) async fn received(&mut self) -> Result<Report> {
        all_open(self.worker.answer().await?.parse()?)
    }

    /// Closes this number of connections, and returns when others are live in their place.
    pub(crate) async fn replace(&mut self, connections: usize) -> Result<()> {
        expect(&self.worker.ask(&format!("replace {connections}")).await?, "live")
    }

    /// What was received since the last report.
    pub(crate) async fn report(&mut self) -> Result<Report> {
        self.worker.ask("report").await?.parse()
    }

    /// As [`report`](Self::report), with an error if a connection was closed.
    pub(crate) async fn report_open(&mut self) -> Result<Report> {
        all_open(self.report().await?)
    }
}

fn start(requests: &Requests, connections: usize, options: &[&str]) -> Result<Worker> {
    let mut arguments = vec!["clients".to_owned(), format!("--connections={connections}")];
    arguments.extend(requests.to_arguments());
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    Worker::start(arguments)
}

fn all_open(report: Report) -> Result<Report> {
    match report.closed {
        0 => Ok(report),
        closed => Err(format!("{closed} connections were closed").into()),
    }
}

fn expect(line: &str, expected: &str) -> Result<()> {
    if line == expected { Ok(()) } else { Err(format!("{line} instead of {expected}").into()) }
}
