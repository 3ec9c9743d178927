//! Connections with TLS, to a server whose certificate a CA of its own has signed.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use downlink::{Append, Bus, ErrorKind, EventStore, Expected, Hub, Item, NewEvent, Subscribe};
use futures::StreamExt;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::server::{Server, fresh_schema, options};

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

struct TlsServer {
    server: Server,
    port: u16,
}

impl TlsServer {
    fn get() -> &'static Self {
        static SERVER: OnceLock<TlsServer> = OnceLock::new();
        SERVER.get_or_init(|| {
            let free = TcpListener::bind("localhost:0").expect("a port");
            let port = free.local_addr().expect("its address").port();
            drop(free);
            Self { server: Server::run(&["tls", &port.to_string()]), port }
        })
    }

    /// Its URL with this host and these parameters, in which `{}` is its folder.
    fn url(&self, host: &str, parameters: &str) -> String {
        let parameters = parameters.replace("{}", &self.server.folder().to_string_lossy());
        format!("postgres://downlink@{host}:{}/postgres?{parameters}", self.port)
    }
}

const VERIFIED: &str = "sslmode=verify-full&sslrootcert={}/ca.pem";

/// How many connections of Downlink to this server have TLS, and how many do not.
async fn connections(server: &TlsServer) -> (i64, i64) {
    let plain = server.url("localhost", "sslmode=disable");
    let mut connection = PgConnection::connect(&plain).await.expect("a connection without TLS");
    let count = "SELECT count(*) FILTER (WHERE s.ssl), count(*) FILTER (WHERE NOT s.ssl) \
                 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                 WHERE a.application_name = 'downlink'";
    sqlx::query_as(count).fetch_one(&mut connection).await.expect("two counts")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn the_store_and_the_bus_are_encrypted() {
    let (server, schema) = (TlsServer::get(), fresh_schema());
    let url = server.url("localhost", VERIFIED);
    let store = options(&schema).connect(&url).await.unwrap();
    let bus = options(&schema).connect_bus(&url).await.unwrap();
    let other = options(&schema).connect_bus(&url).await.unwrap();
    let mut heard = other.listen().await.unwrap();
    let hub = Hub::builder(store.clone(), bus.clone()).start().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    let departed = NewEvent::json("FlightDeparted", "{}").unwrap();
    let append = Append::to("flight-UA1545", Expected::NoStream, [departed]).unwrap();
    let cursor = hub.append(append).await.unwrap().cursor;
    let received =
        async { while !matches!(subscription.next().await, Some(Ok(Item::Event(_)))) {} };
    timeout(DEADLINE, received).await.expect("the event");
    timeout(DEADLINE, heard.next()).await.expect("a hint of another process");
    assert_eq!(store.head().await.unwrap(), cursor);
    let (encrypted, plain) = connections(server).await;
    // The writer, a reader, and two for each of the buses.
    assert!(encrypted >= 6, "{encrypted} encrypted connections");
    assert_eq!(plain, 0);
    hub.shutdown().await;
}

async fn refused(url: &str) -> (ErrorKind, String) {
    let error = options(&fresh_schema()).connect(url).await.expect_err("a refusal");
    let of_bus = options(&fresh_schema()).connect_bus(url).await.expect_err("a refusal");
    assert_eq!((of_bus.kind(), of_bus.to_string()), (error.kind(), error.to_string()));
    (error.kind(), error.to_string())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_server_that_is_not_trusted_is_refused() {
    let server = TlsServer::get();
    for (host, parameters, advice) in [
        ("localhost", "sslmode=verify-full&sslrootcert={}/other.pem", "sslrootcert=FILE"),
        ("localhost", "sslmode=verify-ca", "sslrootcert=FILE"),
        ("127.0.0.1", VERIFIED, "a host that the certificate is for"),
        ("localhost", "sslmode=verify-full&sslrootcert={}/missing.pem", "missing.pem"),
        ("localhost", "sslmode=verify-full&sslrootcert={}/server.csr", "sslrootcert"),
    ] {
        let (kind, message) = refused(&server.url(host, parameters)).await;
        assert_eq!(kind, ErrorKind::Invalid, "{parameters}: {message}");
        assert!(message.contains(advice), "{parameters}: {message}");
    }
    let unverified = server.url("127.0.0.1", "sslmode=require");
    options(&fresh_schema()).connect(&unverified).await.expect("TLS without a check of the server");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_server_without_tls_is_refused_if_tls_is_demanded() {
    let proxy = crate::proxy::Proxy::start(Server::get().socket()).await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let (kind, message) = refused(&proxy.url().replace("disable", mode)).await;
        assert_eq!(kind, ErrorKind::Invalid, "{message}");
        assert!(message.contains("set ssl = on"), "{message}");
    }
}
