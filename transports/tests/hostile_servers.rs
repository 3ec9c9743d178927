//! Servers that answer anything but what a feed answers, for ever: the client
//! neither hangs, nor hammers them, nor keeps what they send.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

#[path = "support/scripted.rs"]
mod scripted;

use std::sync::atomic::Ordering;
use std::time::Duration;

use downlink::transport::Frame;
use downlink::{Cursor, Subscribe};
use downlink_transports::client::{Fallback, TransportKind};
use downlink_transports::wire::frame_block;
use futures::StreamExt;
use scripted::{Scripted, client, json, page, ready, script, status, stream, ten_minutes};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// The requests in ten minutes at the default delay of 1 to 10 seconds, generously.
const PATIENT: std::ops::RangeInclusive<usize> = 30..=610;

/// Answers of intermediaries, which come at once and for ever.
fn intermediaries() -> Vec<String> {
    let html = "Content-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    vec![
        format!("HTTP/1.1 200 OK\r\n{html}"),
        format!("HTTP/1.1 403 Forbidden\r\nRetry-After: 0\r\n{html}"),
        format!("HTTP/1.1 302 Found\r\nLocation: /login\r\n{html}"),
        status("404 Not Found"),
        status("401 Unauthorized"),
        json("200 OK", "{}"),
        stream("retry: 0\ndata: hello\n\n"),
        stream("retry: 0\n\nevent: greeting\ndata: hello\n\n"),
    ]
}

/// The first answer, with which a feed was ready on this transport.
fn first(transport: TransportKind) -> String {
    if transport == TransportKind::Sse {
        return stream(&ready());
    }
    page("", false).replace("Content-Length", "Connection: close\r\nContent-Length")
}

#[tokio::test(start_paused = true)]
async fn intermediaries_are_asked_with_the_usual_delay() {
    for transport in [TransportKind::Sse, TransportKind::LongPoll] {
        for fallback in [transport.into(), Fallback::from(transport).or(TransportKind::LongPoll)] {
            for answer in intermediaries() {
                let what = format!("{fallback:?}: {answer}");
                let script = script(answer, true).with_first(first(transport));
                let (requests, ended) = ten_minutes(script, fallback.clone()).await;
                assert_eq!(ended, None, "{what}");
                assert!(PATIENT.contains(&requests), "{requests} requests: {what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_becomes_ready_is_left() {
    for endless in [":\n\n", "event: greeting\ndata: hello\n\n", "retry: 0\n\n", "id: 1\n\n"] {
        let script = script(stream(""), false).with_endless(endless, 5 * SECOND);
        let (requests, ended) = ten_minutes(script, TransportKind::Sse).await;
        assert_eq!(ended, None, "{endless}");
        assert!((5..=20).contains(&requests), "{requests} requests: {endless}");
    }
    // Once it is ready, comments are signs of life.
    let script = script(stream(&ready()), false).with_endless(":\n\n", 5 * SECOND);
    assert_eq!(ten_minutes(script, TransportKind::Sse).await, (1, None));
}

#[tokio::test(start_paused = true)]
async fn endless_heads_are_cut_off() {
    let header = format!("X-Filler: {}\r\n", "x".repeat(10_000));
    let informational = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
    for endless in [header, "X".repeat(10_000), informational] {
        for transport in [TransportKind::Sse, TransportKind::LongPoll] {
            let start = if endless.starts_with('H') { "" } else { "HTTP/1.1 200 OK\r\n" };
            let script = script(start, false).with_endless(&*endless, SECOND / 2);
            let (requests, ended) = ten_minutes(script, transport).await;
            assert_eq!(ended, None, "{transport}: {endless:.40}");
            assert!(PATIENT.contains(&requests), "{requests} requests: {transport} {endless:.40}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_times_that_a_server_announces_are_bounded() {
    let (start, heartbeat) = (Cursor::START, Some(Duration::ZERO));
    let ready_with = |heartbeat| {
        let ready = Frame::Ready { cursor: start, head: start, heartbeat };
        String::from_utf8(frame_block(&ready, None).to_vec()).unwrap()
    };
    // Heartbeats without a distance: the client leaves at once, but does not hammer.
    let hasty = script(stream(&ready_with(heartbeat)), false);
    let (requests, ended) = ten_minutes(hasty, TransportKind::Sse).await;
    assert_eq!(ended, None);
    assert!(PATIENT.contains(&requests), "{requests} requests");
    // The longest ones can be added to an instant.
    let longest = Some(Duration::from_millis(u64::MAX));
    let patient = script(stream(&ready_with(longest)), false);
    assert_eq!(ten_minutes(patient, TransportKind::Sse).await, (1, None));

    // Delays of centuries: the client comes back after a minute.
    let most = u64::MAX;
    let bye = format!(
        "event: feed.bye\ndata: {{\"frame\":\"bye\",\"reason\":\"x\",\"reconnect_after_ms\":{most}}}\n\n"
    );
    let retry = format!("retry: {most}\n\n");
    let no = format!("HTTP/1.1 503 No\r\nRetry-After: {most}\r\nContent-Length: 0\r\n\r\n");
    for answer in [stream(&(ready() + &bye)), stream(&(ready() + &retry)), no] {
        let (requests, ended) = ten_minutes(script(&*answer, true), TransportKind::Sse).await;
        assert_eq!(ended, None);
        assert!((9..=12).contains(&requests), "{requests} requests: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_event_limit_does_not_overflow() {
    for (transport, answer) in
        [(TransportKind::LongPoll, page("", false)), (TransportKind::Sse, stream(&ready()))]
    {
        let script: Scripted = script(answer, false);
        let client = client(script.clone()).with_transport(transport).with_event_limit(usize::MAX);
        let mut follow = client.follow(Subscribe::new()).unwrap();
        let next = timeout(SECOND, follow.next()).await;
        assert!(!matches!(next, Ok(Some(Err(_)) | None)), "{next:?}");
        assert_eq!(script.requests.load(Ordering::SeqCst), 1, "{transport}");
    }
}
