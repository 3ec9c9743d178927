use std::collections::HashMap;

use downlink::{Cursor, EventId, Position};

use super::TransportSetup;
use super::framing::forgeries;
use super::http::{self, Answer};
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
        let answer = ask(&served, "/feed?after=start", &[("Last-Event-ID", id)]).await;
        expect_code(
            &answer,
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
        let answer = ask(&served, &format!("/feed?{query}"), &[]).await;
        expect_code(&answer, 400, "bad-cursor", query);
    }
    let huge = vec![b'0'; 1 << 20];
    let answer = ask(&served, "/feed", &[("Last-Event-ID", &huge)]).await;
    assert!(answer.status != 200, "an id of 1 MiB was served and not refused");
    let head = served.log().await.last().expect("an event").position();
    let alien = |position| Cursor::of(position, EventId::from_bytes([7; 16])).to_string();
    for (id, code) in [(alien(Position::MAX), "cursor-ahead"), (alien(head), "history-changed")] {
        let answer = ask(&served, "/feed", &[("Last-Event-ID", id.as_bytes())]).await;
        expect_code(&answer, 410, code, &id);
    }
    let empty = ask(&served, "/feed?after=now", &[("Last-Event-ID", b"")]).await;
    assert_eq!(empty.status, 200, "an empty Last-Event-ID is as if it were not there");
}

async fn ask(served: &TestServer, target: &str, headers: &[(&str, &[u8])]) -> Answer {
    http::get(served.address, target, headers, LIVE).await
}

fn expect_code(answer: &Answer, status: u16, code: &str, what: &str) {
    let body = String::from_utf8_lossy(&answer.body);
    assert!(
        answer.status == status && body.contains(&format!("\"code\":\"{code}\"")),
        "{what} has to be refused with {status} `{code}`, and was answered with {}: {body}",
        answer.status
    );
}

/// **Law.** Every block of the stream is what the wire contract specifies: an
/// event is an id and one line of data; control frames have a name of their own
/// and data; an id is present only where the cursor moves; `ready` comes first,
/// with `retry`.
pub async fn blocks_are_well_formed(setup: &TransportSetup) {
    let served = setup.open(&forgeries()).await;
    let answer = ask(&served, "/feed", &[]).await;
    assert_eq!(answer.status, 200, "a feed is served");
    for header in ["content-type: text/event-stream", "no-store", "x-accel-buffering: no"] {
        assert!(
            answer.headers.contains(header),
            "the answer lacks `{header}`: some proxy or browser needs it"
        );
    }
    let body = String::from_utf8(answer.body).expect("a feed is UTF-8");
    assert!(!body.contains('\r'), "a CR is a line end to a browser, and stands in the stream");
    let whole = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let blocks: Vec<_> = whole.split("\n\n").map(Block::parse).collect();
    let mut frames = blocks.iter().filter(|block| !block.is_comment());
    let first = frames.next().expect("a first block");
    assert_eq!(first.one("event"), Some("feed.ready"), "the first block is `ready`: {first:?}");
    let retry = first.one("retry").and_then(|retry| retry.parse::<u32>().ok());
    assert!(retry.is_some_and(|retry| retry > 0), "`ready` has a `retry` above 0: {first:?}");
    for block in frames {
        block.check();
    }
    let events =
        blocks.iter().filter(|block| block.one("event").is_none() && block.one("id").is_some());
    assert_eq!(
        events.count(),
        served.log().await.len(),
        "the stream has another number of events than the log"
    );
}

/// **Law.** A stream of a server that shuts down sends `bye`, with the
/// reconnection delay that a browser obeys, and its body is terminated.
pub async fn a_drained_stream_ends_with_bye(setup: &TransportSetup) {
    let served = setup.open(&[crate::sample::append("f", downlink::Expected::Any, 5)]).await;
    let stream: [(&str, &[u8]); 1] = [("accept", b"text/event-stream")];
    let mut socket = http::ask(served.address, "/feed", &stream).await;
    let before = tasks::soon("`live` did not come", http::until(&mut socket, LIVE)).await;
    served.stop();
    let what = "a stream of a server that was told to end does not end";
    let rest = tasks::soon(what, http::rest(&mut socket)).await;
    let text = String::from_utf8_lossy(&[before, rest].concat()).into_owned();
    assert!(
        text.ends_with("\r\n0\r\n\r\n"),
        "the body of a drained stream has no end: {:?}",
        last(&text)
    );
    let bye = text.rsplit("\n\n").nth(1).unwrap_or_default();
    let pause = bye.split("retry: ").nth(1).and_then(|rest| rest.split('\n').next());
    let pause = pause.and_then(|pause| pause.parse::<u32>().ok());
    assert!(
        bye.contains("event: feed.bye\ndata: ") && pause.is_some_and(|pause| pause >= 100),
        "a drained stream ends without `bye` and its `retry`, so that a browser comes back at \
         once: {:?}",
        last(&text)
    );
}

fn last(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(300))..]
}

/// The fields between two blank lines.
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
                "a line of the stream is no field, so the content of an event broke its line: {line:?}"
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
                    "a block has the name `{name}`: an event called `error` would fire a browser's \
                     own handler"
                );
                assert!(id.is_none(), "an id stands where the cursor does not move: {self:?}");
            }
        }
        if let Some(id) = id {
            assert!(id.parse::<Cursor>().is_ok(), "an id is no cursor: {id}");
        }
    }
}
