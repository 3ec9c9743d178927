use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::Result;
use crate::guarded::{Guarded, Output};
use crate::ready;

/// A NATS server, at a port that it keeps.
#[derive(Debug)]
pub(crate) struct Nats {
    program: PathBuf,
    port: u16,
    output: PathBuf,
    process: Guarded,
}

impl Nats {
    pub(crate) async fn start(program: &Path, port: u16, output: PathBuf) -> Result<Self> {
        let arguments = ["-a", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
        let mut process = Guarded::start(program, arguments, Output::File(output.clone()))?;
        ready::until("NATS", &mut process, async || greets(port).await).await?;
        Ok(Self { program: program.to_owned(), port, output, process })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn kill(self) -> Result<()> {
        self.process.kill().await
    }

    /// Kills it, and starts it again at the same address.
    pub(crate) async fn restart(self) -> Result<Self> {
        let Self { program, port, output, process } = self;
        process.kill().await?;
        Self::start(&program, port, output).await
    }
}

/// A NATS server speaks first.
async fn greets(port: u16) -> Result<()> {
    let mut greeting = [0; 4];
    TcpStream::connect(("127.0.0.1", port)).await?.read_exact(&mut greeting).await?;
    if &greeting == b"INFO" { Ok(()) } else { Err("it does not speak NATS".into()) }
}
