use std::env;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use downlink::NewEvent;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::events::block;
use crate::publisher::Publisher;
use crate::support::Result;
use crate::transport::Transport;
use crate::usage::Usage;

const DEADLINE: Duration = Duration::from_secs(30);

/// Another server that sends messages to all clients. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    transport: Transport,
    process: Child,
    publisher: TcpStream,
    pub(crate) authority: String,
    _folder: TempDir,
}

impl Peer {
    /// The program of this transport, if it is in the `PATH`.
    pub(crate) fn program(transport: Transport) -> Option<PathBuf> {
        let name = match transport {
            Transport::Redis => "redis-server",
            Transport::Nats => "nats-server",
            _ => return None,
        };
        let folders = env::var_os("PATH")?;
        env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    pub(crate) async fn start(transport: Transport) -> Result<Self> {
        let program = Self::program(transport).ok_or("the server is not installed")?;
        let folder = tempfile::tempdir()?;
        // Neither prints the port that it gets for 0.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let mut command = Command::new(program);
        if transport == Transport::Redis {
            command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
            command.args(["--client-output-buffer-limit", "pubsub 0 0 0"]);
        } else {
            command.args(["--addr", "127.0.0.1", "--port", &port]);
        }
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn()?;
        let authority = format!("127.0.0.1:{port}");
        let mut publisher = timeout(DEADLINE, connect(&authority)).await?;
        if transport == Transport::Nats {
            publisher.write_all(b"CONNECT {\"verbose\":false}\r\n").await?;
        }
        Ok(Self { transport, process, publisher, authority, _folder: folder })
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process.id().unwrap_or_default())
    }

    /// Reads until all messages are acknowledged.
    async fn acknowledged(&mut self, messages: usize) -> Result<()> {
        let mut text = Vec::new();
        let is_complete = |text: &[u8]| match self.transport {
            Transport::Redis => text.split(|byte| *byte == b'\n').count() > messages,
            _ => text.windows(6).any(|part| part == b"PONG\r\n"),
        };
        while !is_complete(&text) {
            if self.publisher.read_buf(&mut text).await? == 0 {
                return Err(String::from_utf8_lossy(&text).into());
            }
        }
        Ok(())
    }
}

impl Publisher for Peer {
    async fn publish(&mut self, stream: &str, events: Vec<NewEvent>) -> Result<()> {
        let messages = events.len();
        let mut request = Vec::new();
        for event in events {
            let bytes = block(stream, event);
            let head = match self.transport {
                Transport::Redis => {
                    format!("*3\r\n$7\r\nPUBLISH\r\n$7\r\nflights\r\n${}\r\n", bytes.len())
                }
                _ => format!("PUB flights {}\r\n", bytes.len()),
            };
            request.extend_from_slice(head.as_bytes());
            request.extend_from_slice(&bytes);
            request.extend_from_slice(b"\r\n");
        }
        if self.transport == Transport::Nats {
            request.extend_from_slice(b"PING\r\n");
        }
        self.publisher.write_all(&request).await?;
        timeout(DEADLINE, self.acknowledged(messages)).await?
    }
}

async fn connect(authority: &str) -> TcpStream {
    loop {
        match TcpStream::connect(authority).await {
            Ok(stream) => return stream,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}
