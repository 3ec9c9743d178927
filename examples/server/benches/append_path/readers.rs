use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::Result;
use crate::server::Server;
use crate::support::connection::Connection;

/// A page of the log whose filter matches no event, so that the store has to examine all
/// of them.
const SPARSE: &str = "/feed?not_type=FlightDeparted";

/// Clients that read filtered pages of the log, one after the other.
#[derive(Debug)]
pub(crate) struct Readers {
    connections: Vec<Connection>,
    /// The pages that were read.
    pub(crate) pages: usize,
    /// The total time of reading.
    pub(crate) time: Duration,
}

impl Readers {
    pub(crate) async fn connect(server: &Server, count: usize) -> Result<Self> {
        let connections = try_join_all((0..count).map(|_| server.connect())).await?;
        Ok(Self { connections, pages: 0, time: Duration::ZERO })
    }

    /// Reads until the time is over, and then finishes the pages that were begun.
    pub(crate) async fn read(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        let all = self.connections.iter_mut().map(async |connection| {
            let mut pages = 0;
            while began.elapsed() < time {
                connection.get(SPARSE).await?;
                pages += 1;
            }
            Result::Ok(pages)
        });
        self.pages += try_join_all(all).await?.into_iter().sum::<usize>();
        self.time += began.elapsed();
        Ok(())
    }
}
