//! What a request is told that is no HTTP: the server below answers it with a
//! bare status, before any router sees it.

/// The whole answer that says why, in place of a bare one; `None` if this is
/// the beginning of any other answer.
pub(super) fn answer_in_place_of(head: &[u8]) -> Option<&'static [u8]> {
    let is = |line: &[u8]| head.windows(line.len()).any(|part| part.eq_ignore_ascii_case(line));
    let is_bare = || is(b"\r\ncontent-length: 0\r\n") && is(b"\r\nconnection: close\r\n");
    if head.starts_with(b"HTTP/1.1 431 ") && is_bare() {
        Some(TOO_LARGE)
    } else if head.starts_with(b"HTTP/1.1 400 ") && is_bare() {
        Some(MALFORMED)
    } else {
        None
    }
}

macro_rules! answer {
    ($status:literal, $length:literal, $problem:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\ncontent-type: application/problem+json\r\ncontent-length: ",
            $length,
            "\r\nconnection: close\r\ncache-control: no-store\r\n\
             vary: Accept, Origin, Authorization, Cookie\r\nx-content-type-options: nosniff\r\n\
             cross-origin-resource-policy: same-origin\r\n\r\n",
            $problem
        )
        .as_bytes()
    };
}

const TOO_LARGE: &[u8] = answer!(
    "431 Request Header Fields Too Large",
    "228",
    r#"{"type":"urn:downlink:problem:too-large","title":"Too large","status":431,"detail":"the head of the request is too long: 48 KiB are read, and no cursor or filter needs as much","code":"too-large","retryable":false,"limit":49152}"#
);

const MALFORMED: &[u8] = answer!(
    "400 Bad Request",
    "207",
    r#"{"type":"urn:downlink:problem:invalid","title":"Invalid","status":400,"detail":"this is no HTTP/1.1 request: percent-encode what is no ASCII letter or digit in its target","code":"invalid","retryable":false}"#
);

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    #[test]
    fn bare_answers_are_replaced_and_no_others() {
        assert_eq!(answer_in_place_of(BARE), Some(TOO_LARGE));
        for other in [
            &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            b"",
        ] {
            assert_eq!(answer_in_place_of(other), None);
        }
    }

    #[test]
    fn the_answers_are_whole() {
        for answer in [TOO_LARGE, MALFORMED] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            assert_eq!(length, body.len().to_string());
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }
}
