//! Responses to requests that cannot be parsed. hyper answers them with a bare
//! status, before the router is called.

/// The problem to send in place of hyper's bare response; `None` if `head` begins
/// any other response.
pub(super) fn replacement_of(head: &[u8]) -> Option<&'static [u8]> {
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

macro_rules! response {
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

const TOO_LARGE: &[u8] = response!(
    "431 Request Header Fields Too Large",
    "228",
    r#"{"type":"urn:downlink:problem:too-large","title":"Too large","status":431,"detail":"the head of the request is larger than 48 KiB: send fewer or shorter headers and parameters","code":"too-large","retryable":false,"limit":49152}"#
);

const MALFORMED: &[u8] = response!(
    "400 Bad Request",
    "220",
    r#"{"type":"urn:downlink:problem:invalid","title":"Invalid","status":400,"detail":"the request is not valid HTTP/1.1: percent-encode everything but ASCII letters and digits in its target","code":"invalid","retryable":false}"#
);

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    #[test]
    fn only_bare_responses_are_replaced() {
        assert_eq!(replacement_of(BARE), Some(TOO_LARGE));
        for other in [
            &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            b"",
        ] {
            assert_eq!(replacement_of(other), None);
        }
    }

    #[test]
    fn the_responses_are_well_formed() {
        for response in [TOO_LARGE, MALFORMED] {
            let text = std::str::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            assert_eq!(length, body.len().to_string());
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }
}
