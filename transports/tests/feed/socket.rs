//! The router's responses over a real connection, under a plain `axum::serve`.

use std::net::SocketAddr;

use axum::Router;
use downlink::Hub;
use downlink_transports::feed::{Feed, Refusal, Rights};
use downlink_transports::serve::Server;
use http::request::Parts;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{hub, put};

async fn serve(hub: &Hub) -> (SocketAddr, AbortOnDropHandle<()>) {
    serve_router(Feed::new(hub).with_append().router()).await
}

async fn serve_router(feed: Router) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/api", feed);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = async move { axum::serve(listener, app).await.unwrap() };
    (address, AbortOnDropHandle::new(tokio::spawn(server)))
}

async fn send(address: SocketAddr, request: &str) -> BufReader<TcpStream> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = request.replace('$', &format!("Host: {address}"));
    socket.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
    BufReader::new(socket)
}

/// The lines up to the first empty one, in lower case.
async fn head(socket: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(socket.read_line(&mut head).await.unwrap(), 0, "{head}");
    }
    head.to_lowercase()
}

#[tokio::test]
async fn a_stream_arrives_as_it_happens() {
    let hub = hub().await;
    let (address, _server) = serve(&hub).await;
    let request = "GET /api/feed HTTP/1.1\n$\nAccept: text/event-stream\n\n";
    let mut socket = send(address, request).await;
    let head = head(&mut socket).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut seen = String::new();
    while !seen.contains("feed.live") {
        socket.read_line(&mut seen).await.unwrap();
    }
    put(&hub, "flight-1", "FlightDeparted").await;
    while !seen.contains(r#""type":"FlightDeparted""#) {
        socket.read_line(&mut seen).await.unwrap();
    }
    hub.shutdown().await;
    // After the last chunk the body has ended and the connection can be reused.
    while !seen.ends_with("\n0\r\n\r\n") {
        assert_ne!(socket.read_line(&mut seen).await.unwrap(), 0, "{seen}");
    }
    assert!(seen.contains("event: feed.bye"), "{seen}");
}

#[tokio::test]
async fn head_and_options_keep_the_connection_usable() {
    let hub = hub().await;
    put(&hub, "flight-1", "FlightDeparted").await;
    let (address, _server) = serve(&hub).await;
    let requests = "HEAD /api/feed HTTP/1.1\n$\nAccept: text/event-stream\n\n\
                    HEAD /api/feed HTTP/1.1\n$\n\n\
                    HEAD /api/nothing HTTP/1.1\n$\n\n\
                    OPTIONS /api/feed HTTP/1.1\n$\n\n\
                    GET /api/feed?limit=0 HTTP/1.1\n$\nConnection: close\n\n";
    let mut socket = send(address, requests).await;
    let stream = head(&mut socket).await;
    assert!(stream.contains("content-type: text/event-stream"), "{stream}");
    assert!(!stream.contains("content-length"), "{stream}");
    let page = head(&mut socket).await;
    assert!(page.contains("feed-cursor: ") && page.contains("content-length: "), "{page}");
    let nothing = head(&mut socket).await;
    assert!(nothing.starts_with("http/1.1 404"), "{nothing}");
    let options = head(&mut socket).await;
    assert!(options.starts_with("http/1.1 204"), "{options}");
    assert!(options.contains("allow: get, head, options"), "{options}");
    let problem = head(&mut socket).await;
    assert!(problem.starts_with("http/1.1 400"), "{problem}");
    let mut body = String::new();
    socket.read_to_string(&mut body).await.unwrap();
    assert!(body.contains(r#""code":"bad-parameter""#), "{body}");
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_the_body_is_sent() {
    let hub = hub().await;
    let (address, _server) = serve(&hub).await;
    let request = "POST /api/streams/s HTTP/1.1\n$\nContent-Type: application/json\n\
                   Content-Length: 16777217\nExpect: 100-continue\n\n";
    let mut socket = send(address, request).await;
    let head = head(&mut socket).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

#[tokio::test]
async fn a_client_that_may_not_append_is_refused_before_the_body_is_sent() {
    let hub = hub().await;
    let read_only = async |_: &Parts| Ok::<_, Refusal>(Rights::everything().read_only());
    let feed = Feed::new(&hub).with_append().with_authorizer(read_only).router();
    let server = Server::new(Router::new().nest("/api", feed.clone()));
    let ours = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = server.serve(listener, CancellationToken::new());
        (address, AbortOnDropHandle::new(tokio::spawn(async { serving.await.unwrap() })))
    };
    for (address, _server) in [ours, serve_router(feed).await] {
        let request = "POST /api/streams/s HTTP/1.1\n$\nContent-Type: application/json\n\
                       Content-Length: 1000000\nExpect: 100-continue\n\n";
        // No `100 Continue`, and no body that it would ask for.
        let head = head(&mut send(address, request).await).await;
        assert!(head.starts_with("http/1.1 403"), "{head}");
        // Nor if the client sends the body without being asked, and not all of it.
        let request = request.replace("Expect: 100-continue\n", "");
        let head = self::head(&mut send(address, &request).await).await;
        assert!(head.starts_with("http/1.1 403"), "{head}");
    }
}
