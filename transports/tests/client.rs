//! The client against scripted servers.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use downlink::event::Timestamp;
use downlink::transport::{Endpoint, Frame};
use downlink::{
    After, Cursor, Error, ErrorKind, Event, EventId, FilterItem, NewEvent, Position, StreamId,
    Subscribe, Version,
};
use downlink_transports::client::{Client, Follow};
use downlink_transports::wire::{Code, Problem, frame_block, sse_block};
use futures::StreamExt;
use support::{Raw, listener, soon};
use tokio::net::TcpListener;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const PAUSE: Duration = Duration::from_millis(20);

fn event(n: u8) -> Event {
    let content = NewEvent::json("FlightDeparted", format!(r#"{{"leg":{n}}}"#)).unwrap();
    let content = content.with_id(EventId::from_bytes([n; 16]));
    let stream = StreamId::new("flight-UA1545").unwrap();
    let (position, version) = (Position::new(n.into()).unwrap(), Version::new(n.into()).unwrap());
    Event::new(position, stream, version, Timestamp::EPOCH, content)
}

fn block(n: u8) -> String {
    text(&sse_block(&event(n)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cursor(n: u8) -> Cursor {
    if n == 0 { Cursor::START } else { event(n).cursor() }
}

fn ready(n: u8) -> String {
    ready_with(n, Duration::from_secs(15))
}

fn ready_with(n: u8, heartbeat: Duration) -> String {
    let heartbeat = Some(heartbeat);
    text(&frame_block(&Frame::Ready { cursor: cursor(n), head: cursor(9), heartbeat }, None))
}

fn live(n: u8) -> String {
    text(&frame_block(&Frame::Live { cursor: cursor(n), head: cursor(n) }, None))
}

fn client(address: SocketAddr) -> Client {
    Client::new(Endpoint::new(format!("http://{address}/api/")))
        .with_reconnect_delay(PAUSE..=PAUSE * 2)
        .with_max_server_delay(PAUSE * 4)
}

fn follow(address: SocketAddr) -> Follow {
    client(address).follow(Subscribe::new()).unwrap()
}

/// Answers the next request with this, and closes the connection.
async fn answer(listener: &TcpListener, answer: &str) -> String {
    let (mut raw, request) = hold(listener, answer).await;
    // A graceful close, so that the client can read the whole answer.
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0).await.unwrap();
    raw.rest().await;
    request
}

/// Answers the next request with this, and leaves the connection open.
async fn hold(listener: &TcpListener, answer: &str) -> (Raw, String) {
    let mut raw = Raw(soon("a request", listener.accept()).await.unwrap().0);
    let request = raw.until("\r\n\r\n").await;
    raw.send(answer).await;
    (raw, request)
}

async fn next(follow: &mut Follow) -> Option<Result<Frame, Error>> {
    soon("a frame", follow.next()).await
}

async fn next_event(follow: &mut Follow) -> Event {
    match next(follow).await.unwrap().unwrap() {
        Frame::Event { event, .. } => event,
        other => panic!("{other:?} instead of an event"),
    }
}

async fn error(follow: &mut Follow) -> ErrorKind {
    let kind = next(follow).await.unwrap().unwrap_err().kind();
    assert!(next(follow).await.is_none(), "nothing follows an error");
    kind
}

#[tokio::test]
async fn the_request_has_the_filter_and_the_cursor() {
    let (listener, address) = listener().await;
    let filter = FilterItem::new().with_stream_prefix("flight ").unwrap();
    let subscribe = Subscribe::new().with_filter(filter.into());
    let connect = async |after: After| {
        let subscribe = subscribe.clone().with_after(after);
        let client = client(address);
        let connected = tokio::join!(client.connect(subscribe), answer(&listener, HEAD));
        connected.0.map(drop).unwrap();
        connected.1
    };

    let request = connect(After::Last(3)).await;
    assert!(request.starts_with("GET /api/feed?stream_prefix=flight%20&after=last:3 HTTP/1.1\r\n"));
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    assert!(request.contains("accept: text/event-stream\r\n"), "{request}");
    assert!(request.contains("feed-client: downlink-rust/"), "{request}");
    assert!(!request.contains("last-event-id"), "{request}");

    let request = connect(After::Cursor(cursor(3))).await;
    assert!(request.contains(&format!("last-event-id: {}\r\n", cursor(3))), "{request}");
    assert!(!request.contains("after="), "{request}");
}

#[tokio::test]
async fn a_connection_yields_what_was_sent_until_it_ends() {
    let (listener, address) = listener().await;
    let bye = "retry: 500\nevent: feed.bye\ndata: {\"frame\":\"bye\",\"reason\":\"drain\",\"reconnect_after_ms\":500}\n\n";
    let unknown = "event: feed.fireworks\ndata: {\"frame\":\"fireworks\"}\n\n";
    let body = [HEAD, ":\n\n", &ready(0), &block(1), unknown, &live(1), bye].concat();
    let client = client(address);
    let (frames, _) = tokio::join!(
        async { client.connect(Subscribe::new()).await.unwrap().collect().await },
        answer(&listener, &body)
    );
    let frames: Vec<_> = frames;
    let frames: Vec<_> = frames.into_iter().map(Result::unwrap).collect();
    let [
        Frame::Ready { heartbeat, .. },
        Frame::Event { event: first, envelope },
        Frame::Live { .. },
        Frame::Bye { .. },
    ] = frames.as_slice()
    else {
        panic!("{frames:?}")
    };
    assert_eq!(*heartbeat, Some(Duration::from_secs(15)));
    assert_eq!(*first, event(1));
    assert!(block(1).contains(&text(envelope)));
}

#[tokio::test]
async fn a_connection_that_ends_inside_a_frame_is_an_error() {
    let whole = [ready(0), block(1)].concat();
    for cut in 1..whole.len() {
        let (listener, address) = listener().await;
        let (client, body) = (client(address), [HEAD, &whole[..cut]].concat());
        let (frames, _) = tokio::join!(
            async { client.connect(Subscribe::new()).await.unwrap().collect::<Vec<_>>().await },
            answer(&listener, &body)
        );
        let is_between = cut == ready(0).len();
        assert_eq!(frames.iter().all(Result::is_ok), is_between, "cut at {cut}: {frames:?}");
        assert!(frames.iter().rev().skip(1).all(Result::is_ok), "cut at {cut}: {frames:?}");
    }
}

#[tokio::test]
async fn following_resumes_after_the_last_whole_frame_and_repeats_nothing() {
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let half = &block(2)[..20];
    let server = async {
        let first = answer(&listener, &[HEAD, &ready(0), &block(1), half].concat()).await;
        assert!(!first.contains("last-event-id"));
        let again = [HEAD, &ready(1), &block(1), &block(2), &live(2), &block(3)].concat();
        let (raw, second) = hold(&listener, &again).await;
        assert!(second.contains(&format!("last-event-id: {}\r\n", cursor(1))), "{second}");
        raw
    };
    let reader = async {
        assert_eq!(next_event(&mut follow).await, event(1));
        assert_eq!(follow.cursor(), Some(cursor(1)));
        assert_eq!(next_event(&mut follow).await, event(2));
        assert!(matches!(next(&mut follow).await, Some(Ok(Frame::Live { .. }))));
        assert_eq!(next_event(&mut follow).await, event(3));
        assert_eq!(follow.cursor(), Some(cursor(3)));
    };
    tokio::join!(server, reader);
}

#[tokio::test]
async fn after_now_resumes_from_the_first_ready() {
    let (listener, address) = listener().await;
    let mut follow = client(address).follow(Subscribe::new().with_after(After::Now)).unwrap();
    let server = async {
        let never_ready = answer(&listener, HEAD).await;
        assert!(never_ready.contains("after=now"));
        let still = answer(&listener, &[HEAD, &ready(4)].concat()).await;
        assert!(still.contains("after=now"));
        let (raw, resumed) = hold(&listener, &[HEAD, &ready(4), &block(5)].concat()).await;
        assert!(resumed.contains(&format!("last-event-id: {}\r\n", cursor(4))), "{resumed}");
        raw
    };
    let (_held, next) = tokio::join!(server, next_event(&mut follow));
    assert_eq!(next, event(5));
}

#[tokio::test]
async fn temporary_refusals_are_retried() {
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let server = async {
        for refusal in [
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno",
            "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "nonsense",
            "",
        ] {
            answer(&listener, refusal).await;
        }
        hold(&listener, &[HEAD, &ready(0), &block(1)].concat()).await
    };
    let (_held, next) = tokio::join!(server, next_event(&mut follow));
    assert_eq!(next, event(1));
}

#[tokio::test]
async fn permanent_refusals_end_following() {
    for (status, code, kind) in [
        ("400 Bad Request", "bad-filter", ErrorKind::Invalid),
        ("401 Unauthorized", "unauthenticated", ErrorKind::Invalid),
        ("403 Forbidden", "forbidden", ErrorKind::Invalid),
        ("404 Not Found", "not-found", ErrorKind::Invalid),
        ("410 Gone", "cursor-ahead", ErrorKind::CursorAhead),
        ("410 Gone", "history-changed", ErrorKind::HistoryChanged),
    ] {
        let (listener, address) = listener().await;
        let mut follow = follow(address);
        let body = Problem::new(Code::parse(code).unwrap(), "why").to_json();
        let length = body.len();
        let refusal = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let (got, _) = tokio::join!(error(&mut follow), answer(&listener, &refusal));
        assert_eq!(got, kind, "{code}");
    }
}

#[tokio::test]
async fn a_reset_ends_following() {
    for (reason, kind) in
        [("history-changed", ErrorKind::HistoryChanged), ("cursor-ahead", ErrorKind::CursorAhead)]
    {
        let (listener, address) = listener().await;
        let mut follow = follow(address);
        let reset =
            text(&frame_block(&Frame::Reset { reason: reason.into(), head: cursor(1) }, None));
        let body = [HEAD, &ready(0), &reset].concat();
        let (got, _) = tokio::join!(error(&mut follow), answer(&listener, &body));
        assert_eq!(got, kind);
    }
}

/// Bodies that a feed does not send.
fn unreadable() -> Vec<String> {
    let forged = block(1).replace(&format!("id: {}", cursor(1)), &format!("id: {}", cursor(2)));
    let bodies = ["data: {}\n\n", &forged, "event: feed.live\ndata: no\n\n", &ready(0)];
    bodies.map(|body| [HEAD, &ready(0), body].concat()).into()
}

#[tokio::test]
async fn corrupt_bytes_end_following_if_they_come_again_and_again() {
    for body in unreadable() {
        let (listener, address) = listener().await;
        let mut follow = follow(address);
        let server = async {
            for _ in 0..3 {
                answer(&listener, &body).await;
            }
        };
        let (got, ()) = tokio::join!(error(&mut follow), server);
        assert_eq!(got, ErrorKind::Corrupt, "{body}");
    }
}

#[tokio::test]
async fn corrupt_bytes_that_pass_do_not_end_following() {
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let server = async {
        for n in 0..4 {
            for body in &unreadable()[..2] {
                answer(&listener, &body.replace(&ready(0), &ready(n))).await;
            }
            answer(&listener, &[HEAD, &ready(n), &block(n + 1), "data: {}\n\n"].concat()).await;
        }
        hold(&listener, &[HEAD, &ready(4), &block(5)].concat()).await
    };
    let events = async {
        for n in 1..=5 {
            assert_eq!(next_event(&mut follow).await, event(n));
        }
    };
    let _held = tokio::join!(server, events);
}

#[tokio::test]
async fn the_stream_of_another_client_is_not_taken_for_ones_own() {
    // A proxy that merges requests answers with it: event 2 would be missing.
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let server = async {
        answer(&listener, &[HEAD, &ready(0), &block(1)].concat()).await;
        answer(&listener, &[HEAD, &ready(2), &block(3), &live(3)].concat()).await;
        hold(&listener, &[HEAD, &ready(1), &block(2)].concat()).await
    };
    let events = async {
        assert_eq!(next_event(&mut follow).await, event(1));
        assert_eq!(next_event(&mut follow).await, event(2));
    };
    let _held = tokio::join!(server, events);
}

#[tokio::test]
async fn cursors_never_go_back() {
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let body = [HEAD, &ready(0), &block(2), &block(1), &live(1), &block(2), &block(3)].concat();
    let server = hold(&listener, &body);
    let frames = async {
        assert_eq!(next_event(&mut follow).await, event(2));
        let live = next(&mut follow).await.unwrap().unwrap();
        assert_eq!(live.cursor(), Some(cursor(2)), "a caller that stores it would go back");
        assert_eq!(next_event(&mut follow).await, event(3));
    };
    let _held = tokio::join!(server, frames);
}

#[tokio::test]
async fn an_event_above_the_limit_ends_following() {
    let (listener, address) = listener().await;
    let mut follow = client(address).with_event_limit(100).follow(Subscribe::new()).unwrap();
    let body = [HEAD, &ready(0), &block(1)].concat();
    let (got, _) = tokio::join!(error(&mut follow), answer(&listener, &body));
    assert_eq!(got, ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_silent_server_is_disconnected_after_two_heartbeats() {
    let (listener, address) = listener().await;
    let mut follow = follow(address);
    let server = async {
        let heartbeat = Duration::from_millis(100);
        let first = hold(&listener, &[HEAD, &ready_with(0, heartbeat)].concat()).await;
        let second = hold(&listener, &[HEAD, &ready(0), &block(1)].concat()).await;
        (first, second)
    };
    let (_held, next) = tokio::join!(server, next_event(&mut follow));
    assert_eq!(next, event(1));
}

#[tokio::test]
async fn no_answer_puts_it_into_a_busy_loop() {
    let now = "retry: 0\nevent: feed.bye\ndata: {\"frame\":\"bye\",\"reason\":\"x\",\"reconnect_after_ms\":0}\n\n";
    let at_once = "HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    for body in ["", HEAD, &[HEAD, now].concat(), &[HEAD, "retry: 0\n\n"].concat(), at_once] {
        let (listener, address) = listener().await;
        let mut follow = follow(address);
        let connections = async {
            answer(&listener, body).await;
            let began = Instant::now();
            for _ in 0..5 {
                answer(&listener, body).await;
            }
            began.elapsed()
        };
        let elapsed = tokio::select! {
            elapsed = connections => elapsed,
            frame = follow.next() => panic!("{frame:?}"),
        };
        // Five delays; a timer may fire a little early.
        assert!(elapsed >= PAUSE * 4, "5 reconnects in {elapsed:?} to {body:?}");
    }
}

#[tokio::test]
async fn the_answer_has_a_deadline() {
    let (listener, address) = listener().await;
    let client = client(address).with_answer_deadline(PAUSE);
    let (failed, _held) =
        tokio::join!(client.connect(Subscribe::new()), hold(&listener, "HTTP/1.1"));
    assert_eq!(failed.map(drop).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn unsupported_urls_and_filters_are_refused_before_connecting() {
    let https = Client::new(Endpoint::new("https://feed.example"));
    assert_eq!(https.follow(Subscribe::new()).unwrap_err().kind(), ErrorKind::Invalid);
    let items =
        [FilterItem::new().with_type("A").unwrap(), FilterItem::new().with_tag("b").unwrap()];
    let alternatives = Subscribe::new().with_filter(downlink::Filter::any_of(items).unwrap());
    let sse = Client::new(Endpoint::new("http://127.0.0.1:1"));
    assert_eq!(sse.follow(alternatives).unwrap_err().kind(), ErrorKind::Invalid);
}
