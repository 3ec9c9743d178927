use std::collections::HashMap;

use downlink::{Cursor, EventId, Position};

use super::TransportSetup;
use super::framing::forgeries;
use super::http::{self, Response};
use super::setup::TestServer;
use crate::tasks;

const LIVE: &[u8] = b"event: feed.live";

/// **Law.** An id that is not a cursor gets a 400 `bad-cursor`, wherever it is
/// sent, and is never ignored in favour of another one. A cursor of another
/// history gets a 410 with its reason.
pub async fn malformed_ids_are_refused(setup: &TransportSetup) {
    let served = setup.open(&[crate::sample::append("f", downlink::Expected::Any, 5)]).await;
    let upper = "000000000000000A-9C41D07E";
    let long = "0".repeat(100);
    let malformed: [&[u8]; 9] = [
        b"x",
        b"-1",
        b"1",
        b"00000000000000000000",
        upper.as_bytes(),
        long.as_bytes(),
        b"8000000000000000-00000000",
        b"0000000000000000-00000001",
        b"\xff\xfe",
    ];
    for id in malformed {
        let response = ask(&served, "/feed?after=start", &[("Last-Event-ID", id)]).await;
        expect_code(
            &response,
            400,
            "bad-cursor",
            &format!("Last-Event-ID {:?}", String::from_utf8_lossy(id)),
        );
    }
    let queries = [
        "after=",
        "after=x",
        "after=-1",
        "after=start&after=start",
        "lastEventId=1",
        "after=last:x",
    ];
    for query in queries {
        let response = ask(&served, &format!("/feed?{query}"), &[]).await;
        expect_code(&response, 400, "bad-cursor", query);
    }
    let huge = vec![b'0'; 1 << 20];
    let response = ask(&served, "/feed", &[("Last-Event-ID", &huge)]).await;
    assert!(response.status != 200, "an id of 1 MiB was served instead of refused");
    let head = served.log().await.last().expect("an event").position();
    let foreign = |position| Cursor::of(position, EventId::from_bytes([7; 16])).to_string();
    for (id, code) in [(foreign(Position::MAX), "cursor-ahead"), (foreign(head), "history-changed")]
    {
        let response = ask(&served, "/feed", &[("Last-Event-ID", id.as_bytes())]).await;
        expect_code(&response, 410, code, &id);
    }
    let empty = ask(&served, "/feed?after=now", &[("Last-Event-ID", b"")]).await;
    assert_eq!(empty.status, 200, "an empty Last-Event-ID has to be ignored");
}

async fn ask(served: &TestServer, target: &str, headers: &[(&str, &[u8])]) -> Response {
    http::get(served.address, target, headers, LIVE).await
}

fn expect_code(response: &Response, status: u16, code: &str, what: &str) {
    let body = String::from_utf8_lossy(&response.body);
    assert!(
        response.status == status && body.contains(&format!("\"code\":\"{code}\"")),
        "{what} has to be refused with {status} `{code}`, and was answered with {}: {body}",
        response.status
    );
}

/// **Law.** Every block of the stream is what the wire contract specifies: an
/// event is an id and one line of data; control frames have a name of their own
/// and data; an id is present only where the cursor moves; `ready` comes first,
/// with `retry`.
pub async fn blocks_are_well_formed(setup: &TransportSetup) {
    let served = setup.open(&forgeries()).await;
    let response = ask(&served, "/feed", &[]).await;
    assert_eq!(response.status, 200, "a feed has to be served");
    for header in ["content-type: text/event-stream", "no-store", "x-accel-buffering: no"] {
        assert!(
            response.headers.contains(header),
            "the response lacks `{header}`, which some proxies or browsers need"
        );
    }
    let body = String::from_utf8(response.body).expect("a feed is UTF-8");
    assert!(!body.contains('\r'), "the stream contains a CR, which is a line end to a browser");
    let whole = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let blocks: Vec<_> = whole.split("\n\n").map(Block::parse).collect();
    let mut frames = blocks.iter().filter(|block| !block.is_comment());
    let first = frames.next().expect("a first block");
    assert_eq!(
        first.one("event"),
        Some("feed.ready"),
        "the first block has to be `ready`: {first:?}"
    );
    let retry = first.one("retry").and_then(|retry| retry.parse::<u32>().ok());
    assert!(
        retry.is_some_and(|retry| retry > 0),
        "`ready` has to have a `retry` above 0: {first:?}"
    );
    for block in frames {
        block.check();
    }
    let events =
        blocks.iter().filter(|block| block.one("event").is_none() && block.one("id").is_some());
    assert_eq!(
        events.count(),
        served.log().await.len(),
        "the stream does not have as many events as the log"
    );
}

/// **Law.** A stream of a server that shuts down sends `bye`, with the
/// reconnection delay that a browser obeys, and its body is terminated.
pub async fn a_drained_stream_ends_with_bye(setup: &TransportSetup) {
    let served = setup.open(&[crate::sample::append("f", downlink::Expected::Any, 5)]).await;
    let stream: [(&str, &[u8]); 1] = [("accept", b"text/event-stream")];
    let mut socket = http::request(served.address, "/feed", &stream).await;
    let before = tasks::soon("`live` did not come", http::until(&mut socket, LIVE)).await;
    served.stop();
    let what = "a stream of a server that was told to shut down does not end";
    let rest = tasks::soon(what, http::rest(&mut socket)).await;
    let text = String::from_utf8_lossy(&[before, rest].concat()).into_owned();
    let is_chunked = text.contains("transfer-encoding: chunked");
    assert!(
        text.ends_with(if is_chunked { "\r\n0\r\n\r\n" } else { "\n\n" }),
        "the body of a drained stream is not terminated: {:?}",
        last(&text)
    );
    let bye = text.rsplit("\n\n").nth(1).unwrap_or_default();
    let delay = bye.split("retry: ").nth(1).and_then(|rest| rest.split('\n').next());
    let delay = delay.and_then(|delay| delay.parse::<u32>().ok());
    assert!(
        bye.contains("event: feed.bye\ndata: ") && delay.is_some_and(|delay| delay >= 100),
        "a drained stream ends without `bye` and its `retry`, so a browser reconnects at once: \
         {:?}",
        last(&text)
    );
}

fn last(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(300))..]
}

/// The fields of a block, which ends at a blank line.
#[derive(Debug)]
struct Block<'a>(HashMap<&'a str, Vec<&'a str>>);

impl<'a> Block<'a> {
    fn parse(text: &'a str) -> Self {
        let mut fields: HashMap<_, Vec<_>> = HashMap::new();
        for line in text.split('\n') {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            assert!(
                ["", "id", "event", "data", "retry"].contains(&name),
                "a line of the stream is not a field: the content of an event broke its line: \
                 {line:?}"
            );
            fields.entry(name).or_default().push(value);
        }
        Self(fields)
    }

    fn is_comment(&self) -> bool {
        self.0.keys().all(|name| name.is_empty())
    }

    fn one(&self, name: &str) -> Option<&'a str> {
        match self.0.get(name)?.as_slice() {
            [one] => Some(one),
            many => panic!("a block has {} lines of `{name}`: {self:?}", many.len()),
        }
    }

    fn check(&self) {
        let data = self.one("data").unwrap_or_else(|| panic!("a block has no data: {self:?}"));
        let id = self.one("id");
        match self.one("event") {
            None => {
                let id = id.unwrap_or_else(|| panic!("an event has no id: {self:?}"));
                let named = data.contains(&format!("\"cursor\":\"{id}\""));
                assert!(named, "the id of an event is not its cursor: {self:?}");
            }
            Some("feed.ready" | "feed.checkpoint" | "feed.live" | "feed.behind") => {
                assert!(id.is_some(), "a frame that moves the cursor has no id: {self:?}");
            }
            Some(name) => {
                assert!(
                    name.starts_with("feed."),
                    "a block has the name `{name}`: an event named `error` would fire a browser's \
                     own handler"
                );
                assert!(id.is_none(), "an id is present where the cursor does not move: {self:?}");
            }
        }
        if let Some(id) = id {
            assert!(id.parse::<Cursor>().is_ok(), "an id is not a cursor: {id}");
        }
    }
}
