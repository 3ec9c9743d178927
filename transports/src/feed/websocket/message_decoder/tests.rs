use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Theirs};

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..126), _) => bytes.push(0x80 | len),
        (_, Ok(len)) => {
            bytes.push(0xfe);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn decoder() -> MessageDecoder {
    MessageDecoder::new(ByteBudget::new(1 << 20))
}

/// All messages, and how it ends, as texts.
fn decode(bytes: &[u8], size: usize) -> Vec<String> {
    let (mut decoder, mut messages) = (decoder(), Vec::new());
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            match decoder.decode(&mut piece) {
                Ok(Some(Message::Text(message))) => messages.push(format!("text {}", message.text)),
                Ok(Some(Message::Ping(payload))) => messages.push(format!("ping {payload:?}")),
                Ok(Some(Message::Pong(_))) => messages.push("pong".into()),
                Ok(Some(Message::Close(frame))) => {
                    messages.push(format!("close {:?}", frame.map(|frame| frame.code)));
                    return messages;
                }
                Ok(None) => assert!(piece.is_empty()),
                Err(error) => {
                    messages.push(kind(&error).into());
                    return messages;
                }
            }
        }
    }
    messages
}

fn kind(error: &ReadError) -> &'static str {
    match error {
        ReadError::Protocol(_) => "protocol",
        ReadError::Binary => "binary",
        ReadError::NotUtf8 => "not UTF-8",
        ReadError::TooLong => "too long",
        ReadError::OverBudget => "over budget",
        error => panic!("{error:?}"),
    }
}

/// What tungstenite reads of the same bytes.
struct Received(Cursor<Vec<u8>>);

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Received {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite(bytes: &[u8]) -> Vec<String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let received = Received(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(received, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Theirs::Text(text)) => messages.push(format!("text {text}")),
            Ok(Theirs::Ping(payload)) => messages.push(format!("ping {:?}", payload.to_vec())),
            Ok(Theirs::Pong(_)) => messages.push("pong".into()),
            Ok(Theirs::Binary(_)) => messages.push("binary".into()),
            Ok(Theirs::Close(Some(frame))) if frame.reason.as_str() == "Protocol violation" => {
                messages.push("protocol".into());
            }
            Ok(Theirs::Close(frame)) => {
                messages.push(format!("close {:?}", frame.map(|frame| u16::from(frame.code))));
            }
            Err(Error::Protocol(error)) if error.to_string().contains("without closing") => {
                return messages;
            }
            Err(Error::Protocol(_)) => messages.push("protocol".into()),
            Err(Error::Utf8(_)) => messages.push("not UTF-8".into()),
            Err(Error::Capacity(_)) => messages.push("too long".into()),
            Err(error) => panic!("{error:?}"),
            Ok(message) => panic!("{message:?}"),
        }
        let is_end = ["protocol", "not", "too", "close", "binary"];
        if is_end.iter().any(|end| messages.last().unwrap().starts_with(end)) {
            return messages;
        }
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => Just(0x81_u8),
        4 => Just(0x01),
        4 => Just(0x00),
        4 => Just(0x80),
        3 => Just(0x89),
        2 => Just(0x8a),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[aé😀]{0,6}".prop_map(String::into_bytes),
        1 => Just(vec![]),
        1 => Just(vec![0xf0, 0x9f]),
        1 => Just(vec![0x98, 0x80]),
        1 => (900..1_200_u16, "[a-z]{0,130}").prop_map(|(code, reason)| {
            [&code.to_be_bytes(), reason.as_bytes()].concat()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => (0..70_000_usize).prop_map(|len| vec![b'x'; len]),
    ];
    let unmasked = prop::bool::weighted(0.03);
    (first, payload, unmasked).prop_map(|(first, payload, unmasked)| {
        let mut frame = frame(first, &payload);
        if unmasked {
            frame[1] &= 0x7f;
        }
        frame
    })
}

proptest! {
    #[test]
    fn agrees_with_tungstenite_in_any_pieces(
        frames in prop::collection::vec(any_frame(), 1..8),
        size in 1..40_usize,
    ) {
        let bytes = frames.concat();
        let (ours, theirs) = (decode(&bytes, size), tungstenite(&bytes));
        prop_assert_eq!(&ours, &decode(&bytes, bytes.len()));
        // An error may be found before the end of what tungstenite still waits for, and codes
        // that were registered since are accepted.
        let common = ours.len().min(theirs.len());
        let is_early = |text: &String| matches!(&**text, "binary" | "not UTF-8" | "protocol" | "too long");
        let is_new_code = |text: &String| matches!(&**text, "close Some(1014)");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let is_same = ours == theirs || is_new_code(ours) || is_early(ours) && is_early(theirs)
                || ours == "binary";
            prop_assert!(is_same, "{} but {}", ours, theirs);
        }
        prop_assert!(ours[common..].iter().all(is_early), "{:?} but {:?}", ours, theirs);
        let is_ended = ours.last().is_some_and(is_early);
        prop_assert!(theirs.len() == common || is_ended, "{:?} but {:?}", ours, theirs);
    }
}

#[test]
fn a_message_may_have_any_frames() {
    let bytes = [
        frame(0x01, b"\xc3"),
        frame(0x89, b"in between"),
        frame(0x00, b""),
        frame(0x80, b"\xa9!"),
        frame(0x81, b""),
        frame(0x8a, b"x"),
        frame(0x88, b"\x0f\xa0bye"),
        frame(0x81, b"ignored"),
    ]
    .concat();
    let ping = format!("ping {:?}", b"in between");
    let expected = ["text é!", "text ", "pong", "close Some(4000)"];
    for size in [1, 2, 3, 5, 1_000] {
        let messages = decode(&bytes, size);
        assert_eq!(messages[0], ping);
        assert_eq!(messages[1..], expected);
    }
}

#[test]
fn invalid_text_fails_before_the_frame_ends() {
    // A surrogate, in a frame and a message that are not finished.
    for (part, is_invalid) in [(&b"\xce\xba\xed"[..], false), (b"\xce\xba\xed\xa0", true)] {
        let mut bytes = frame(0x01, &[part, &[b'x'; 50]].concat());
        bytes.truncate(6 + part.len());
        assert_eq!(decode(&bytes, 1).last().map(|end| &**end), is_invalid.then_some("not UTF-8"));
    }
    let half = [frame(0x01, b"\xce"), frame(0x80, b"")].concat();
    assert_eq!(decode(&half, 100), ["not UTF-8"]);
}

#[test]
fn a_message_takes_no_more_memory_than_it_has_bytes_and_gives_it_back() {
    let budget = ByteBudget::new(300 << 10);
    let mut decoder = MessageDecoder::new(budget.clone());
    let text = vec![b'x'; MAX_MESSAGE_BYTES];
    let bytes = frame(0x81, &text);
    let (most, last) = bytes.split_at(bytes.len() - 1);
    for mut piece in most.chunks(4 << 10) {
        assert!(decoder.decode(&mut piece).unwrap().is_none());
        let message = decoder.message.as_ref().unwrap();
        assert!(message.bytes.capacity() <= 2 * message.bytes.len());
        assert!(message.bytes.capacity() <= MAX_MESSAGE_BYTES);
        let counted = message.bytes.capacity().saturating_sub(UNCOUNTED_BYTES);
        assert_eq!(budget.used(), counted);
    }
    // Another message has to wait, unless it is small.
    let mut other = MessageDecoder::new(budget.clone());
    let long = other.decode(&mut &frame(0x81, &text[..100 << 10])[..]);
    assert!(matches!(long, Err(ReadError::OverBudget)), "{long:?}");
    let mut other = MessageDecoder::new(budget.clone());
    assert!(other.decode(&mut &frame(0x81, &text[..1_000])[..]).unwrap().is_some());
    let message = decoder.decode(&mut &last[..]).unwrap();
    assert!(!decoder.is_unfinished() && decoder.message.is_none() && decoder.frame.is_none());
    assert_eq!(budget.used(), MAX_MESSAGE_BYTES - UNCOUNTED_BYTES);
    drop(message);
    assert_eq!(budget.used(), 0);
}

#[test]
fn fragments_together_have_the_limit_of_a_message() {
    let part = vec![b'x'; MAX_MESSAGE_BYTES / 2];
    let mut bytes = [frame(0x01, &part), frame(0x00, &part), frame(0x80, b"")].concat();
    assert_eq!(decode(&bytes, 1 << 14)[0].len(), "text ".len() + MAX_MESSAGE_BYTES);
    // The last frame is refused by its head.
    bytes.truncate(bytes.len() - 6);
    bytes.extend_from_slice(&frame(0x80, b"x")[..6]);
    assert_eq!(decode(&bytes, 1 << 14), ["too long"]);
}

#[test]
fn discarded_messages_take_no_memory() {
    let budget = ByteBudget::new(10_000);
    let mut decoder = MessageDecoder::new(budget.clone());
    assert!(decoder.decode(&mut &frame(0x01, &[b'x'; 5_000])[..]).unwrap().is_none());
    assert!(budget.used() > 0);
    decoder.discard_messages();
    assert_eq!(budget.used(), 0);
    assert!(decoder.decode(&mut &frame(0x80, &vec![b'x'; 50_000])[..]).unwrap().is_none());
    let bytes = [frame(0x01, &[0xff; 1_000]), frame(0x80, b""), frame(0x88, b"")].concat();
    let mut input = &bytes[..];
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Message::Close(None)))));
}

#[test]
fn control_frames_do_not_advance_a_message() {
    let mut decoder = decoder();
    let mut received = |bytes: &[u8]| {
        let mut input = bytes;
        while !input.is_empty() {
            let _ = decoder.decode(&mut input).unwrap();
        }
        decoder.take_received()
    };
    assert_eq!(received(&frame(0x89, b"ping")[..8]), 8, "of an unfinished ping");
    assert_eq!(received(&frame(0x89, b"ping")[8..]), 0);
    assert_eq!(received(&frame(0x01, b"text")), 10);
    assert_eq!(received(&frame(0x89, b"ping")), 0);
    assert_eq!(received(&frame(0x00, b"")), 6);
    assert_eq!(received(&frame(0x80, b"")), 0, "it is finished");
}
