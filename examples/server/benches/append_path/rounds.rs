use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Result;
use crate::appender_process::AppenderProcess;
use crate::appenders::{Appends, Through};
use crate::arguments::{Arguments, Programs};
use crate::clients::Clients;
use crate::readers::Readers;
use crate::results::Results;
use crate::server::{Server, stream};
use crate::subject::{Build, Store, Subject};
use crate::support::disk::Disk;
use crate::support::follower::Follower;
use crate::support::times::{Times, float, micros};

/// Numbers of concurrent clients or appenders.
const ONE: usize = 1;
const MANY: usize = 64;

/// The clients that read filtered pages beside an append and its delivery.
const READERS: usize = 500;

/// The number of slices of a measurement in one round; even.
const SLICES: u32 = 10;

/// The additional time that a measurement may take.
const GRACE: Duration = Duration::from_mins(1);

/// All measurements.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    arguments: &'a Arguments,
    time: Duration,
    now: Programs,
    before: Option<Programs>,
    durable_streams: Option<PathBuf>,
    folder: TempDir,
    disk: Disk,
    began: Instant,
    results: Results,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(arguments: &'a Arguments) -> Result<Self> {
        fs::create_dir_all(&arguments.folder)?;
        let folder = tempfile::tempdir_in(&arguments.folder)?;
        Ok(Self {
            arguments,
            time: arguments.time()?,
            now: arguments.now()?,
            before: arguments.before(),
            durable_streams: arguments.durable_streams(),
            disk: Disk::create(folder.path())?,
            folder,
            began: Instant::now(),
            results: Results::default(),
        })
    }

    pub(crate) async fn run(mut self) -> Result<Results> {
        self.note_what_is_missing();
        for round in 1..=self.arguments.rounds() {
            self.print_progress(&format!("round {round} of {}", self.arguments.rounds()));
            self.measure_servers().await?;
            if self.arguments.only_http {
                continue;
            }
            for count in [MANY, ONE] {
                self.measure_appenders(count).await?;
            }
        }
        Ok(self.results)
    }

    fn note_what_is_missing(&mut self) {
        let mut note = |is_missing, note: &str| {
            if is_missing {
                self.results.notes.push(note.to_owned());
            }
        };
        note(self.before.is_none(), "before: not measured, see --before");
        note(
            self.durable_streams.is_none(),
            "durable-streams: not installed; run `cargo install durable-streams`, or see --durable-streams",
        );
        note(!cfg!(target_os = "linux"), "CPU time: not measured on this system");
    }

    fn ours(&self) -> Vec<Subject> {
        let builds: &[_] =
            if self.before.is_some() { &[Build::Before, Build::Now] } else { &[Build::Now] };
        let stores = &self.arguments.stores;
        stores
            .iter()
            .flat_map(|store| builds.iter().map(|build| Subject::Ours(*build, *store)))
            .collect()
    }

    fn servers(&self) -> Vec<Subject> {
        let mut servers = self.ours();
        servers.extend(self.durable_streams.as_ref().map(|_| Subject::DurableStreams));
        servers
    }

    async fn start(&self, subject: Subject) -> Result<Server> {
        let folder = self.folder.path();
        match (subject, &self.durable_streams) {
            (Subject::Ours(build, store), _) => {
                Server::start(&self.programs(build)?.server, store, folder).await
            }
            (Subject::DurableStreams, Some(program)) => {
                Server::start_durable_streams(program, folder).await
            }
            _ => Err(format!("{subject} is not a server").into()),
        }
    }

    fn programs(&self, build: Build) -> Result<&Programs> {
        match build {
            Build::Now => Ok(&self.now),
            Build::Before => self.before.as_ref().ok_or_else(|| "no earlier build".into()),
        }
    }

    async fn measure_servers(&mut self) -> Result<()> {
        let mut servers = Vec::new();
        for subject in self.servers() {
            let server = self.start(subject).await?;
            if self.arguments.warms_up() {
                timeout(GRACE, server.warm_up()).await??;
            }
            Clients::connect(&server, MANY).await?.append(self.time / 4).await?;
            servers.push((subject, server));
        }
        let many = self.measure_clients("HTTP append, 64 clients", MANY, &servers).await?;
        let warm_up = self.arguments.warms_up();
        let bare = Server::start_bare(&self.now.benchmark, warm_up, self.folder.path()).await?;
        servers.push((Subject::Bare, bare));
        let one = self.measure_clients("HTTP append, 1 client", ONE, &servers).await?;
        // It has no more than appends.
        servers.pop();
        let events = self.measure_followers(&servers, &one).await?;
        self.measure_followers_beside_readers(&servers).await?;
        for (((subject, server), many), (one, event)) in
            servers.into_iter().zip(many).zip(one.into_iter().zip(events))
        {
            server.stop().await?;
            self.print_progress(&format!(
                "{subject}: 64 clients {:.0}/s, 1 client p50 {:.0} us, event p50 {event:.0} us",
                many.per_second(),
                one.latencies.percentile(50)?,
            ));
        }
        Ok(())
    }

    async fn measure_clients(
        &mut self,
        measure: &str,
        count: usize,
        servers: &[(Subject, Server)],
    ) -> Result<Vec<Clients>> {
        let mut all = Vec::new();
        for (_, server) in servers {
            all.push(Clients::connect(server, count).await?);
        }
        let worked: Vec<_> = servers.iter().map(|(_, server)| server.cpu_time()).collect();
        let append = async |clients: &mut Clients, time| clients.append(time).await;
        let fdatasync = self.in_slices(measure, &mut all, append).await?;
        for (((subject, server), clients), worked) in servers.iter().zip(&all).zip(worked) {
            let mut record = |metric, value| self.results.record(measure, metric, *subject, value);
            let median = clients.latencies.percentile(50)?;
            record("appends/s", clients.per_second());
            record("latency p50, us", median);
            record("latency p99, us", clients.latencies.percentile(99)?);
            record("latency p50, x fdatasync", median / fdatasync);
            if let Some((before, after)) = worked.zip(server.cpu_time()) {
                let each = micros(after.saturating_sub(before)) / clients.latencies.count();
                record("CPU of the server, us/append", each);
            }
        }
        Ok(all)
    }

    /// Returns the median time from request to event for each server.
    async fn measure_followers(
        &mut self,
        servers: &[(Subject, Server)],
        alone: &[Clients],
    ) -> Result<Vec<f64>> {
        let measure = "Append to SSE, 1 client";
        let mut all = Vec::new();
        for (_, server) in servers {
            all.push(Follower::connect(&server.authority, server.protocol, &stream(0)).await?);
        }
        let append = async |follower: &mut Follower, time| follower.append(time).await;
        self.in_slices(measure, &mut all, append).await?;
        let mut events = Vec::new();
        for (((subject, _), follower), alone) in servers.iter().zip(&all).zip(alone) {
            let event = self.record_events(measure, *subject, follower)?;
            let above = event - alone.latencies.percentile(50)?;
            self.results.record(measure, "event p50 above append alone, us", *subject, above);
            events.push(event);
        }
        Ok(events)
    }

    /// The same beside clients that make the store search the log.
    async fn measure_followers_beside_readers(
        &mut self,
        servers: &[(Subject, Server)],
    ) -> Result<()> {
        let measure = format!("Append to SSE, 1 client, beside {READERS} filtered reads");
        let mut all = Vec::new();
        for (subject, server) in servers.iter().filter(|(subject, _)| subject.is_ours()) {
            let readers = Readers::connect(server, READERS).await?;
            let follower =
                Follower::connect(&server.authority, server.protocol, &stream(0)).await?;
            all.push((*subject, follower, readers));
        }
        let append = async |(_, follower, readers): &mut (_, Follower, Readers), time| {
            tokio::try_join!(follower.append(time), readers.read(time)).map(drop)
        };
        self.in_slices(&measure, &mut all, append).await?;
        for (subject, follower, readers) in all {
            self.record_events(&measure, subject, &follower)?;
            let pages = float(readers.pages) / readers.time.as_secs_f64();
            self.results.record(&measure, "filtered pages/s", subject, pages);
        }
        Ok(())
    }

    /// Returns the median time from request to event.
    fn record_events(
        &mut self,
        measure: &str,
        subject: Subject,
        follower: &Follower,
    ) -> Result<f64> {
        let mut record = |metric, value| self.results.record(measure, metric, subject, value);
        let event = follower.to_event.percentile(50)?;
        record("request to response p50, us", follower.to_response.percentile(50)?);
        record("request to response p99, us", follower.to_response.percentile(99)?);
        record("request to event p50, us", event);
        record("request to event p99, us", follower.to_event.percentile(99)?);
        record("response to event p50, us", follower.after_response.percentile(50)?);
        record("response to event p99, us", follower.after_response.percentile(99)?);
        Ok(event)
    }

    async fn measure_appenders(&mut self, count: usize) -> Result<()> {
        let mut all = Vec::new();
        for subject in self.ours() {
            for through in [Through::Store, Through::Hub] {
                all.push((subject, through, self.appenders(subject, through, count)?));
            }
        }
        let (subject, through) = (Subject::PlainLoop, Through::Loop);
        all.push((subject, through, self.appenders(subject, through, count)?));
        for (_, _, process) in &mut all {
            timeout(self.time + GRACE, process.append(self.time / 4)).await??;
        }
        let appenders = if count == ONE { "1 appender" } else { "64 appenders" };
        let append = async |(_, _, process): &mut (_, _, AppenderProcess), time| {
            let appends = process.append(time).await?;
            process.appends.add(appends);
            Ok(())
        };
        self.in_slices(&format!("In process, {appenders}"), &mut all, append).await?;
        for (subject, through, process) in all {
            self.record_appends(appenders, subject, through, process.appends);
            process.stop().await?;
        }
        Ok(())
    }

    fn appenders(
        &self,
        subject: Subject,
        through: Through,
        count: usize,
    ) -> Result<AppenderProcess> {
        let (build, store) = match subject {
            Subject::Ours(build, store) => (build, store),
            _ => (Build::Now, Store::Rusqlite),
        };
        let program = &self.programs(build)?.benchmark;
        let mut command = Command::new(program);
        command.arg("appenders").arg("--through").arg(through.to_string());
        command.arg("--store").arg(store.to_string()).arg("--count").arg(count.to_string());
        if self.arguments.warms_up() {
            command.arg("--warm-up");
        }
        AppenderProcess::start(command, self.folder.path())
    }

    fn record_appends(
        &mut self,
        appenders: &str,
        subject: Subject,
        through: Through,
        appends: Appends,
    ) {
        let through_hub = if through == Through::Hub { ", hub with a subscriber" } else { "" };
        let measure = format!("In process, {appenders}{through_hub}");
        self.results.record(&measure, "events/s", subject, appends.per_second());
        if through == Through::Hub {
            let reads = appends.reads_per_append();
            self.results.record(&measure, "reads of the log per append", subject, reads);
        }
        self.print_progress(&format!("{subject}: {measure} {:.0}/s", appends.per_second()));
    }

    /// Measures all in short turns, forwards and backwards, and the disk after each, so
    /// that its drift affects all equally. Returns the time of an fdatasync in
    /// microseconds.
    async fn in_slices<T>(
        &mut self,
        measure: &str,
        all: &mut [T],
        run: impl AsyncFn(&mut T, Duration) -> Result<()>,
    ) -> Result<f64> {
        let (slice, mut syncs) = (self.time / SLICES, Times::default());
        for _ in 0..SLICES {
            for one in &mut *all {
                timeout(slice + GRACE, run(one, slice)).await??;
                self.disk.measure(slice / 20, &mut syncs)?;
            }
            all.reverse();
        }
        let fdatasync = syncs.percentile(50)?;
        self.results.record(measure, "fdatasync of 4 KiB p50, us", Subject::Disk, fdatasync);
        Ok(fdatasync)
    }

    /// Prints to standard error, so that progress does not mix with the table.
    fn print_progress(&self, what: &str) {
        eprintln!("{:>5.0} s  {what}", self.began.elapsed().as_secs_f64());
    }
}
