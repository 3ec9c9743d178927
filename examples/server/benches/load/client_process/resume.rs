use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Shared;
use super::client::Client;
use crate::commands::Commands;
use crate::resumed::Resumed;
use crate::support::Result;

/// The longest time until a client is live.
const DEADLINE: Duration = Duration::from_mins(9);

/// Connects, and prints `connected`. After a command all send their requests at once;
/// prints how long they took until they were live.
pub(super) async fn run(
    shared: &Rc<Shared>,
    connections: usize,
    mut commands: Commands,
) -> Result<()> {
    let mut clients = Vec::new();
    for number in 0..connections {
        clients.push(Client::connect(shared, number).await?);
    }
    println!("connected");
    commands.next().await;
    let began = Instant::now();
    let catching_up: Vec<_> =
        clients.into_iter().map(|client| tokio::task::spawn_local(catch_up(client))).collect();
    // Connections stay open until all are live.
    let mut live = Vec::new();
    let mut cut = 0;
    for client in catching_up {
        match client.await? {
            Ok(client) => live.push(client),
            Err(error) => {
                cut += 1;
                eprintln!("a client was not served to the end: {error}");
            }
        }
    }
    let time = began.elapsed();
    let deliveries = shared.tally.borrow_mut().report().deliveries;
    println!("{}", Resumed { time, deliveries, cut });
    commands.next().await;
    Ok(())
}

async fn catch_up(mut client: Client) -> Result<Client> {
    client.request().await?;
    tokio::time::timeout(DEADLINE, client.catch_up()).await??;
    Ok(client)
}
