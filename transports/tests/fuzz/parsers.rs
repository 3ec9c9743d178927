//! The invariants of each parser for arbitrary bytes.
#![allow(unreachable_pub, reason = "the library of `fuzz/`, too")]

#[path = "append_reference.rs"]
mod append_reference;

use std::borrow::Cow;

use downlink::transport::Frame;
use downlink::{Cursor, NewEvent, Tag};
use downlink_transports::client::EventStream;
use downlink_transports::wire::{self, AppendBody, Query};
use http::StatusCode;

const PARAMETERS: [&str; 9] =
    ["after", "stream", "stream_prefix", "type", "type_prefix", "not_type", "tag", "wait", "limit"];

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

pub fn append(bytes: &[u8]) {
    for event in wire::parse_events(bytes).into_iter().flatten() {
        assert!(!event.event_type().as_str().is_empty());
    }
    let _ = wire::parse_expected(&text(bytes));
}

/// A body that arrives in pieces: the first byte is the number of cuts, the next ones
/// say where they are, and the rest is the body.
pub fn body(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let (cuts, body) = rest.split_at(rest.len().min(usize::from(count % 8)));
    let mut cuts: Vec<_> = cuts.iter().map(|cut| usize::from(*cut) * body.len() / 256).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let expected = append_reference::parse(body);
    let pieces: Vec<_> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
    for pieces in [pieces, vec![body], body.chunks(1).collect()] {
        let events = in_pieces(&pieces);
        match (&events, &expected) {
            (Some(events), Some(expected)) => assert_eq!(contents(events), contents(expected)),
            (events, expected) => assert_eq!(events.is_some(), expected.is_some()),
        }
    }
}

fn in_pieces(pieces: &[&[u8]]) -> Option<Vec<NewEvent>> {
    let mut body = AppendBody::new();
    for piece in pieces {
        if !body.push(piece).ok()? {
            break;
        }
    }
    let events = body.parse().ok()?;
    assert!(events.iter().map(NewEvent::size).sum::<usize>() <= body.parsed_size());
    Some(events)
}

/// What of events is not made by the parser: all but the ids.
fn contents(events: &[NewEvent]) -> Vec<[String; 5]> {
    let content = |event: &NewEvent| {
        let tags: Vec<_> = event.tags().iter().map(Tag::as_str).collect();
        [
            event.event_type().to_string(),
            event.content_type().to_string(),
            text(event.payload()).into_owned(),
            text(event.metadata()).into_owned(),
            tags.join("\n"),
        ]
    };
    events.iter().map(content).collect()
}

pub fn cursor(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(after) = wire::parse_after(&text) {
        assert_eq!(wire::parse_after(&wire::after_text(after)).unwrap(), after);
    }
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
    }
}

pub fn envelope(bytes: &[u8]) {
    let Ok(Frame::Event { event, envelope }) = wire::parse_envelope(bytes.to_vec().into()) else {
        return;
    };
    assert_eq!(envelope, bytes);
    let again = wire::parse_envelope(wire::envelope(&event)).unwrap();
    let Frame::Event { event: again, .. } = again else { panic!("{again:?}") };
    assert_eq!((again.cursor(), again.id()), (event.cursor(), event.id()));
    assert_eq!((again.stream(), again.tags()), (event.stream(), event.tags()));
}

pub fn filter(bytes: &[u8]) {
    if let Ok(filter) = wire::filter_of_json(&text(bytes)) {
        let json = wire::filter_to_json(&filter).unwrap();
        assert_eq!(wire::filter_of_json(&json).unwrap(), filter);
    }
}

pub fn frame(bytes: &[u8]) {
    if let Ok(Some(Frame::Event { .. })) = wire::parse_frame(bytes) {
        panic!("an event is not a control frame");
    }
}

pub fn problem(bytes: &[u8]) {
    for status in [StatusCode::BAD_REQUEST, StatusCode::GONE, StatusCode::BAD_GATEWAY] {
        assert!(!wire::parse_refusal(status, bytes).to_string().is_empty());
    }
    let _ = wire::parse_problem_code(bytes);
}

pub fn query(bytes: &[u8]) {
    let Ok(query) = Query::parse(Some(&text(bytes)), &PARAMETERS, &[]) else { return };
    let _ = (query.limit(), query.wait(), wire::resume(&http::HeaderMap::new(), &query));
    if let Ok(filter) = wire::filter_of_query(&query) {
        let text = wire::filter_to_query(&filter).unwrap();
        let query = Query::parse(Some(&text), &PARAMETERS, &[]).unwrap();
        assert_eq!(wire::filter_of_query(&query).unwrap(), filter);
    }
}

pub fn stream(bytes: &[u8]) {
    let read = |pieces: &[&[u8]]| {
        let (mut stream, mut events) = (EventStream::with_limit(1 << 16), Vec::new());
        for piece in pieces {
            let mut piece = *piece;
            while let Ok(Some(event)) = stream.next(&mut piece) {
                events.push(event);
            }
        }
        events
    };
    let whole = read(&[bytes]);
    assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    for event in whole {
        frame(&event.data);
        envelope(&event.data);
    }
}

#[cfg(feature = "websocket")]
pub fn command(bytes: &[u8]) {
    let Ok(command) = wire::Command::parse(&text(bytes)) else { return };
    if let Some(json) = command.json() {
        let again = wire::Command::parse(&json).expect("a rendered command can be parsed");
        assert_eq!(again.json(), Some(json));
    }
}

#[cfg(feature = "websocket")]
pub fn message(bytes: &[u8]) {
    let _ = wire::Message::parse(&text(bytes));
}
