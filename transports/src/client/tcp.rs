//! The default connector, which tries the addresses of a host in parallel
//! (RFC 8305, *Happy Eyeballs*).

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

/// How long an address may take to answer before the next one is tried as well.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses an error names.
const MAX_NAMED: usize = 8;

/// Connects to the address of this host that answers first.
pub(super) async fn connect(host: &str, port: u16, deadline: Duration) -> io::Result<TcpStream> {
    let by = Instant::now() + deadline;
    let addresses = timeout_at(by, lookup_host((host, port))).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the name server did not answer"))
    });
    let addresses = addresses.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot look up '{host}': {error}"))
    })?;
    let stream = race(interleave(addresses), by).await?;
    // A failure costs latency only.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Orders addresses so that the two families alternate. The first one, and the
/// order within a family, are those of the resolver, which knows what is preferred.
fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.into_iter().collect();
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(preferred.next());
        mixed.extend(others.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

/// Connects to the first of these addresses that answers; the other attempts are
/// dropped. The next attempt starts after 250 milliseconds, or at once if one fails.
async fn race(addresses: Vec<SocketAddr>, by: Instant) -> io::Result<TcpStream> {
    let mut next = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut outcomes = Outcomes::default();
    loop {
        if let Some(address) = next.next() {
            outcomes.started(address);
            attempts.push(async move { (address, TcpStream::connect(address).await) });
        }
        let is_last = next.len() == 0;
        let until = if is_last { by } else { by.min(Instant::now() + ATTEMPT_DELAY) };
        match timeout_at(until, attempts.next()).await {
            Ok(Some((_, Ok(stream)))) => return Ok(stream),
            Ok(Some((address, Err(error)))) => outcomes.failed(address, error),
            Ok(None) => return Err(outcomes.into_error()),
            Err(_) if until == by => return Err(outcomes.into_error()),
            Err(_) => {}
        }
    }
}

/// What the attempts came to, for the error if none of them succeeds.
#[derive(Default)]
struct Outcomes(Vec<(SocketAddr, Option<io::Error>)>);

impl Outcomes {
    fn started(&mut self, address: SocketAddr) {
        self.0.push((address, None));
    }

    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        let attempt =
            self.0.iter_mut().find(|(started, outcome)| *started == address && outcome.is_none());
        if let Some((_, outcome)) = attempt {
            *outcome = Some(error);
        }
    }

    fn into_error(self) -> io::Error {
        let mut text = String::new();
        for (address, outcome) in self.0.iter().take(MAX_NAMED) {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = match outcome {
                Some(error) => write!(text, "{separator}{address}: {error}"),
                None => write!(text, "{separator}{address}: no answer in time"),
            };
        }
        if self.0.is_empty() {
            text.push_str("the host has no address");
        }
        if self.0.len() > MAX_NAMED {
            let _ = write!(text, ", and {} more", self.0.len() - MAX_NAMED);
        }
        let kind = self.0.iter().find_map(|(_, outcome)| Some(outcome.as_ref()?.kind()));
        io::Error::new(kind.unwrap_or(io::ErrorKind::TimedOut), text)
    }
}

#[cfg(test)]
mod tests;
