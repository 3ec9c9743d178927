use std::collections::HashMap;

use downlink::event::ContentType;
use downlink::transport::Frame;
use downlink::{Append, Cursor, Expected, Filter, NewEvent};

use super::TransportSetup;
use super::setup::{expect_same, one_line};
use crate::sample::{append, event, of_an_older_release};

/// **Law.** A client gets every event of the log, in order, with the cursors
/// and the content of the store, and another client gets the same bytes.
pub async fn delivers_the_log_in_order(setup: &TransportSetup) {
    let history: Vec<_> =
        (0..12).map(|n| append(&format!("flight-{}", n % 3), Expected::Any, 1 + n % 3)).collect();
    let served = setup.open(&history).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = served.follow(Cursor::START, Filter::everything()).await;
        client.until_live().await;
        clients.push(client);
    }
    for n in 0..10 {
        served.append(append(&format!("flight-{}", n % 4), Expected::Any, 1 + n % 2)).await;
    }
    let log = served.log().await;
    let mut envelopes = HashMap::new();
    for client in &mut clients {
        client.until(log.len(), "an event of the log was not delivered").await;
        let delivered: Vec<_> = client.events().collect();
        expect_same(&delivered, &log, "from the start");
        for frame in &client.seen {
            let Frame::Event { event, envelope } = frame else { continue };
            let first = envelopes.entry(event.cursor()).or_insert_with(|| envelope.clone());
            assert!(first == envelope, "two clients got different bytes for the same event");
        }
    }
}

/// **Law.** Framing is injective: whatever a payload, a name or metadata
/// contains, it arrives as it was stored, and nothing else arrives.
pub async fn no_payload_forges_a_frame(setup: &TransportSetup) {
    let served = setup.open(&forgeries()).await;
    let mut client = served.follow(Cursor::START, Filter::everything()).await;
    client.until_live().await;
    for append in forgeries() {
        served.append(append).await;
    }
    let log = served.log().await;
    client.until(log.len(), "an event whose content looks like a frame was not delivered").await;
    let delivered: Vec<_> = client.events().collect();
    expect_same(&delivered, &log, "content that looks like a frame");
    for frame in &client.seen {
        if let Frame::Event { event, envelope } = frame {
            let payload = one_line(event.payload());
            let embedded = envelope.windows(payload.len().max(1)).any(|part| part == payload);
            assert!(
                embedded || !event.content_type().is_json(),
                "a JSON payload has other bytes in its envelope than in the store"
            );
        }
        assert!(
            matches!(
                frame,
                Frame::Ready { .. }
                    | Frame::Event { .. }
                    | Frame::Live { .. }
                    | Frame::Heartbeat { .. }
            ),
            "the content of an event was parsed as a frame: {frame:?}"
        );
    }
}

pub(super) fn forgeries() -> Vec<Append> {
    let json = [
        "{\n  \"gate\": \"C71\",\r\n\r\n  \"pier\":\r\"C\"\n}\n",
        "\"\\r\\n\\r\\nid: 7fffffffffffffff-00000000\\ndata: x\\n\\n\"",
        "\n\ndata\n\n".trim_matches(|c: char| c != '\n'),
        "{\"cursor\":\"7fffffffffffffff-00000000\",\"frame\":\"bye\",\"reason\":\"rotate\"}",
        "{\"id\":\"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11\",\"stream\":\"forged\",\"version\":9}",
        "{\"frame\":\"reset\",\"reason\":\"history-changed\"}",
        "\"},\\\"cursor\\\":\\\"0000000000000001-00000000\\\",{\"",
        "\"\u{2028}data: x\u{2029}\u{85}id: 7\"",
        "[1e300,123456789012345678901234567890]",
        "{\"a\":1,\"a\":2}",
    ];
    let json = json.iter().filter_map(|text| NewEvent::json("error", *text).ok());
    let older = [of_an_older_release("error", "[1e400]")];
    let raw: [&[u8]; 9] = [
        b"",
        b"\n\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b"data: x\n\nid: 7\n\n",
        b":\n\n",
        b"event: feed.bye\ndata: {}\n\n",
        &[0xff, 0xfe, 0x0a, 0x0d, 0x00],
    ];
    let raw = raw.iter().map(|bytes| {
        let kind = ContentType::new("application/octet-stream").expect("a content type");
        NewEvent::bytes("feed.bye", kind, bytes.to_vec()).expect("a payload")
    });
    let lookalikes = ["data: x", "id: 7", "\"}", "\\", "{\"frame\":\"bye\"}", "\u{2028}", "a\\nb"];
    let named = lookalikes.iter().map(|name| {
        let tagged = event(name).with_tag(*name).expect("a valid tag");
        tagged.with_metadata_json("{\r\n\"trace\":\n\"id: 7\\n\"}").expect("an object")
    });
    let events = json
        .chain(older)
        .chain(raw)
        .chain(named)
        .map(|event| event.with_id(downlink::EventId::now()));
    events
        .map(|event| {
            let stream = event.event_type().as_str().to_owned();
            Append::to(stream, Expected::Any, [event]).expect("a valid name")
        })
        .collect()
}

/// **Law.** Frames come in the order `ready (event | checkpoint)* live (event |
/// checkpoint | behind (event | checkpoint)* live)*`, with heartbeats anywhere.
/// No cursor goes back. `live` comes when everything was delivered up to a head
/// that was read after `ready`.
pub async fn frames_come_in_order(setup: &TransportSetup) {
    let served = setup.open_with_ring(4).await;
    for events in [0, 3, 30] {
        if events > 0 {
            served.delay(events).await;
        }
        let before = served.log().await;
        let mut client = served.follow(Cursor::START, Filter::everything()).await;
        client.until_live().await;
        let delivered = client.events().count();
        assert!(
            delivered >= before.len(),
            "`live` came after {delivered} of {} events that were stored before the connection",
            before.len()
        );
        for burst in [1, 40, 2] {
            served.delay(burst).await;
            let log = served.log().await;
            client.until(log.len(), "an event was not delivered").await;
        }
        let log = served.log().await;
        let delivered: Vec<_> = client.events().collect();
        expect_same(&delivered, &log, "with a ring of four");
        check_order(&client.seen);
    }
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ConnectionState {
    Opened,
    CatchingUp,
    Live,
    Over,
}

pub(super) fn check_order(frames: &[Frame]) {
    let (mut state, mut cursor) = (ConnectionState::Opened, Cursor::START);
    for frame in frames {
        state = match (state, frame) {
            (state, Frame::Heartbeat { .. }) if state != ConnectionState::Over => state,
            (ConnectionState::Opened, Frame::Ready { .. })
            | (ConnectionState::Live, Frame::Behind { .. }) => ConnectionState::CatchingUp,
            (ConnectionState::Opened, _) => {
                panic!("the first frame is {frame:?} instead of `ready`")
            }
            (
                state @ (ConnectionState::CatchingUp | ConnectionState::Live),
                Frame::Event { .. } | Frame::Checkpoint { .. } | Frame::Problem { .. },
            ) => state,
            (ConnectionState::CatchingUp, Frame::Live { .. }) => ConnectionState::Live,
            (
                ConnectionState::CatchingUp | ConnectionState::Live,
                Frame::Bye { .. } | Frame::Reset { .. },
            ) => ConnectionState::Over,
            _ => panic!("a frame came out of order: {frame:?} while the connection was {state:?}"),
        };
        if let Some(next) = frame.cursor() {
            assert!(
                next.position() >= cursor.position(),
                "the cursor goes back from {cursor} to {next}"
            );
            cursor = next;
        }
        if let Frame::Live { cursor, head } = frame {
            assert!(
                cursor.position() >= head.position(),
                "`live` came at {cursor}, before the head {head} that it names"
            );
        }
    }
}
