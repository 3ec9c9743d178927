use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use downlink::{Error, ErrorKind, Hub, Result};
use downlink_transports::feed::{self, Feed};
use downlink_transports::health;
use downlink_transports::serve::{Server, Signals};
use terminal::say;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::files;
use crate::log::Log;

const INDEX: &str = "a log of events\n\n\
    GET  /feed              a page; with `Accept: text/event-stream` a stream without end\n\
    GET  /feed/ws           a WebSocket, for many subscriptions and for appends\n\
    GET  /streams/{stream}  a page of one stream\n\
    POST /streams/{stream}  append, if it is allowed\n\
    GET  /health/live       GET /health/ready       GET /openapi.json\n";

/// Serves until a signal, and drains; a second signal ends the drain.
pub(crate) async fn run(args: Args) -> Result<()> {
    files::raise_limit(args.max_connections);
    let listener = bind(&args).await?;
    let address = listener.local_addr().map_err(|error| failed("no address", error))?;
    check_exposure(&args, address)?;
    let signals = Signals::listen()?;
    let log = Log::open(&args).await?;

    let feed = feed(&log.hub, &args);
    let access = feed.access();
    let server = Server::new(router(feed, &log.hub))
        .with_access(access)
        .with_max_connections(args.max_connections)
        .with_force(signals.force);
    greet(address, &log, &args);
    let outcome = server.serve(listener, signals.drain).await;
    log.close().await;
    outcome
}

fn feed(hub: &Hub, args: &Args) -> Feed {
    let feed = Feed::new(hub);
    let feed = if args.allow_append { feed.with_append() } else { feed };
    if args.open_to_everyone { feed.with_public_access() } else { feed }
}

fn router(feed: Feed, hub: &Hub) -> Router {
    feed.router().merge(health::router(hub)).route("/", feed::get(async || INDEX))
}

async fn bind(args: &Args) -> Result<TcpListener> {
    let listen = &args.listen;
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let advice = "name another with --listen, as in `--listen 127.0.0.1:0` for any port";
            failed(format!("{listen} is taken: {advice}"), error)
        }
        io::ErrorKind::InvalidInput => {
            failed(format!("--listen {listen} is no address: give one like 127.0.0.1:3000"), error)
        }
        _ => {
            failed(format!("cannot listen on {listen}: name another address with --listen"), error)
        }
    })
}

fn check_exposure(args: &Args, address: SocketAddr) -> Result<()> {
    if args.open_to_everyone || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "{address} can be reached from other machines: add --open-to-everyone if all of them may \
         read the log, or listen on 127.0.0.1"
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

fn greet(address: SocketAddr, log: &Log, args: &Args) {
    let append = format!(
        "        curl -H 'Content-Type: application/json' -d '{{\"type\":\"FlightDeparted\",\"data\":{{}}}}' \
         'http://{address}/streams/flight-UA1545'\n"
    );
    let text = format!(
        "server  http://{address}/\n\
         log     {}\n\
         try     curl -N -H 'Accept: text/event-stream' 'http://{address}/feed'\n\
         {}        Ctrl-C ends it",
        log.description,
        if args.allow_append { &*append } else { "" },
    );
    say!("{text}");
}

fn failed(message: impl Display, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, message.to_string(), error)
}
