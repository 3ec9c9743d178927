use proptest::prelude::*;

use super::*;
use crate::wire::Code;

fn code(body: &str) -> Code {
    parse_events(body.as_bytes()).unwrap_err().code()
}

#[test]
fn one_event_or_an_array() {
    let one = parse_events(br#"{"type":"T","data":{"a" : 1}}"#).unwrap();
    assert_eq!(&one[0].payload()[..], br#"{"a" : 1}"#);
    let two = parse_events(br#" [ {"type":"T","data":1}, {"type":"U","data":null} ] "#).unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!(&two[1].payload()[..], b"null");
}

#[test]
fn all_members_are_read() {
    let body = br#"{"id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","type":"T","data_base64":"AP8=",
        "content_type":"application/cbor","metadata":{"m":  1},"tags":["a","b"]}"#;
    let event = parse_events(body).unwrap().pop().unwrap();
    assert_eq!(event.id().to_string(), "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11");
    assert_eq!(&event.payload()[..], b"\x00\xff");
    assert_eq!(event.content_type().as_str(), "application/cbor");
    assert_eq!(&event.metadata()[..], br#"{"m":  1}"#);
    assert_eq!(event.tags().len(), 2);
}

#[test]
fn invalid_events_are_refused() {
    for bad in [
        "",
        "[]",
        "7",
        "{}",
        "[1]",
        "[[]]",
        r#"[["0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","T",1]]"#,
        r#"{"type":"T"}"#,
        r#"{"data":1}"#,
        r#"{"type":"T","data":1,"more":2}"#,
        r#"{"type":"T","data":1,"data":2}"#,
        r#"{"type":"T","data":1,"data_base64":"","content_type":"x/y"}"#,
        r#"{"type":"T","data":1,"content_type":"x/y"}"#,
        r#"{"type":"T","data_base64":""}"#,
        r#"{"type":"T","data_base64":"AP8","content_type":"x/y"}"#,
        r#"{"type":"T","data_base64":"{","content_type":"application/json"}"#,
        r#"{"type":"T","data":1,"id":null}"#,
        r#"{"type":"T","data":1,"tags":null}"#,
        r#"{"type":"T","data":1}{"type":"T","data":1}"#,
        r#"[{"type":"T","data":1},]"#,
    ] {
        assert_eq!(code(bad), Code::BadEvent, "{bad}");
    }
    let deep = format!(r#"{{"type":"T","data":{}1{}}}"#, "[".repeat(65), "]".repeat(65));
    for bad in [
        "\u{feff}{}",
        r#"{"type":"T","data":1,"id":"7"}"#,
        r#"{"type":"T","data":1,"metadata":[]}"#,
        r#"{"type":"T","data":1,"metadata":null}"#,
        r#"{"type":"T","data":1,"tags":[""]}"#,
        r#"{"type":"T","data":"\ud800"}"#,
        r#"{"type":"T","data":1e400}"#,
        r#"{"type":"T","data":1,"metadata":{"a":1e400}}"#,
        r#"{"type":"a\nb","data":1}"#,
        r#"{"type":"","data":1}"#,
        &deep,
    ] {
        assert_eq!(code(bad), Code::Invalid, "{bad}");
    }
    assert_eq!(parse_events(b"\xff").unwrap_err().code(), Code::BadEvent);
}

#[test]
fn limits_hold_at_n_minus_one_n_and_n_plus_one() {
    let of = |count: usize| {
        let body = format!("[{}]", vec![r#"{"type":"T","data":1}"#; count].join(","));
        parse_events(body.as_bytes()).map(|events| events.len()).map_err(|p| p.code())
    };
    assert_eq!((of(999), of(1_000)), (Ok(999), Ok(1_000)));
    assert_eq!(of(1_001), Err(Code::TooLarge));
    let of = |bytes: usize| {
        let body = format!(r#"{{"type":"T","data":"{}"}}"#, "x".repeat(bytes - 2));
        parse_events(body.as_bytes()).map(|_| ()).map_err(|p| p.code())
    };
    assert_eq!((of((1 << 20) - 1), of(1 << 20)), (Ok(()), Ok(())));
    assert_eq!(of((1 << 20) + 1), Err(Code::TooLarge));
    let problem =
        parse_events(format!(r#"{{"type":"T","data":"{}"}}"#, "x".repeat(1 << 20)).as_bytes());
    assert!(problem.unwrap_err().to_json().contains(r#""limit":1048576"#));
}

#[test]
fn too_large_names_its_limit() {
    let long = "x".repeat(256);
    let tags = vec![r#""x""#; 65].join(",");
    let metadata = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 << 10));
    for (member, body, limit) in [
        ("type", format!(r#"{{"type":"{long}","data":1}}"#), 255),
        ("tags", format!(r#"{{"type":"T","data":1,"tags":["{long}"]}}"#), 255),
        ("tags", format!(r#"{{"type":"T","data":1,"tags":[{tags}]}}"#), 64),
        ("metadata", format!(r#"{{"type":"T","data":1,"metadata":{metadata}}}"#), 65_536),
        (
            "content_type",
            format!(r#"{{"type":"T","data_base64":"","content_type":"{long}"}}"#),
            255,
        ),
    ] {
        let problem = parse_events(body.as_bytes()).unwrap_err();
        assert_eq!(problem.code(), Code::TooLarge, "{problem}");
        assert!(problem.detail().starts_with(&format!("event 1: '{member}': ")), "{problem}");
        assert!(problem.to_json().contains(&format!(r#","limit":{limit}"#)), "{problem}");
    }
}

#[test]
fn errors_name_the_event_and_the_member() {
    let detail = |body: &str| parse_events(body.as_bytes()).unwrap_err().detail().to_owned();
    for bad in ["", ".", "a\\nb"] {
        let text = detail(&format!(r#"{{"type":"{bad}","data":1}}"#));
        assert!(text.starts_with("event 1: 'type': "), "{text}");
    }
    assert!(detail("\u{feff}{}").contains("byte order mark"));
    let one = r#"{"id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","type":"T","data":1}"#;
    let twice = format!("[{one},{one}]");
    assert_eq!(code(&twice), Code::BadEvent);
    assert!(detail(&twice).contains("0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11 stands twice"));
}

#[test]
fn expected_is_a_word_or_a_version() {
    let of = |text| parse_expected(text).ok();
    assert_eq!(of("any"), Some(Expected::Any));
    assert_eq!(of("none"), Some(Expected::NoStream));
    assert_eq!(of("0"), Some(Expected::NoStream));
    assert_eq!(of("exists"), Some(Expected::Exists));
    assert_eq!(of("1"), Some(Expected::Exact(Version::FIRST)));
    for bad in ["", "-1", "Any", "1.0", "9223372036854775808", "99999999999999999999"] {
        assert_eq!(of(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(body in prop::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\":,a-z0-9]{0,80}") {
        let _ = (parse_events(&body), parse_events(text.as_bytes()));
    }
}
