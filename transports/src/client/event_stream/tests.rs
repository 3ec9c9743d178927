use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> (Vec<StreamEvent>, EventStream) {
    let mut stream = EventStream::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = *piece;
        while let Some(event) = stream.next(&mut piece).unwrap() {
            events.push(event);
        }
        assert!(piece.is_empty());
    }
    (events, stream)
}

fn data(text: &str) -> Vec<String> {
    let (events, _) = read(&[text.as_bytes()]);
    events.iter().map(|event| String::from_utf8(event.data.to_vec()).unwrap()).collect()
}

#[test]
fn the_examples_of_the_standard_are_read() {
    assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
    let (events, parser) = read(&[stream.as_bytes()]);
    assert_eq!(events[0].last_event_id, "1");
    assert_eq!(events[1].last_event_id, "");
    assert_eq!(events.len(), 2, "the third is never finished");
    assert!(parser.is_inside_an_event());
    assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
}

#[test]
fn lines_end_in_cr_lf_or_both() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["data: a", "data: b", "", "data: c", "", ""].join(end);
        assert_eq!(data(&stream), ["a\nb", "c"], "{end:?}");
    }
    assert_eq!(data("data: a\r\n\ndata: b\n\r\n"), ["a", "b"]);
}

#[test]
fn one_byte_order_mark_is_skipped_and_only_at_the_beginning() {
    assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
    assert_eq!(data("\u{feff}\u{feff}data: a\n\n"), [] as [&str; 0]);
    assert_eq!(data("data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    let (events, _) = read(&[b"\xef", b"\xbb", b"data: no mark\n\ndata: a\n\n"]);
    assert_eq!(events.len(), 1);
}

#[test]
fn an_id_with_nul_is_ignored_and_an_empty_one_resets() {
    let (events, _) = read(&[b"id: 1\ndata\n\nid: 2\0\ndata\n\nid:\ndata\n\nid: 3\n\ndata\n\n"]);
    let ids: Vec<_> = events.iter().map(|event| &*event.last_event_id).collect();
    assert_eq!(ids, ["1", "1", "", "3"]);
}

#[test]
fn an_event_without_data_is_dropped_with_its_name() {
    let (events, _) = read(&[b"event: lost\n\ndata: a\n\nevent: kept\ndata: b\n\n"]);
    let names: Vec<_> = events.iter().map(|event| &*event.event).collect();
    assert_eq!(names, ["", "kept"]);
}

#[test]
fn retry_is_digits_only() {
    let retry = |text: &str| read(&[text.as_bytes()]).1.retry();
    assert_eq!(retry("retry: 1500\n"), Some(Duration::from_millis(1500)));
    assert_eq!(
        retry("retry: 20\nretry: soon\nretry:\nretry: -1\n"),
        Some(Duration::from_millis(20))
    );
    assert_eq!(retry("retry: 99999999999999999999\n"), Some(Duration::from_millis(u64::MAX)));
    assert_eq!(retry("retries: 1\n"), None);
}

#[test]
fn invalid_utf8_becomes_replacement_characters() {
    let (events, _) = read(&[b"data: \xff\n\n"]);
    assert_eq!(events[0].data, "\u{fffd}");
}

#[test]
fn comments_are_ignored() {
    let (events, parser) = read(&[b":\n\n: data: a\n\n:"]);
    assert!(events.is_empty());
    assert!(parser.is_inside_an_event(), "the last line is not finished");
    assert!(!read(&[b": a\n"]).1.is_inside_an_event());
}

#[test]
fn the_limit_applies_to_lines_and_events() {
    let attempt = |bytes: &[u8]| {
        let mut stream = EventStream::with_limit(16);
        let mut piece = bytes;
        stream.next(&mut piece).map(|event| event.map(|event| event.data.len()))
    };
    assert_eq!(attempt(b"data: 7890123456\n\n").unwrap(), Some(10));
    assert_eq!(attempt(b"data: 78901234567").unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(attempt(b":8901234567890123").unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(attempt(b"data: 1234567\ndata: 1234567\n\n").unwrap(), Some(15));
    let two = b"data: 1234567\ndata: 12345678\n\n";
    assert_eq!(attempt(two).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn an_id_has_a_limit_of_its_own() {
    let attempt = |bytes: usize| {
        let stream = format!("id: {}\ndata\n\n", "x".repeat(bytes));
        EventStream::new().next(&mut stream.as_bytes()).map(drop)
    };
    assert!(attempt(MAX_ID_BYTES).is_ok());
    assert_eq!(attempt(MAX_ID_BYTES + 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_long_line_does_not_keep_its_buffer() {
    let mut stream = EventStream::new();
    let long = format!("data: {}\n\ndata: short", "x".repeat(1 << 20));
    assert!(stream.next(&mut long.as_bytes()).unwrap().is_some());
    assert!(stream.line.capacity() <= KEPT_BYTES, "{}", stream.line.capacity());
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "(data|event|id|retry|:|x)(:| : |: )?[a-z0-9 :\u{e9}\u{feff}\0]{0,8}".prop_map(String::into_bytes),
        2 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r"[..]), Just(&b"\r\n"[..])];
    let mark = prop_oneof![Just(&b""[..]), Just(BYTE_ORDER_MARK)];
    (mark, prop::collection::vec((any_line(), end), 0..30)).prop_map(|(mark, lines)| {
        let lines = lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat());
        mark.iter().copied().chain(lines).collect()
    })
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(stream in any_stream(), cuts in prop::collection::vec(0..400_usize, 0..8)) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let bytes: Vec<_> = stream.chunks(1).collect();
        let (whole, one) = read(&[&stream]);
        for (events, parser) in [read(&pieces), read(&bytes)] {
            prop_assert_eq!(&events, &whole);
            prop_assert_eq!(parser.retry(), one.retry());
            prop_assert_eq!(parser.is_inside_an_event(), one.is_inside_an_event());
        }
    }

    #[test]
    fn events_are_read_as_they_were_written(events in prop::collection::vec(("[a-z.]{0,8}", "[^\r\n]{0,20}", "[^\r\n\0]{0,12}"), 0..10)) {
        let blocks = events.iter().map(|(event, data, id)| {
            format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
        });
        let text: String = blocks.collect();
        let (read, parser) = read(&[text.as_bytes()]);
        let expected: Vec<_> = events
            .into_iter()
            .map(|(event, data, last_event_id)| StreamEvent { event, data: data.into(), last_event_id })
            .collect();
        prop_assert_eq!(read, expected);
        prop_assert!(!parser.is_inside_an_event());
    }
}
