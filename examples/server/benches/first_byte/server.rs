use std::path::Path;
use std::process::Stdio;

use downlink::NewEvent;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Result;
use crate::support::log_file::fill;

/// A server in a separate process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    authority: String,
    _process: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts `program` on a new file with this many events.
    pub(crate) async fn start(program: &Path, events: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("log.db");
        fill(&file, events, event).await?;
        let mut process = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .arg("--store")
            .arg(format!("rusqlite:{}", file.display()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            let Some((_, rest)) = line.split_once("http://") else { continue };
            let authority = rest.split(['/', ' ']).next().unwrap_or_default().to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Self { authority, _process: process, _folder: folder });
        }
        Err("the server ended before it listened".into())
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

fn event(number: usize) -> downlink::Result<NewEvent> {
    let data = format!(r#"{{"flight":"UA1545","from":"EWR","to":"IAH","delay":{}}}"#, number % 500);
    NewEvent::json("FlightDelayed", data)
}
