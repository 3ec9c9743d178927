//! Tests the program from outside: appends, subscriptions, stops and restarts.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use downlink::Subscribe;
use downlink::transport::{Endpoint, Frame};
use downlink_transports::client::{Client, Follow};
use futures::StreamExt;
use process::{DEADLINE, PROGRAM, Server};
#[cfg(target_os = "linux")]
use rustix::process::Pid;

impl Server {
    fn request(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(text.replace("HOST", &self.authority).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn append(&self, leg: u32) -> String {
        self.append_json(&format!(r#"{{"leg":{leg}}}"#))
    }

    #[cfg(target_os = "linux")]
    fn append_data(&self, text: &str) -> String {
        self.append_json(&format!(r#""{text}""#))
    }

    fn append_json(&self, data: &str) -> String {
        let body = format!(r#"{{"type":"FlightDeparted","data":{data}}}"#);
        let length = body.len();
        self.request(&format!(
            "POST /streams/flight-UA1545 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"))
    }

    fn stream(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = &self.authority;
        let request =
            format!("GET /feed HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }
}

fn follow(server: &Server) -> Follow {
    let pause = Duration::from_millis(20);
    Client::new(Endpoint::new(format!("http://{}", server.authority)))
        .with_reconnect_delay(pause..=pause * 2)
        .with_max_server_delay(pause * 4)
        .follow(Subscribe::new())
        .unwrap()
}

async fn next_leg(follow: &mut Follow) -> String {
    let event = async {
        loop {
            if let Frame::Event { event, .. } = follow.next().await.unwrap().unwrap() {
                return String::from_utf8(event.payload().to_vec()).unwrap();
            }
        }
    };
    tokio::time::timeout(DEADLINE, event).await.expect("an event")
}

#[tokio::test]
async fn subscriptions_continue_after_a_stop_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("rusqlite:{}", folder.path().join("flights.db").display());
    let mut server =
        Server::start(&["--listen", "127.0.0.1:0", "--store", &store, "--allow-append"]);
    let authority = server.authority.clone();
    let mut follow = follow(&server);
    for round in 0..3 {
        let answer = server.append(round);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        assert_eq!(next_leg(&mut follow).await, format!(r#"{{"leg":{round}}}"#));
        if round == 1 {
            drop(server);
        } else {
            server.interrupt();
            assert!(server.wait());
        }
        server = Server::start(&["--listen", &authority, "--store", &store, "--allow-append"]);
    }
    let page = server.get("/streams/flight-UA1545");
    assert!(page.contains(r#""version":3"#), "{page}");
}

#[tokio::test]
async fn two_servers_share_a_file_through_two_drivers() {
    let folder = tempfile::tempdir().unwrap();
    let start = |driver| {
        let store = format!("{driver}:{}", folder.path().join("flights.db").display());
        let listen = ["--listen", "127.0.0.1:0", "--allow-append"];
        Server::start(&[&listen[..], &["--store", &store, "--bus", "sqlite"]].concat())
    };
    let servers = [start("rusqlite"), start("sqlx")];
    let mut follows = servers.each_ref().map(follow);
    for leg in 0..4 {
        let answer = servers[usize::from(leg % 2 == 1)].append(leg);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        for follow in &mut follows {
            assert_eq!(next_leg(follow).await, format!(r#"{{"leg":{leg}}}"#));
        }
    }
    for server in servers {
        server.interrupt();
        assert!(server.wait());
    }
}

#[test]
fn an_interrupt_ends_a_thousand_streams_with_a_goodbye() {
    raise_file_limit();
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let mut streams: Vec<_> = (0..1_000).map(|_| server.stream()).collect();
    for stream in &mut streams {
        read_until(stream, "event: feed.live\n");
    }
    server.interrupt();
    for mut stream in streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("event: feed.bye\n") && rest.ends_with("\n\n"), "{rest:?}");
    }
    assert!(server.wait());
}

#[test]
fn a_server_recovers_from_too_many_open_files() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 40 && exec "$0" --listen 127.0.0.1:0"#, PROGRAM]);
    command.stderr(Stdio::null());
    let server = Server::run(command);
    let idle: Vec<_> = (0..60).map(|_| TcpStream::connect(&server.authority).unwrap()).collect();
    drop(idle);
    assert!(server.get("/health/ready").starts_with("HTTP/1.1 200"));
}

#[test]
fn appends_are_refused_unless_allowed() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let answer = server.append(0);
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.contains("append-disabled"), "{answer}");
}

#[test]
fn the_index_has_the_headers_of_the_feed() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let ask = |method| {
        let request = format!("{method} / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        let answer = server.request(&request);
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
        answer
    };
    assert!(ask("GET").contains("/feed"));
    let allow = "allow: GET, HEAD, OPTIONS\r\n";
    let options = ask("OPTIONS");
    assert!(options.starts_with("HTTP/1.1 204") && options.contains(allow), "{options}");
    let refused = ask("DELETE");
    assert!(refused.starts_with("HTTP/1.1 405") && refused.contains(allow), "{refused}");
    assert!(refused.contains("urn:downlink:problem:method-not-allowed"), "{refused}");
}

#[test]
fn errors_say_what_to_do() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let in_use = fails(&["--listen", &server.authority]);
    assert!(in_use.contains("already in use") && in_use.contains("another address"), "{in_use}");
    let store = fails(&["--store", "postgres:flights"]);
    assert!(store.contains("memory") && store.contains("rusqlite:FILE"), "{store}");
    let secret = fails(&["--store", "mysql://me:secret@host"]);
    assert!(secret.contains("memory") && !secret.contains("secret"), "{secret}");
    let secret = fails(&["--bus", "nat://me:secret@host", "--listen", "127.0.0.1:0"]);
    assert!(secret.contains("nats://HOST") && !secret.contains("secret"), "{secret}");
    let bus = fails(&["--bus", "sqlite", "--listen", "127.0.0.1:0"]);
    assert!(bus.contains("--store rusqlite:FILE"), "{bus}");
    let open = fails(&["--listen", "0.0.0.0:0"]);
    assert!(open.contains("--open-to-everyone"), "{open}");
    let nonsense = fails(&["--listen", "here"]);
    assert!(nonsense.contains("127.0.0.1:3000"), "{nonsense}");
    let folder = fails(&["--store", "rusqlite:/nowhere/flights.db", "--listen", "127.0.0.1:0"]);
    assert!(folder.contains("/nowhere"), "{folder}");
    let none = fails(&["--max-connections", "0"]);
    assert!(none.contains("--max-connections") && none.contains("1.."), "{none}");
    let folder = tempfile::tempdir().unwrap();
    let serve = |path: &Path| {
        fails(&["--store", &format!("rusqlite:{}", path.display()), "--listen", "127.0.0.1:0"])
    };
    assert!(serve(folder.path()).contains("is a folder: name a file in it"));
    let text = folder.path().join("flights.txt");
    std::fs::write(&text, "no database ".repeat(100)).unwrap();
    let other = serve(&text);
    assert!(other.contains("name another file, or move this one away"), "{other}");
    assert!(other.matches("not a").count() == 1, "{other}");
}

/// Reaches a file size limit, then raises it.
#[cfg(target_os = "linux")]
#[test]
fn a_file_size_limit_is_reported_as_a_full_disk() {
    use rustix::process::{Resource, Rlimit, prlimit};

    for driver in ["rusqlite", "sqlx"] {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("{driver}:{}", folder.path().join("flights.db").display());
        let mut limited = Command::new("sh");
        limited.args(["-c", r#"ulimit -S -f 2048; exec "$0" "$@""#, PROGRAM]);
        limited.args(["--listen", "127.0.0.1:0", "--store", &store, "--allow-append"]);
        let server = Server::run(limited);
        let large = "x".repeat(200_000);
        let full = (0..40).map(|_| server.append_data(&large)).find(|answer| !is_stored(answer));
        let full = full.expect("the limit of one or two MiB to be reached");
        assert!(full.starts_with("HTTP/1.1 507 "), "{driver}: {full}");
        // It keeps running, and answers the same while there is no space.
        assert!(server.get("/health/live").starts_with("HTTP/1.1 200 "));
        assert!(server.get("/feed").starts_with("HTTP/1.1 200 "));
        assert!(server.append_data(&large).starts_with("HTTP/1.1 507 "));

        let process = Some(Pid::from_child(&server.process));
        prlimit(process, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
        let stored = server.append_data(&large);
        assert!(is_stored(&stored), "{driver}: {stored}");
    }
}

/// On Linux, a file name can be any bytes.
#[cfg(target_os = "linux")]
#[test]
fn the_name_of_a_file_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"fl\xfcge.db"));
    let named = |driver: &str| {
        let mut store = std::ffi::OsString::from(format!("{driver}:"));
        store.push(&path);
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0", "--allow-append", "--store"]).arg(store);
        command
    };
    let server = Server::run(named("rusqlite"));
    assert!(is_stored(&server.append(1)));
    assert!(path.exists());
    // The driver accepts UTF-8 only, and says so.
    let refused = named("sqlx").output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("UTF-8"), "{message}");
}

fn is_stored(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 201 ")
}

fn fails(options: &[&str]) -> String {
    let Output { status, stderr, .. } = Command::new(PROGRAM).args(options).output().unwrap();
    assert!(!status.success(), "{options:?}");
    String::from_utf8(stderr).unwrap()
}

fn read_until(stream: &mut TcpStream, end: &str) {
    let (mut text, mut piece) = (String::new(), [0; 1_024]);
    while !text.contains(end) {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{text:?}");
        text += std::str::from_utf8(&piece[..read]).unwrap();
    }
}

fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
