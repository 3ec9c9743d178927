use std::ffi::OsString;

use clap::Parser;
use downlink::{Expected, Hub, NewEvent};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::commands::Commands;
use crate::events::block;
use crate::log::Log;
use crate::publisher::Publisher;
use crate::raw;
use crate::stats::Stats;
use crate::support::Result;

/// The store with which clients receive events over raw TCP.
pub(crate) const RAW: &str = "raw";

/// The process of a server, which also appends the events.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Serve {
    /// A store of the example server, or `raw`.
    #[arg(long)]
    store: OsString,
}

/// Where the events go.
enum EventSink {
    Raw(raw::Log),
    Hub(Hub),
}

/// Prints the address, and then obeys a command in each line of the input.
pub(crate) fn run(serve: &Serve) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut sink = EventSink::serve(listener, serve).await?;
        println!("{address}");
        let mut commands = Commands::read();
        while let Some(command) = commands.next().await {
            println!("{}", sink.obey(&command).await?);
        }
        Ok(())
    })
}

impl EventSink {
    async fn serve(listener: TcpListener, serve: &Serve) -> Result<Self> {
        if serve.store == RAW {
            let log = raw::Log::default();
            tokio::spawn(raw::serve(listener, log.clone()));
            return Ok(Self::Raw(log));
        }
        let options = [OsString::from("server"), "--store".into(), serve.store.clone()];
        let log = Log::open(&Args::parse_from(options)).await?;
        let router = Feed::new(&log.hub).with_append().router();
        let server = Server::new(router).with_max_connections(usize::MAX);
        let serving = server.serve(listener, CancellationToken::new());
        let hub = log.hub.clone();
        tokio::spawn(async move {
            serving.await.expect("the server serves");
            log.close().await;
        });
        Ok(Self::Hub(hub))
    }

    /// `burst EVENTS BATCH`, `rate PER_SECOND EVENTS STREAMS` or `stats`.
    async fn obey(&mut self, command: &str) -> Result<String> {
        let mut words = command.split(' ');
        let name = words.next().unwrap_or_default();
        let mut next = || words.next().unwrap_or_default().parse::<usize>();
        match name {
            "burst" => self.burst(next()?, next()?).await?,
            "rate" => self.at_rate(next()?, next()?, next()?).await?,
            "stats" => return Ok(self.stats().to_string()),
            _ => return Err(format!("unknown command: {command}").into()),
        }
        Ok("done".to_owned())
    }

    fn stats(&self) -> Stats {
        match self {
            Self::Raw(_) => Stats::default(),
            Self::Hub(hub) => hub.stats().into(),
        }
    }
}

impl Publisher for EventSink {
    async fn publish(&mut self, stream: &str, events: Vec<NewEvent>) -> Result<()> {
        match self {
            Self::Raw(log) => {
                let blocks = events.into_iter().map(|event| block(stream, event)).collect();
                let log = log.clone();
                // In its own task, like an append, so that other tasks can run.
                tokio::spawn(async move { log.publish(blocks) }).await?;
            }
            Self::Hub(hub) => {
                hub.append_to(stream, Expected::Any, events).await?;
            }
        }
        Ok(())
    }
}
