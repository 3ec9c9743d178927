//! Checks of the WebSocket protocol.

use super::ensure::ensure;
use super::http::Request;
use super::limits::is_problem;
use super::socket::Socket;
use super::streaming::same;
use super::target::{Target, envelopes, join, member};
use super::{Failure, Outcome};

/// The example of RFC 6455: a key, and its `Sec-WebSocket-Accept`.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

async fn open(target: &Target, parameters: &[&str]) -> Result<Socket, Failure> {
    let path = target.path("/feed/ws", parameters);
    let upgrade = Request::new("GET", &path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .header("sec-websocket-protocol", "other, feed.v1.json");
    let answer = target.open(&upgrade).await?;
    if answer.status == 404 {
        return Err(Failure::Skipped("the server has no WebSocket".to_owned()));
    }
    ensure!(answer.status == 101, "GET {path} was answered with {} instead of 101", answer.status);
    let accept = answer.header("sec-websocket-accept");
    ensure!(accept == ACCEPT, "Sec-WebSocket-Accept is '{accept}', which does not match the key");
    let protocol = answer.header("sec-websocket-protocol");
    ensure!(protocol == "feed.v1.json", "the subprotocol is '{protocol}' instead of feed.v1.json");
    let (socket, bytes) = answer.upgraded();
    Ok(Socket::new(socket, bytes))
}

pub(super) async fn a_socket_opens_with_its_subprotocol(target: &Target) -> Outcome {
    let mut socket = open(target, &[]).await?;
    socket.send(r#"{"frame":"ping","req":"p1"}"#).await?;
    let pong = socket.next().await?;
    ensure!(
        member(&pong, "frame") == "pong" && member(&pong, "req") == "p1",
        "a ping was answered with {pong:.200}"
    );
    socket.send("no").await?;
    let problem = socket.next().await?;
    ensure!(
        member(&problem, "frame") == "problem",
        "a malformed command was answered with {problem:.200}"
    );
    Ok(())
}

pub(super) async fn sockets_and_pages_have_the_same_bytes(target: &Target) -> Outcome {
    let filter = target.filter();
    let first = target.page(&join(&[&filter, "after=last:100&limit=1"])).await?;
    let Some(first) = first.events.first() else {
        return Err(Failure::Skipped("the log is empty".to_owned()));
    };
    let cursor = member(first, "cursor");
    let mut socket = open(target, &[]).await?;
    let json = filter
        .split_once('=')
        .map_or("{}".to_owned(), |(name, value)| format!(r#"{{"{name}":["{value}"]}}"#));
    let subscribe =
        format!(r#"{{"frame":"subscribe","sub":"s1","after":"{cursor}","filter":{json}}}"#);
    socket.send(&subscribe).await?;
    let mut events = Vec::new();
    for number in 0.. {
        let message = socket.next().await?;
        let frame = member(&message, "frame");
        ensure!(
            number > 0 || frame == "ready",
            "the first frame is {message:.200} instead of `ready`"
        );
        ensure!(
            frame == "heartbeat" || member(&message, "sub") == "s1",
            "a frame does not name its subscription: {message:.200}"
        );
        match &*frame {
            "events" => {
                let run = envelopes(&message);
                events.extend(run.ok_or_else(|| format!("this has no events: {message:.200}"))?);
            }
            "live" => break,
            "ready" | "checkpoint" | "heartbeat" | "behind" => {}
            _ => return Err(format!("an unexpected frame: {message:.300}").into()),
        }
    }
    same(&events, &target.all(&filter, &cursor, 1_000).await?, "a socket", "pages")
}

pub(super) async fn requests_without_an_upgrade_get_426(target: &Target) -> Outcome {
    let answer = target.get("/feed/ws", &[]).await?;
    if answer.status == 404 {
        return Err(Failure::Skipped("the server has no WebSocket".to_owned()));
    }
    let code = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
    is_problem("GET /feed/ws without an upgrade", &answer, 426, &code)?;
    ensure!(
        answer.header("upgrade").eq_ignore_ascii_case("websocket"),
        "a 426 lacks 'Upgrade: websocket'"
    );
    Ok(())
}
