use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::args::ProxyKind;
use crate::guarded::{Guarded, Output};
use crate::ready;

/// The configurations that the book shows, for one server.
const NGINX: &str = include_str!("../../../conformance-tests/stock-clients/proxies/nginx.conf");
const HAPROXY: &str = include_str!("../../../conformance-tests/stock-clients/proxies/haproxy.cfg");

/// The proxy in front of the servers, the only address that clients know.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) authority: String,
    process: Guarded,
}

impl Proxy {
    pub(crate) async fn start(
        (kind, program): &(ProxyKind, PathBuf),
        port: u16,
        servers: &[u16],
        folder: &Path,
    ) -> Result<Self> {
        let file = folder.join("proxy.conf");
        fs::write(&file, configuration(*kind, port, servers))?;
        let prefix = format!("{}/", folder.display());
        let file = file.display().to_string();
        let arguments = match kind {
            ProxyKind::Nginx => vec!["-p", &prefix, "-c", &file, "-e", "stderr"],
            // In the foreground.
            ProxyKind::Haproxy => vec!["-db", "-f", &file],
        };
        let mut process =
            Guarded::start(program, arguments, Output::File(folder.join("proxy.log")))?;
        let authority = format!("127.0.0.1:{port}");
        let ready = async || ready::serves(&authority).await;
        ready::until(kind.program(), &mut process, ready).await?;
        Ok(Self { authority, process })
    }

    pub(crate) async fn kill(self) -> Result<()> {
        self.process.kill().await
    }
}

/// The book's configuration, with several servers in the place of one.
fn configuration(kind: ProxyKind, port: u16, servers: &[u16]) -> String {
    let near = format!("127.0.0.1:{port}");
    match kind {
        ProxyKind::Nginx => {
            let lines = lines("least_conn;", servers, |_, port| {
                format!("\n        server 127.0.0.1:{port} fail_timeout=1s;")
            });
            NGINX
                .replace("127.0.0.1:8080", &near)
                .replace("events {}", "events { worker_connections 4096; }")
                .replace("server 127.0.0.1:3000;", &lines)
        }
        ProxyKind::Haproxy => {
            let first = "balance leastconn\n    option redispatch\n    option httpchk GET /health/ready\n    \
                         default-server check inter 1s fall 1 rise 1";
            let lines = lines(first, servers, |number, port| {
                format!("\n    server server-{number} 127.0.0.1:{port}")
            });
            HAPROXY
                .replace("127.0.0.1:8080", &near)
                .replace("server program 127.0.0.1:3000", &lines)
        }
    }
}

fn lines(first: &str, servers: &[u16], line: impl Fn(usize, u16) -> String) -> String {
    let mut lines = first.to_owned();
    for (number, port) in (1..).zip(servers) {
        write!(lines, "{}", line(number, *port)).expect("a string takes everything");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_of_the_book_get_the_addresses() {
        for kind in [ProxyKind::Nginx, ProxyKind::Haproxy] {
            let text = configuration(kind, 4001, &[4002, 4003]);
            let (_, settings) = text.split_once('\n').unwrap();
            for address in ["4001", "4002", "4003"] {
                assert_eq!(settings.matches(address).count(), 1, "{address} in {text}");
            }
            for address in ["3000", "8080"] {
                assert!(!settings.contains(address), "{address} in {text}");
            }
        }
        let nginx = configuration(ProxyKind::Nginx, 4001, &[4002]);
        assert!(nginx.contains("least_conn;") && nginx.contains("4096"), "{nginx}");
    }
}
