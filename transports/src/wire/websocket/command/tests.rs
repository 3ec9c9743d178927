use downlink::{FilterItem, Version};
use proptest::prelude::*;

use super::*;

fn code(text: &str) -> Code {
    Command::parse(text).unwrap_err().problem.code()
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

#[test]
fn commands_are_read_as_in_the_wire_contract() {
    let filter = FilterItem::new().with_stream_prefix("flight-").unwrap();
    let filter = filter.with_type("FlightDeparted").unwrap().into();
    let text = r#"{"frame":"subscribe","sub":"s1","after":"now","filter":{"stream_prefix":["flight-"],"type":["FlightDeparted"]}}"#;
    let expected = Command::Subscribe { sub: label("s1"), after: After::Now, filter };
    assert_eq!(Command::parse(text), Ok(expected));

    let text = r#"{"frame":"watch","sub":"s1","query":"board","params":{"airport":"EWR"},"after":"000000000001a2f0-9c41d07e~4f53cda18c2baa0c"}"#;
    let params = Params::new().with("airport", "EWR");
    let after = "000000000001a2f0-9c41d07e~4f53cda18c2baa0c".parse().ok();
    let watch = Command::Watch { sub: label("s1"), query: "board".into(), params, after };
    assert_eq!(watch.json().as_deref(), Some(text));
    assert_eq!(Command::parse(text), Ok(watch));
    for bad in [r#","params":[]"#, r#","params":{"a":1}"#, r#","more":1"#] {
        let text = format!(r#"{{"frame":"watch","sub":"s1","query":"board"{bad}}}"#);
        assert_eq!(code(&text), Code::Invalid, "{bad}");
    }
    let text = r#"{"frame":"watch","sub":"s1","query":"board","after":"start"}"#;
    assert_eq!(code(text), Code::BadCursor);

    let text = r#" {"sub" : "s1" , "frame" : "unsubscribe"} "#;
    assert_eq!(Command::parse(text), Ok(Command::Unsubscribe { sub: label("s1") }));

    let text = r#"{"frame":"append","req":"a1","stream":"flight-UA1545","expected":7,"events":[{"id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","type":"FlightDelayed","data":{"minutes":20},"metadata":{},"tags":[]}]}"#;
    let Ok(Command::Append { req, stream, expected, events }) = Command::parse(text) else {
        panic!("no append")
    };
    assert_eq!((req, stream.as_str()), (label("a1"), "flight-UA1545"));
    assert_eq!(expected, Expected::Exact(Version::new(7).unwrap()));
    assert_eq!(&events[0].payload()[..], br#"{"minutes":20}"#);

    let text = r#"{"frame":"ping","req":"p1"}"#;
    assert_eq!(Command::parse(text), Ok(Command::Ping { req: label("p1") }));
}

#[test]
fn members_have_defaults() {
    let text = r#"{"frame":"subscribe","sub":"s1"}"#;
    let everything = Filter::everything();
    let subscribe =
        Command::Subscribe { sub: label("s1"), after: After::Start, filter: everything };
    assert_eq!(Command::parse(text), Ok(subscribe));
    for (written, expected) in [
        ("", Ok(Expected::Any)),
        (r#""expected":"any","#, Ok(Expected::Any)),
        (r#""expected":"none","#, Ok(Expected::NoStream)),
        (r#""expected":"exists","#, Ok(Expected::Exists)),
        (r#""expected":0,"#, Ok(Expected::NoStream)),
        (r#""expected":1,"#, Ok(Expected::Exact(Version::FIRST))),
        (r#""expected":"1","#, Err(Code::BadParameter)),
        (r#""expected":"","#, Err(Code::BadParameter)),
        (r#""expected":-1,"#, Err(Code::BadParameter)),
        (r#""expected":1.0,"#, Err(Code::BadParameter)),
        (r#""expected":null,"#, Err(Code::BadParameter)),
        (r#""expected":[1],"#, Err(Code::BadParameter)),
    ] {
        let text = format!(
            r#"{{"frame":"append","req":"a","stream":"s",{written}"events":[{{"type":"T","data":1}}]}}"#
        );
        let got = match Command::parse(&text) {
            Ok(Command::Append { expected, .. }) => Ok(expected),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.problem.code()),
        };
        assert_eq!(got, expected, "{written}");
    }
}

#[test]
fn invalid_commands_are_refused() {
    for bad in [
        "",
        "7",
        "null",
        "[]",
        r#"["ping","p1"]"#,
        "{}",
        r#"{"frame":"ping","req":"p1"}{}"#,
        r#"{"frame":"ping","req":"p1","req":"p2"}"#,
        r#"{"frame":"ping"}"#,
        r#"{"frame":"ping","req":"p1","more":1}"#,
        r#"{"frame":"Ping","req":"p1"}"#,
        r#"{"frame":7,"req":"p1"}"#,
        r#"{"frame":"fireworks"}"#,
        r#"{"frame":"subscribe","after":"now"}"#,
        r#"{"frame":"subscribe","sub":"s1","after":7}"#,
        r#"{"frame":"subscribe","sub":"s1","after":null}"#,
        r#"{"frame":"subscribe","sub":"s1","lastEventId":"x"}"#,
        r#"{"frame":"unsubscribe","sub":"s1","filter":{}}"#,
        r#"{"frame":"append","req":"a","stream":"s"}"#,
        r#"{"frame":"append","req":"a","stream":"s","sub":"s1","events":[{"type":"T","data":1}]}"#,
    ] {
        assert_eq!(code(bad), Code::Invalid, "{bad}");
    }
    for (bad, expected) in [
        (r#"{"frame":"ping","req":""}"#, Code::BadParameter),
        (r#"{"frame":"ping","req":7}"#, Code::BadParameter),
        (r#"{"frame":"subscribe","sub":"a b"}"#, Code::BadParameter),
        (r#"{"frame":"subscribe","sub":"s1","after":""}"#, Code::BadCursor),
        (r#"{"frame":"subscribe","sub":"s1","filter":{"strem":["a"]}}"#, Code::BadFilter),
        (r#"{"frame":"subscribe","sub":"s1","filter":null}"#, Code::BadFilter),
        (r#"{"frame":"append","req":"a","stream":"","events":[]}"#, Code::BadStream),
        (r#"{"frame":"append","req":"a","stream":"s","events":[]}"#, Code::BadEvent),
        (r#"{"frame":"append","req":"a","stream":"s","events":null}"#, Code::BadEvent),
    ] {
        assert_eq!(code(bad), expected, "{bad}");
    }
}

#[test]
fn a_refusal_names_its_subscription_or_request() {
    let to = |text: &str| Command::parse(text).unwrap_err().to;
    let sub = Some(Addressee::Sub(label("s1")));
    assert_eq!(to(r#"{"frame":"subscribe","sub":"s1","after":"x"}"#), sub);
    assert_eq!(to(r#"{"frame":"fireworks","sub":"s1"}"#), sub);
    assert_eq!(to(r#"{"frame":"ping","req":"p1","x":1}"#), Some(Addressee::Req(label("p1"))));
    assert_eq!(to(r#"{"frame":"ping","req":"p 1"}"#), None);
    assert_eq!(to("{"), None);
}

fn any_label() -> impl Strategy<Value = Label> {
    "[A-Za-z0-9_-]{1,32}".prop_map(|text| label(&text))
}

fn any_event() -> impl Strategy<Value = NewEvent> {
    let json = ("[^\\p{Cc}.]{1,8}", any::<String>(), "[ \r\n\t]{0,3}", any::<[u8; 16]>());
    json.prop_map(|(name, text, white, id)| {
        let text = serde_json::to_string(&text).unwrap();
        let payload = format!("{{{white}\"a\"{white}:{white}{text}}}");
        let metadata = format!("{{{white}\"m\":1}}");
        let event = NewEvent::json(name, payload).unwrap();
        let event = event.with_metadata_json(metadata).unwrap().with_tag("x").unwrap();
        event.with_id(downlink::EventId::from_bytes(id))
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let filter = prop::option::of("[^\\p{Cc}.]{1,8}").prop_map(|stream| match stream {
        Some(stream) => FilterItem::new().with_stream(stream).unwrap().into(),
        None => Filter::everything(),
    });
    let after =
        prop_oneof![Just(After::Start), Just(After::Now), (0..1_000_usize).prop_map(After::Last)];
    let expected = prop_oneof![
        Just(Expected::Any),
        Just(Expected::NoStream),
        Just(Expected::Exists),
        (1..u64::MAX / 2).prop_map(|n| Expected::Exact(Version::new(n).unwrap())),
    ];
    let events = prop::collection::vec(any_event(), 1..4);
    prop_oneof![
        (any_label(), after, filter).prop_map(|(sub, after, filter)| Command::Subscribe {
            sub,
            after,
            filter
        }),
        any_label().prop_map(|sub| Command::Unsubscribe { sub }),
        (any_label(), "[^\\p{Cc}.]{1,8}", expected, events).prop_map(
            |(req, stream, expected, events)| {
                let stream = StreamId::new(stream).unwrap();
                Command::Append { req, stream, expected, events }
            }
        ),
        any_label().prop_map(|req| Command::Ping { req }),
    ]
}

proptest! {
    #[test]
    fn commands_round_trip(command in any_command()) {
        let written = command.json().unwrap();
        let read = Command::parse(&written).unwrap();
        prop_assert_eq!(&read, &command);
        if let (Command::Append { events, .. }, Command::Append { events: sent, .. }) = (read, command) {
            for (event, sent) in events.iter().zip(&sent) {
                prop_assert_eq!((event.payload(), event.metadata()), (sent.payload(), sent.metadata()));
            }
        }
    }

    #[test]
    fn parsing_never_panics(text in ".{0,80}|[{}\\[\\]\",:a-z0-9]{0,80}", filter in ".{0,20}", after in ".{0,20}") {
        let _ = Command::parse(&text);
        let _ = Command::parse(&format!(r#"{{"frame":"subscribe","sub":"s","after":{after},"filter":{filter}}}"#));
    }
}
