use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::Result;
use crate::guarded::{Guarded, Output};
use crate::ready;

/// One of the servers, at a port that it keeps.
#[derive(Debug)]
pub(crate) struct Server {
    number: usize,
    port: u16,
    process: Guarded,
}

/// What the servers have in common.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) store: OsString,
    pub(crate) bus: String,
    pub(crate) folder: PathBuf,
    /// Whether they write to the terminal.
    pub(crate) verbose: bool,
}

impl Server {
    pub(crate) async fn start(number: usize, port: u16, log: &Log) -> Result<Self> {
        let program = env::current_exe()?;
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["serve", "--listen", &listen, "--bus", &log.bus, "--store"];
        let arguments = arguments.map(OsStr::new).into_iter().chain([&*log.store]);
        let mut process = Guarded::start(&program, arguments, log.output(number))?;
        let name = format!("server {number}");
        ready::until(&name, &mut process, async || ready::serves(&listen).await).await?;
        Ok(Self { number, port, process })
    }

    pub(crate) async fn kill(self) -> Result<()> {
        self.process.kill().await
    }

    /// Kills it, and starts it again at the same address.
    pub(crate) async fn restart(self, log: &Log) -> Result<Self> {
        let Self { number, port, process } = self;
        process.kill().await?;
        Self::start(number, port, log).await
    }
}

impl Log {
    fn output(&self, number: usize) -> Output {
        if self.verbose {
            return Output::Terminal;
        }
        Output::File(self.folder.join(format!("server-{number}.log")))
    }
}
