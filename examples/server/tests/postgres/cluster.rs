use std::process::Command;
use std::sync::Arc;

use crate::nats_server::Server as Nats;
use crate::process::{PROGRAM, Server};
use crate::server::{Crash, Server as Postgres};

/// How the servers wake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bus {
    Postgres,
    Nats,
}

/// Servers of one log, on servers of their own.
pub(crate) struct Cluster {
    bus: Bus,
    nats: Nats,
    servers: Vec<Server>,
    // Stops last.
    postgres: Postgres,
}

/// What clients know of a cluster: where its servers are.
pub(crate) type Authorities = Arc<[String]>;

impl Cluster {
    pub(crate) fn start(bus: Bus, count: usize) -> Self {
        let (postgres, nats) = (Postgres::start(), Nats::start());
        let mut cluster = Self { bus, nats, servers: Vec::new(), postgres };
        for _ in 0..count {
            let server = cluster.serve("127.0.0.1:0");
            cluster.servers.push(server);
        }
        cluster
    }

    pub(crate) fn authorities(&self) -> Authorities {
        self.servers.iter().map(|server| server.authority.clone()).collect()
    }

    fn serve(&self, listen: &str) -> Server {
        let (store, nats) = (self.postgres.url(), self.nats.url());
        let bus = match self.bus {
            Bus::Postgres => "postgres",
            Bus::Nats => &nats,
        };
        let mut command = Command::new(PROGRAM);
        command.args(["--allow-append", "--listen", listen, "--store", &store, "--bus", bus]);
        // They warn of each kill.
        command.env("RUST_LOG", "error");
        Server::run(command)
    }

    /// Kills a server, and starts it again at the same address.
    pub(crate) fn kill(&mut self, which: usize) {
        let which = which % self.servers.len();
        let mut killed = self.servers.remove(which);
        killed.process.kill().unwrap();
        killed.process.wait().unwrap();
        let again = self.serve(&killed.authority);
        self.servers.insert(which, again);
    }

    pub(crate) fn crash_postgres(&self, how: Crash) {
        self.postgres.crash(how);
    }

    /// Kills NATS, and starts it again at the same address.
    pub(crate) fn kill_nats(&mut self) {
        let port = self.nats.port();
        self.nats.kill();
        self.nats = Nats::start_on(port);
    }
}
