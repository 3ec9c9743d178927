//! The process of all clients of one server.

mod client;
mod connect;
mod crowd;
mod pings;
mod poll_client;
mod resume;
mod tally;

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::LocalSet;

use self::crowd::Crowd;
use self::tally::Tally;
use crate::commands::Commands;
use crate::request::Requests;
use crate::support::Result;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClientArguments {
    #[command(flatten)]
    requests: Requests,
    #[arg(long)]
    connections: usize,
    /// Request everything at once, and end when every client is live.
    #[arg(long)]
    resume: bool,
}

/// What all clients share.
#[derive(Debug)]
struct Shared {
    requests: Requests,
    buffer: RefCell<Vec<u8>>,
    tally: RefCell<Tally>,
}

pub(crate) fn run(arguments: &ClientArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared {
        requests: arguments.requests.clone(),
        buffer: RefCell::new(vec![0; 256 << 10]),
        tally: RefCell::new(Tally::new(arguments.connections)),
    });
    let commands = Commands::read();
    runtime.block_on(LocalSet::new().run_until(async {
        if arguments.resume {
            resume::run(&shared, arguments.connections, commands).await
        } else {
            follow(&shared, arguments.connections, commands).await
        }
    }))
}

/// Opens the connections, and prints `live`. Then `count N` and `time N` print `ready`,
/// and a report after this number of deliveries; `report` prints one at once. `replace N`
/// closes this number of connections, opens others, and prints `live`.
async fn follow(shared: &Rc<Shared>, connections: usize, mut commands: Commands) -> Result<()> {
    let mut crowd = Crowd::default();
    crowd.open(shared, connections).await?;
    println!("live");
    while let Some(command) = commands.next().await {
        let (name, number) = command.split_once(' ').unwrap_or((&command, "0"));
        match name {
            "count" | "time" => {
                shared.tally.borrow_mut().begin(number.parse()?, name == "time");
                println!("ready");
            }
            "replace" => {
                crowd.replace(shared, number.parse()?).await?;
                println!("live");
            }
            _ => println!("{}", shared.tally.borrow_mut().report()),
        }
    }
    Ok(())
}

impl Shared {
    /// Counts the events, and prints a report if all have arrived.
    fn count(&self, bytes: &[u8]) {
        if let Some(report) = self.tally.borrow_mut().count(bytes) {
            println!("{report}");
        }
    }

    /// Notes the end of a connection.
    fn close(&self, number: usize, why: &dyn std::fmt::Display) {
        let name = self.requests.transport.name();
        eprintln!("connection {number} of {name} was closed: {why}");
        if let Some(report) = self.tally.borrow_mut().close() {
            println!("{report}");
        }
    }
}
