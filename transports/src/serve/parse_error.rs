//! Responses to requests that cannot be parsed. hyper answers them with a bare
//! status, or not at all, before the router is called.

/// The status with which hyper answers a request that it cannot parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParseErrorStatus {
    /// 400.
    Malformed,
    /// 431. A target that is too long for hyper (414) does not fit in its buffer.
    TooLarge,
}

impl ParseErrorStatus {
    /// The status of a bare response; `None` if `bytes` begins any other response.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let has =
            |line: &[u8]| bytes.windows(line.len()).any(|part| part.eq_ignore_ascii_case(line));
        // hyper answers with the version of the request before.
        let (version, status) = bytes.split_at_checked(9)?;
        let closes = match version {
            b"HTTP/1.1 " => has(b"\r\nconnection: close\r\n"),
            b"HTTP/1.0 " => true,
            _ => return None,
        };
        let status = if status.starts_with(b"431 ") {
            Self::TooLarge
        } else if status.starts_with(b"400 ") {
            Self::Malformed
        } else {
            return None;
        };
        (closes && has(b"\r\ncontent-length: 0\r\n")).then_some(status)
    }

    /// The response to send instead, which has no body for `HEAD`.
    pub(super) fn response(self, is_head: bool) -> &'static [u8] {
        let response = match self {
            Self::Malformed => MALFORMED,
            Self::TooLarge => TOO_LARGE,
        };
        let end = response.windows(4).position(|part| part == b"\r\n\r\n");
        if is_head { &response[..end.expect("a head has an end") + 4] } else { response }
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
    "258",
    r#"{"type":"urn:downlink:problem:too-large","title":"Too large","status":431,"detail":"the head of the request is larger than 48 KiB, or has more than 100 headers: send fewer or shorter headers and parameters","code":"too-large","retryable":false,"limit":49152}"#
);

const MALFORMED: &[u8] = response!(
    "400 Bad Request",
    "439",
    r#"{"type":"urn:downlink:problem:invalid","title":"Invalid","status":400,"detail":"the head of the request is not valid HTTP/1.1: look for a target with characters that are not percent-encoded, an invalid method, version, header name or header value, Content-Length twice or not a number, Transfer-Encoding that does not end with chunked or on HTTP/1.0; TLS and HTTP/2 need a proxy in front of this server","code":"invalid","retryable":false}"#
);

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    #[test]
    fn only_bare_responses_are_replaced() {
        assert_eq!(ParseErrorStatus::of(BARE), Some(ParseErrorStatus::TooLarge));
        for other in [
            &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            b"",
        ] {
            assert_eq!(ParseErrorStatus::of(other), None);
        }
    }

    #[test]
    fn the_responses_are_well_formed() {
        for status in [ParseErrorStatus::TooLarge, ParseErrorStatus::Malformed] {
            let text = std::str::from_utf8(status.response(false)).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            assert_eq!(length, body.len().to_string());
            serde_json::from_str::<serde_json::Value>(body).unwrap();
            let without_body = std::str::from_utf8(status.response(true)).unwrap();
            assert_eq!(without_body, format!("{head}\r\n\r\n"));
        }
    }
}
