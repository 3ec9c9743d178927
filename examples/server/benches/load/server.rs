use crate::server_process::RAW;
use crate::stats::Stats;
use crate::support::Result;
use crate::transport::Transport;
use crate::usage::Usage;
use crate::worker::Worker;

/// A server in a separate process.
#[derive(Debug)]
pub(crate) struct Server {
    worker: Worker,
    /// Host and port.
    pub(crate) authority: String,
}

impl Server {
    /// Starts a server with this store, such as `memory`.
    pub(crate) async fn start(store: &str) -> Result<Self> {
        let mut worker = Worker::start(["serve".to_owned(), format!("--store={store}")])?;
        let authority = worker.answer().await?;
        Ok(Self { worker, authority })
    }

    /// Starts a server for this transport, without a file.
    pub(crate) async fn in_memory(transport: Transport) -> Result<Self> {
        Self::start(if transport == Transport::Raw { RAW } else { "memory" }).await
    }

    /// Lets it append as fast as possible, `batch` events at a time.
    pub(crate) async fn burst(&mut self, events: usize, batch: usize) -> Result<()> {
        self.obey(&format!("burst {events} {batch}")).await
    }

    /// Lets it append one event at a time at this rate.
    pub(crate) async fn at_rate(
        &mut self,
        per_second: usize,
        events: usize,
        streams: usize,
    ) -> Result<()> {
        self.obey(&format!("rate {per_second} {events} {streams}")).await
    }

    pub(crate) async fn stats(&mut self) -> Result<Stats> {
        self.worker.ask("stats").await?.parse()
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.worker.id())
    }

    async fn obey(&mut self, command: &str) -> Result<()> {
        match self.worker.ask(command).await?.as_str() {
            "done" => Ok(()),
            answer => Err(format!("{answer} instead of done").into()),
        }
    }
}
