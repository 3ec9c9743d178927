use std::time::{Duration, Instant};

use downlink::limits;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const ID: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";

/// Takes a body in these pieces, as long as it is needed. Returns the result, and
/// how many bytes were taken.
fn take<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Result<Vec<NewEvent>, Problem>, usize) {
    let (mut body, mut taken) = (AppendBody::new(), 0);
    for piece in pieces {
        taken += piece.len();
        match body.push(piece) {
            Ok(true) => {}
            Ok(false) => break,
            Err(problem) => return (Err(problem), taken),
        }
    }
    let events = body.parse();
    if let Ok(events) = &events {
        let size: usize = events.iter().map(NewEvent::size).sum();
        assert!(size <= body.parsed_size(), "{size} bytes in {}", body.parsed_size());
    }
    (events, taken)
}

/// The parser without the scanner, with what it leaves to the scanner.
fn parser_alone(body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    if body.starts_with("\u{feff}".as_bytes()) {
        return Err(Problem::new(Code::Invalid, "a byte order mark"));
    }
    let too_many = || Problem::new(Code::TooLarge, "too many events");
    let events = event::parse(body)?;
    if events.len() > limits::MAX_EVENTS_PER_APPEND { Err(too_many()) } else { Ok(events) }
}

fn is_same(left: &[NewEvent], right: &[NewEvent]) -> bool {
    let is_same = |(left, right): (&NewEvent, &NewEvent)| {
        left.has_same_content(right) && left.metadata() == right.metadata()
    };
    left.len() == right.len() && left.iter().zip(right).all(is_same)
}

fn escaped(text: &str) -> String {
    let escapes: Vec<_> = text.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    escapes.concat()
}

fn with_data(data: &str) -> String {
    format!(r#"{{"type":"T","data":{data}}}"#)
}

fn with(member: &str) -> String {
    format!(r#"{{"type":"T","data":1,{member}}}"#)
}

fn with_base64(bytes: usize) -> String {
    let data = "AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3];
    format!(r#"{{"type":"T","content_type":"a/b","data_base64":"{data}"}}"#)
}

#[test]
fn what_is_at_a_limit_is_accepted() {
    let name = "x".repeat(255);
    let tag = |index| format!("\"{}{index:02}\"", escaped(&"t".repeat(253)));
    let tags: Vec<_> = (0..64).map(tag).collect();
    let mut data = with_data("1");
    data.insert_str(data.len() - 2, &" ".repeat(1 << 20));
    for body in [
        with_data(&format!("\"{}\"", "x".repeat((1 << 20) - 2))),
        with_data(&format!("{}1{}", "[".repeat(64), "]".repeat(64))),
        with_data(&format!("[0.{}]", "0".repeat(998))),
        with_data(&format!("0.{}", "0".repeat(998))),
        // The white space around a payload does not count.
        data,
        with(&format!(r#""metadata":{{"a":"{}"}}"#, "x".repeat((64 << 10) - 8))),
        with(&format!(r#""tags":[{}]"#, tags.join(","))),
        with(&format!(r#""id":"{}""#, escaped(ID))),
        with(&format!(r#""{}":"{ID}""#, escaped("id"))),
        format!(r#"{{"type":"{}","data":1}}"#, escaped(&name)),
        format!(r#"{{"type":"{}é","data":1}}"#, "x".repeat(253)),
        format!(r#"{{"type":"T","{}":"{name}","data_base64":""}}"#, escaped("content_type")),
        with_base64(1 << 20),
        with_base64((1 << 20) - 1),
        with_base64(3).replace("AAAA", &escaped("AAAA")),
        format!("[{}]", vec![with_data("1"); 1_000].join(" , \n")),
        format!(" {} ", with_data("1")),
    ] {
        let start = &body[..body.len().min(300)];
        let alone = parser_alone(body.as_bytes());
        let alone = alone.unwrap_or_else(|problem| panic!("{problem}: {start}"));
        for size in [if body.len() < 1 << 16 { 1 } else { 61 }, 1 << 12, body.len()] {
            let (events, taken) = take(body.as_bytes().chunks(size));
            let events = events.unwrap_or_else(|problem| panic!("{problem}: {start}"));
            assert!(is_same(&events, &alone) && taken == body.len(), "{start}");
        }
    }
}

#[test]
fn what_exceeds_a_limit_is_refused_where_it_does() {
    let (long, longer) = ("x".repeat(256), "x".repeat(300));
    let tags = vec![r#""x""#; 65].join(",");
    let event = with_data("1");
    let large = 1 << 20;
    // In the second event, at the end of this.
    for (begin, code, member, limit) in [
        (format!(r#"{{"type":"{long}"#), Code::TooLarge, "'type': ", Some(255)),
        (
            format!(r#"{{"type":"T","tags":["{}"#, escaped(&long)),
            Code::TooLarge,
            "'tags': ",
            Some(255),
        ),
        (
            format!(r#"{{"type":"T","tags":[{}"#, &tags[..tags.len() - 2]),
            Code::TooLarge,
            "'tags': ",
            Some(64),
        ),
        (format!(r#"{{"content_type":"{longer}"#), Code::TooLarge, "'content_type': ", Some(255)),
        (
            format!(r#"{{"metadata":{{"a":"{}"#, "x".repeat(64 << 10)),
            Code::TooLarge,
            "'metadata': ",
            Some(64 << 10),
        ),
        (format!(r#"{{"data":"{}"#, "x".repeat(large)), Code::TooLarge, "'data': ", Some(large)),
        (
            format!(r#"{{"data":[{}"#, "1,".repeat(large / 2)),
            Code::TooLarge,
            "'data': ",
            Some(large),
        ),
        (
            format!(r#"{{"data_base64":"{}"#, "A".repeat(1_398_105)),
            Code::TooLarge,
            "'data_base64': ",
            Some(1_398_104),
        ),
        (format!(r#"{{"id":"{ID}0"#), Code::Invalid, "'id': ", None),
        (
            format!(r#"{{"data":{}"#, "[".repeat(65)),
            Code::Invalid,
            "'data': the payload nests deeper than 64: ",
            None,
        ),
        (
            format!(r#"{{"metadata":{}"#, "[".repeat(65)),
            Code::Invalid,
            "'metadata': the metadata nests ",
            None,
        ),
        (
            format!(r#"{{"data":[1,-{}"#, "1".repeat(1_000)),
            Code::Invalid,
            "'data': the payload contains a number of more than 1000 ",
            None,
        ),
        (format!(r#"{{"{}"#, "x".repeat(73)), Code::BadEvent, "a member has a name ", None),
    ] {
        let body = format!("[{event},{begin}");
        let end = body.len();
        let rest = format!("{body}{}", "x".repeat(1 << 16));
        let start = &begin[..begin.len().min(100)];
        for size in [if end < 1 << 16 { 1 } else { 61 }, 1 << 12, rest.len()] {
            let (result, taken) = take(rest.as_bytes().chunks(size));
            let problem = result.expect_err(start);
            assert_eq!(problem.code(), code, "{problem}: {start}");
            assert!(problem.detail().starts_with(&format!("event 2: {member}")), "{problem}");
            let has_limit = |limit| problem.to_json().contains(&format!(r#","limit":{limit}"#));
            assert!(limit.is_none_or(has_limit), "{}", problem.to_json());
            assert!(taken < end + size, "{taken} bytes of {end} were taken: {start}");
        }
    }
}

#[test]
fn too_many_events_are_refused_at_the_first_of_them() {
    let body = format!("[{}", format!("{},", with_data("1")).repeat(2_000));
    let (result, taken) = take(body.as_bytes().chunks(100));
    let problem = result.unwrap_err();
    assert_eq!(problem.code(), Code::TooLarge);
    assert!(problem.to_json().contains(r#","limit":1000"#), "{problem}");
    assert!(taken <= body.len() / 2 + 100, "{taken}");
}

#[test]
fn what_cannot_become_valid_is_not_taken_to_its_end() {
    for begin in [
        "x",
        "\"",
        "1",
        "[1",
        "[[",
        "[,",
        "{,",
        "{1",
        r#"{"type" 1"#,
        r#"{"type":1"#,
        r#"{"tags":"#,
        r#"{"more":"#,
        r#"{"type":"T","type":"#,
        r#"{"tags":[1"#,
        r#"{"data":]"#,
        r#"{"data":[;"#,
        "{\"type\":\"\n",
        r#"{"type":"T","data":1} {"#,
        r#"[{"type":"T","data":1}] ]"#,
        "\u{feff}[",
    ] {
        let body = format!("{begin}{}", "~".repeat(1 << 16));
        for size in [1, 100] {
            let (result, taken) = take(body.as_bytes().chunks(size));
            assert!(result.is_err() && taken <= begin.len() + size, "{begin}: {taken}");
        }
    }
    for (begin, code) in [(&b"\xef\xbb\xbf"[..], Code::Invalid), (b"[\"\xff", Code::BadEvent)] {
        let (result, _) = take(begin.chunks(1));
        assert_eq!(result.unwrap_err().code(), code);
    }
}

const TOKENS: [&str; 38] = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    " ",
    "\n",
    "\u{feff}",
    "é",
    "null",
    "true",
    "1",
    "-",
    "0.5e-3",
    "1e400",
    "\"",
    "\\",
    "\"\\ud800\"",
    "\"T\"",
    "\"type\"",
    "\"data\"",
    "\"d\\u0061ta\"",
    "\"tags\"",
    "\"id\"",
    "\"metadata\"",
    "\"data_base64\"",
    "\"content_type\"",
    "\"more\"",
    "{}",
    "\"AA==\"",
    "\"a/b\"",
    "\"x\",",
    "\"type\":\"T\"",
    "\"data\":",
    ",\"tags\":[\"a\"]",
    "\"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11\"",
    "\u{0}",
];

const EVENTS: [&str; 5] = [
    r#"{"type":"T","data":{"a":[1,2.5e3,true,null,"b\"]"]}}"#,
    r#" {"data" : "x\\" , "tags":["a","\u0062"],"type":"U" } "#,
    r#"{"id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","type":"T","data":-0}"#,
    r#"{"type":"T","data_base64":"AA==","content_type":"a/b","metadata":{"m":{}}}"#,
    r#"{"type":"é","data":"\ud83d\ude00","metadata":{ }}"#,
];

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let events = prop::collection::vec(select(&EVENTS[..]), 0..4);
    let events = events.prop_map(|events| format!("[{}]", events.join(",")));
    let valid = prop_oneof![events, select(&EVENTS[..]).prop_map(str::to_owned)];
    let change = (any::<Index>(), 0..4_usize, select(&TOKENS[..]));
    let changed = (valid, prop::collection::vec(change, 0..3)).prop_map(|(body, changes)| {
        let mut body = body.into_bytes();
        for (at, removed, token) in changes {
            let at = at.index(body.len() + 1);
            let end = body.len().min(at + removed);
            body.splice(at..end, token.bytes());
        }
        body
    });
    let tokens = prop::collection::vec(select(&TOKENS[..]), 0..24);
    let bytes = prop::collection::vec(any::<u8>(), 0..3);
    prop_oneof![
        6 => changed,
        2 => tokens.prop_map(|tokens| tokens.concat().into_bytes()),
        1 => (select(&EVENTS[..]), any::<Index>(), bytes).prop_map(|(body, at, bytes)| {
            let (before, after) = body.as_bytes().split_at(at.index(body.len()));
            [before, &bytes, after].concat()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn accepts_what_the_parser_alone_accepts_in_any_pieces(
        body in any_body(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let text = String::from_utf8_lossy(&body);
        let alone = parser_alone(&body);
        let whole = parse(&body);
        // What also has another fault may be refused for either.
        let exceeds_a_limit = matches!(Scanner::default().push(&body), Err(Stop::Refused(_)));
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]);
        let (in_pieces, _) = take(pieces);
        let (in_bytes, _) = take(body.chunks(1));
        for result in [&whole, &in_pieces, &in_bytes] {
            match (&alone, result) {
                (Ok(alone), Ok(events)) => prop_assert!(is_same(alone, events), "{}", text),
                (Err(alone), Err(problem)) if !exceeds_a_limit => {
                    prop_assert_eq!(alone.code(), problem.code(), "{} {}", text, problem);
                }
                (Err(_), Err(_)) => {}
                _ => prop_assert!(false, "{alone:?} but {result:?}: {text}"),
            }
        }
        if let (Err(alone), Err(whole)) = (&alone, &whole)
            && !exceeds_a_limit
        {
            prop_assert_eq!(alone.detail(), whole.detail(), "{}", text);
        }
    }
}

/// How fast bodies are scanned and parsed: `cargo test --release -p
/// downlink-transports -- --ignored --nocapture speed_of_the_scanner`.
#[test]
#[ignore = "measures"]
fn speed_of_the_scanner() {
    let text = format!("\"{}\"", "x".repeat((1 << 20) - 1_000));
    let numbers = format!("[{}1]", "1,".repeat(500_000));
    let object = r#"{"gate":"C71","minutes":20,"delayed":true},"#;
    let objects = format!("[{}1]", object.repeat((1 << 20) / object.len() - 1));
    let tags = vec![format!("\"{}\"", "t".repeat(240)); 64].join(",");
    let tagged = with(&format!(r#""tags":[{tags}]"#));
    let short = with(&format!(r#""tags":[{}]"#, vec![r#""t""#; 64].join(",")));
    for (name, event, count) in [
        ("text", with_data(&text), 15),
        ("numbers", with_data(&numbers), 15),
        ("objects", with_data(&objects), 15),
        ("tags", tagged, 1_000),
        ("short tags", short, 1_000),
    ] {
        let body = format!("[{}]", vec![event; count].join(","));
        let (bytes, mut size) = (body.len(), 0);
        let to_scan = fastest(|| {
            let mut scanner = Scanner::default();
            for piece in body.as_bytes().chunks(16 << 10) {
                scanner.push(piece).unwrap();
            }
            size = scanner.parsed_size(bytes);
        });
        let to_parse = fastest(|| drop(event::parse(body.as_bytes()).unwrap()));
        println!(
            "{name}: {bytes} bytes scanned in {to_scan:?}, parsed in {to_parse:?}, {size} held"
        );
    }
}

/// The shortest of several runs, which the rest of the machine delayed least.
fn fastest(mut run: impl FnMut()) -> Duration {
    let mut time = || {
        let began = Instant::now();
        run();
        began.elapsed()
    };
    (0..9).map(|_| time()).min().unwrap()
}
