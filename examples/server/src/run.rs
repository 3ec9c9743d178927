use std::net::SocketAddr;

use axum::Router;
use downlink::{Error, ErrorKind, Hub, Result};
use downlink_transports::feed::{self, Feed};
use downlink_transports::health;
use downlink_transports::serve::{self, Server, Signals};
use terminal::outln;

use crate::args::Args;
use crate::file_limit;
use crate::log::Log;

const INDEX: &str = "an event log\n\n\
    GET  /feed              a page; with `Accept: text/event-stream` a live stream\n\
    GET  /feed/ws           a WebSocket, for subscriptions and appends\n\
    GET  /streams/{stream}  a page of one stream\n\
    POST /streams/{stream}  append, if --allow-append is set\n\
    GET  /health/live       GET /health/ready       GET /openapi.json\n";

/// Serves until a signal, then drains the connections; a second signal ends the drain.
pub(crate) async fn run(args: Args) -> Result<()> {
    file_limit::raise(args.max_connections);
    let (listener, address) = serve::bind(&args.listen).await?;
    check_exposure(&args, address)?;
    let signals = Signals::listen()?;
    let log = Log::open(&args).await?;

    let feed = feed(&log.hub, &args);
    let access = feed.access();
    let server = Server::new(router(feed, &log.hub))
        .with_access(access)
        .with_max_connections(args.max_connections)
        .with_force(signals.force);
    print_usage(address, &log, &args);
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

fn check_exposure(args: &Args, address: SocketAddr) -> Result<()> {
    if args.open_to_everyone || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let message = format!(
        "{address} can be reached from other machines: listen on 127.0.0.1, or add \
         --open-to-everyone if they may read the log"
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

fn print_usage(address: SocketAddr, log: &Log, args: &Args) {
    let append = format!(
        "        curl -H 'Content-Type: application/json' -d '{{\"type\":\"FlightDeparted\",\"data\":{{}}}}' \
         'http://{address}/streams/flight-UA1545'\n"
    );
    let text = format!(
        "server  http://{address}/\n\
         log     {}\n\
         try     curl -N -H 'Accept: text/event-stream' 'http://{address}/feed'\n\
         {}        press Ctrl-C to stop",
        log.description,
        if args.allow_append { &*append } else { "" },
    );
    outln!("{text}");
}
