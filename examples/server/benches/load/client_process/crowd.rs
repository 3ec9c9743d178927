use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::{JoinHandle, spawn_local};

use super::Shared;
use super::client::Client;
use super::poll_client::PollClient;
use crate::support::Result;
use crate::transport::Transport;

/// The open connections, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Crowd(VecDeque<(usize, JoinHandle<()>)>);

impl Crowd {
    /// Opens one connection after the other. Each is read as soon as it is open, since
    /// opening many takes longer than a server waits for the answer to a Ping.
    pub(super) async fn open(&mut self, shared: &Rc<Shared>, connections: usize) -> Result<()> {
        for number in 0..connections {
            self.add(shared, number).await?;
        }
        Ok(())
    }

    /// Closes the oldest connections without a farewell, as pages that are left do, and opens
    /// others in their place.
    pub(super) async fn replace(&mut self, shared: &Rc<Shared>, connections: usize) -> Result<()> {
        for _ in 0..connections.min(self.0.len()) {
            let Some((number, client)) = self.0.pop_front() else { break };
            client.abort();
            self.add(shared, number).await?;
        }
        Ok(())
    }

    async fn add(&mut self, shared: &Rc<Shared>, number: usize) -> Result<()> {
        let client = if shared.requests.transport == Transport::Poll {
            spawn_local(PollClient::open(shared, number).await?.follow())
        } else {
            spawn_local(Client::open(shared, number).await?.follow())
        };
        self.0.push_back((number, client));
        Ok(())
    }
}
