use std::time::{Duration, Instant};

use downlink::EventId;
use futures::future::try_join_all;

use crate::Result;
use crate::server::{Server, stream};
use crate::support::connection::Connection;
use crate::support::times::Times;

/// Clients that append one event at a time each.
#[derive(Debug)]
pub(crate) struct Clients {
    connections: Vec<Connection>,
    /// From a request to its response.
    pub(crate) latencies: Times,
    /// The total time of appending.
    time: Duration,
}

impl Clients {
    pub(crate) async fn connect(server: &Server, count: usize) -> Result<Self> {
        let connections = try_join_all((0..count).map(|_| server.connect())).await?;
        Ok(Self { connections, latencies: Times::default(), time: Duration::ZERO })
    }

    pub(crate) async fn append(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        let connections = (0..).zip(&mut self.connections);
        let all = connections.map(|(number, connection)| client(connection, number, time));
        for latencies in try_join_all(all).await? {
            self.latencies.extend(latencies);
        }
        self.time += began.elapsed();
        Ok(())
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.count() / self.time.as_secs_f64()
    }
}

async fn client(connection: &mut Connection, number: u64, time: Duration) -> Result<Times> {
    let (began, stream) = (Instant::now(), stream(number));
    let mut times = Times::default();
    while began.elapsed() < time {
        let id = EventId::now();
        let sent = Instant::now();
        connection.append(&stream, id).await?;
        times.add(sent.elapsed());
    }
    Ok(times)
}
