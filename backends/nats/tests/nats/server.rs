use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server on a port of its own, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    process: Child,
    _folder: TempDir,
}

/// The server that the laws share. It ends with the program that it serves: see
/// [`Server::start_on`].
static SHARED: OnceLock<Server> = OnceLock::new();

impl Server {
    pub(crate) fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }

    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        Self::start_on(port.expect("a free port").port())
    }

    /// A shell waits for this program to end, which closes its input, and kills the server then,
    /// also after a test that was killed itself.
    pub(crate) fn start_on(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let script = format!(
            "PATH=$PATH:/usr/sbin; nats-server -a 127.0.0.1 -p {port} -l '{}' & server=$!; \
             trap 'kill -9 $server' EXIT; read _",
            log.display()
        );
        let process = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        wait_for(&log);
        Self { port, process, _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, and returns when it has ended.
    pub(crate) fn kill(&mut self) {
        // Closing its input ends the shell, and its trap kills the server.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn wait_for(log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(log).is_ok_and(|text| text.contains("Server is ready")) {
        assert!(Instant::now() < deadline, "nats-server did not start: is it installed?");
        std::thread::sleep(Duration::from_millis(10));
    }
}
