use bytes::Bytes;
use downlink::event::ContentType;
use downlink::store::Appended;
use downlink::{Append, Event, EventStore, Expected, NewEvent};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::StoreFixture;
use crate::run::LawRun;
use crate::sample::{log, of_an_older_release, stream, stream_of};

/// JSON that changes if it is parsed and serialized again.
const JSON: [&str; 13] = [
    "{}",
    " {\n  \"gate\": \"C71\",\r\n  \"pier\": \"C\"\n}\n",
    "{\"z\":1,\"a\":2}",
    "{\"a\":1,\"a\":2}",
    "9007199254740993",
    "123456789012345678901234567890.10",
    "-0.0",
    "\"\u{2028}\u{2029}\"",
    "\"\\u2028\\/\\u00e9\"",
    "\"\u{1f6eb} \u{10ffff} \u{0301}e\"",
    "[\r1\r,\n2]",
    "null",
    "\"data: x\\nid: 7\"",
];

/// Names that differ, although a collation, a normalisation or a pattern may
/// treat them as equal.
const LOOKALIKES: [&str; 12] = [
    "flight",
    "Flight",
    "FLIGHT",
    "flight ",
    "fl_ght",
    "fl%",
    "'; drop table events; --",
    "été",
    "e\u{301}te\u{301}",
    "ﬂight",
    "flight\u{2028}",
    "…",
];

/// **Law.** Payload, metadata, names, tags, ids and content types are returned
/// byte for byte: nothing is parsed, trimmed, case-folded or normalized on the
/// way. An event that was read can be stored in another log, and is a repeat in
/// its own, also if new events may no longer have such content.
pub fn stored_bytes_are_exact(run: &LawRun, fixture: &dyn StoreFixture) {
    run.cases(12, vec(any_content(), 1..8), async |offered| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        round_trip(&*store, offered).await;
    });
    run.cases(1, Just(()), async |()| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        round_trip(&*store, known_troubles()).await;
        let (other, _guard) = fixture.open().await.expect("another fresh store");
        copies(&*store, &*other).await;
        names_stay_apart(&*store).await;
    });
}

async fn round_trip(store: &dyn EventStore, offered: Vec<NewEvent>) {
    for event in &offered {
        put(store, "flight-UA1545", event).await;
    }
    let found = log(store).await;
    assert_eq!(found.len(), offered.len(), "every event has to come back");
    for (found, offered) in found.iter().zip(&offered) {
        compare(found, offered);
    }
}

async fn copies(from: &dyn EventStore, to: &dyn EventStore) {
    let all = log(from).await;
    for (store, is_there) in [(to, false), (from, true)] {
        for event in &all {
            let stored = put(store, event.stream().as_str(), event.content()).await;
            assert_eq!(
                stored.duplicate, is_there,
                "an event that was read has to be a repeat in its own log and new in another: \
                 {event:?}"
            );
        }
    }
    for (moved, event) in log(to).await.iter().zip(&all) {
        compare(moved, event.content());
    }
}

async fn put(store: &dyn EventStore, stream: &str, event: &NewEvent) -> Appended {
    let append = Append::to(stream, Expected::Any, [event.clone()]).expect("a valid name");
    store.append(append).await.unwrap_or_else(|error| {
        panic!(
            "an event was refused for its content ({error}): content is validated when an event is \
             created, and never again"
        )
    })
}

fn compare(found: &Event, offered: &NewEvent) {
    assert!(
        found.payload() == offered.payload(),
        "a payload came back with other bytes: {:?} was stored and {:?} read; store JSON as bytes, \
         not as a value",
        shown(offered.payload()),
        shown(found.payload())
    );
    assert!(
        found.metadata() == offered.metadata(),
        "metadata came back with other bytes: {:?} was stored and {:?} read; store JSON as bytes",
        shown(offered.metadata()),
        shown(found.metadata())
    );
    assert_eq!(
        found.content(),
        offered,
        "id, type, content type and tags have to come back unchanged"
    );
}

fn shown(bytes: &Bytes) -> String {
    bytes
        .iter()
        .take(80)
        .flat_map(|byte| std::ascii::escape_default(*byte))
        .map(char::from)
        .collect()
}

async fn names_stay_apart(store: &dyn EventStore) {
    for name in LOOKALIKES {
        let event = NewEvent::json(name, "{}").and_then(|event| event.with_tag(name));
        let append = Append::to(name, Expected::NoStream, [event.expect("a valid name")]);
        let stored = store.append(append.expect("a valid name")).await;
        stored.unwrap_or_else(|error| {
            panic!(
                "stream {name:?} was mistaken for another one ({error}): compare names byte by byte"
            )
        });
    }
    for name in LOOKALIKES {
        let found = stream_of(store, &stream(name)).await;
        let [event] = &found[..] else {
            panic!(
                "stream {name:?} has {} events instead of 1: compare names byte by byte",
                found.len()
            )
        };
        let exact =
            [event.stream().as_str(), event.event_type().as_str(), event.tags()[0].as_str()]
                .iter()
                .all(|found| *found == name);
        assert!(
            exact,
            "the name {name:?} came back as another one ({event:?}): store names as bytes"
        );
    }
}

fn known_troubles() -> Vec<NewEvent> {
    let json = JSON.iter().map(|json| NewEvent::json("Json", *json).expect("valid JSON"));
    let binary = |bytes: Vec<u8>| {
        let kind = ContentType::new("application/octet-stream").expect("a content type");
        NewEvent::bytes("Binary", kind, bytes).expect("a payload within the limit")
    };
    let text = |text: &str| {
        let kind = ContentType::new("text/plain").expect("a content type");
        NewEvent::bytes("Text", kind, text.to_owned()).expect("a payload within the limit")
    };
    let binaries = [vec![], vec![0], (0..=255).collect(), vec![0xff; 1 << 20]].map(binary);
    let texts = ["", "\0", "a\0b", "\r", "\n", "\r\n", "\u{feff}x", "1", "1.0"].map(text);
    // A number beyond the range of a double, and one too long for some parsers.
    let older = ["1e400".to_owned(), format!("[{}]", "7".repeat(5_000))]
        .map(|json| of_an_older_release("Older", json));
    let metadata = JSON
        .iter()
        .filter(|json| json.trim_start().starts_with('{'))
        .map(|json| crate::sample::event("Meta").with_metadata_json(*json).expect("an object"));
    let longest = "x".repeat(255);
    let named = crate::sample::event(&longest).with_tag(&*longest).expect("a valid tag");
    json.chain(binaries).chain(texts).chain(older).chain(metadata).chain([named]).collect()
}

fn any_content() -> impl Strategy<Value = NewEvent> {
    let content = prop_oneof![
        vec(any::<u8>(), 0..64).prop_map(|bytes| ("application/cbor", bytes)),
        ".{0,24}".prop_map(|text: String| ("text/plain", text.into_bytes())),
        r#"[ \t\r\n]{0,2}"[a-zé😀\u{2028}]{0,12}"[ \r\n]{0,2}"#
            .prop_map(|text: String| ("application/json", text.into_bytes())),
    ];
    let tags = vec("[a-zA-Z%_ '\u{e9}]{1,5}", 0..4);
    ("[a-zA-Z%_ '\u{e9}]{1,9}", content, tags).prop_map(|(name, (kind, bytes), tags)| {
        let kind = ContentType::new(kind).expect("a content type");
        let event = NewEvent::bytes(&name, kind, bytes).expect("a valid payload");
        tags.iter().fold(event, |event, tag| event.with_tag(tag).expect("a valid tag"))
    })
}
