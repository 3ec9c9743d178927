use crate::Result;
use crate::args::Options;
use crate::nats::Nats;
use crate::ports;
use crate::postgres::Postgres;
use crate::programs::Programs;
use crate::proxy::Proxy;
use crate::screen::Screen;
use crate::server::{Log, Server};
use crate::victims::Victim;

pub(crate) const SERVERS: usize = 3;

/// Everything that was started.
#[derive(Debug)]
pub(crate) struct Cluster {
    proxy: Proxy,
    // `None` only while one is killed.
    servers: Vec<Option<Server>>,
    nats: Option<Nats>,
    log: Log,
    postgres: Postgres,
}

impl Cluster {
    pub(crate) async fn start(
        programs: &Programs,
        options: &Options,
        screen: &Screen,
    ) -> Result<Self> {
        let [near, at_nats, servers @ ..] = ports::free::<{ SERVERS + 2 }>()?;
        let postgres = Postgres::start(&programs.postgres).await?;
        let folder = postgres.folder().to_owned();
        screen.line(&format!("PostgreSQL  {}, with the files of all others", folder.display()));
        let mut nats = None;
        let mut bus = "postgres".to_owned();
        if let Some(program) = &programs.nats {
            let started = Nats::start(program, at_nats, folder.join("nats.log")).await?;
            bus = started.url();
            screen.line(&format!("NATS        {bus}"));
            nats = Some(started);
        }
        let log = Log { store: postgres.url(), bus, folder, verbose: options.verbose };
        let mut started = Vec::new();
        for (number, port) in (1..).zip(servers) {
            let server = Server::start(number, port, &log).await?;
            screen.line(&format!("server {number}    http://127.0.0.1:{port}/"));
            started.push(Some(server));
        }
        let proxy = Proxy::start(&programs.proxy, near, &servers, &log.folder).await?;
        let name = programs.proxy.0.program();
        screen.line(&format!("{name:<11} http://{}/", proxy.authority));
        Ok(Self { proxy, servers: started, nats, log, postgres })
    }

    /// Where clients find it: the proxy.
    pub(crate) fn authority(&self) -> &str {
        &self.proxy.authority
    }

    /// Kills one, starts it again at the same address, and returns when it serves.
    pub(crate) async fn kill(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Postgres(how) => self.postgres.crash(how).await,
            Victim::Nats => {
                let nats = self.nats.take().ok_or("NATS was not started")?;
                self.nats = Some(nats.restart().await?);
                Ok(())
            }
            Victim::Server(index) => {
                let server = self.servers[index].take().ok_or("a server was not started again")?;
                self.servers[index] = Some(server.restart(&self.log).await?);
                Ok(())
            }
        }
    }

    /// Stops everything, and removes the files.
    pub(crate) async fn stop(self) -> Result<()> {
        self.proxy.kill().await?;
        for server in self.servers.into_iter().flatten() {
            server.kill().await?;
        }
        if let Some(nats) = self.nats {
            nats.kill().await?;
        }
        self.postgres.stop().await
    }
}
