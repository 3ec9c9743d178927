use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use downlink::error::FailedCheck;
use downlink::live::LiveError;
use downlink::transport::Frame;
use downlink::{Error, ErrorKind, Expected, Version};
use http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Code;

#[cfg(feature = "client")]
mod parse;

#[cfg(feature = "client")]
pub(super) use parse::ProblemMembers;
#[cfg(feature = "client")]
pub use parse::{parse_problem_code, parse_refusal, problem_error};

/// What the `type` of a feed's problem is, before its code.
const NAMESPACE: &str = "urn:downlink:problem:";

/// The longest detail, which may quote a request.
const MAX_DETAIL_BYTES: usize = 1_000;

/// A refusal or failure as clients receive it: `application/problem+json`
/// (RFC 9457) in an answer, and the member `problem` in a frame.
///
/// A problem made from a [`downlink::Error`] never contains a driver's text.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::{Code, Problem};
///
/// let problem = Problem::new(Code::BadFilter, "'stream' is empty: leave it out or name a stream")
///     .with_parameter("stream");
/// assert_eq!(problem.status(), 400);
/// assert!(problem.to_json().starts_with(r#"{"type":"urn:downlink:problem:bad-filter""#));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    // Boxed to keep results small.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    detail: String,
    failed: Vec<FailedCheck>,
    limit: Option<usize>,
    parameter: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    challenge: Option<HeaderValue>,
    /// What the application says instead of the code.
    own: Option<OwnKind>,
}

/// A kind of problem that an application defines.
#[derive(Clone, PartialEq, Eq)]
struct OwnKind {
    namespace: &'static str,
    code: &'static str,
}

impl Problem {
    /// Creates a problem. The detail says what happened and what to do; it is
    /// truncated to 1,000 bytes.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        let inner = Inner {
            code,
            detail,
            failed: Vec::new(),
            limit: None,
            parameter: None,
            retry_after: code.is_retryable().then_some(Duration::from_secs(1)),
            allow: None,
            challenge: None,
            own: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// A refusal of the application, with its own type and code.
    pub(crate) fn refused(namespace: &'static str, code: &'static str, detail: String) -> Self {
        let mut problem = Self::new(Code::Refused, detail);
        problem.inner.own = Some(OwnKind { namespace, code });
        problem
    }

    /// Sets the parameter that caused the problem.
    #[must_use]
    pub fn with_parameter(mut self, parameter: impl Into<String>) -> Self {
        let mut parameter = parameter.into();
        parameter.truncate(parameter.floor_char_boundary(MAX_DETAIL_BYTES));
        self.inner.parameter = Some(parameter);
        self
    }

    /// Sets the limit that was exceeded.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.inner.limit = Some(limit);
        self
    }

    /// Sets when to retry, in whole seconds and at least one: one second by default
    /// if the code is retryable.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.inner.retry_after = Some(pause);
        self
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Sets the methods that the path takes.
    pub(crate) fn with_allow(mut self, methods: &'static str) -> Self {
        self.inner.allow = Some(methods);
        self
    }

    /// Sets the `WWW-Authenticate` challenge.
    pub(crate) fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.inner.challenge = Some(challenge);
        self
    }

    /// The code, for programs.
    #[must_use]
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The HTTP status of an answer with this problem.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code().status()
    }

    /// What happened, and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.inner.detail
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code().is_retryable()
    }

    /// Renders the body of an answer, with `status`.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(&Document { problem: self, with_status: true })
    }

    /// Renders the member `problem` of a frame, without `status`.
    #[must_use]
    pub fn to_frame_json(&self) -> String {
        json(&Document { problem: self, with_status: false })
    }

    /// The problem as a frame.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        Frame::Problem {
            code: self.code().as_str().to_owned(),
            detail: self.detail().to_owned(),
            retryable: self.is_retryable(),
            json: self.to_frame_json().into(),
        }
    }

    fn set_headers(&self, headers: &mut HeaderMap) {
        let Inner { code, retry_after, allow, challenge, .. } = &*self.inner;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)));
        }
        if matches!(code, Code::Draining | Code::RequestTimeout) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if *code == Code::UpgradeRequired {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if let Some(methods) = allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
    }
}

fn json(document: &Document<'_>) -> String {
    serde_json::to_string(document).expect("a problem has string keys and plain values")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let text = match kind {
            ErrorKind::Conflict
            | ErrorKind::IdReused
            | ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::CursorAhead
            | ErrorKind::HistoryChanged => error.to_string(),
            _ => general_text(kind).to_owned(),
        };
        let mut problem = Self::new(Code::from(kind), format!("{text}: {}", kind.advice()));
        problem.inner.failed = error.failed_checks().to_vec();
        problem.inner.limit = error.limit();
        problem
    }
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        let detail = error.to_string();
        match error {
            LiveError::Store(error) => error.into(),
            LiveError::UnknownQuery(_) => Self::new(Code::NotFound, detail),
            LiveError::Forbidden(_) => Self::new(Code::Forbidden, detail),
            LiveError::BadParameter { name, .. } => {
                Self::new(Code::BadParameter, detail).with_parameter(name)
            }
            LiveError::TooLarge(_) => Self::new(Code::TooLarge, detail),
            LiveError::TooSlow => Self::new(Code::QueryTooSlow, detail),
            LiveError::Rebuilding => Self::new(Code::ModelRebuilding, detail),
            LiveError::Behind => Self::new(Code::ModelBehind, detail),
            LiveError::Limit { limit, .. } => Self::new(Code::Limit, detail).with_limit(limit),
            _ => Self::new(Code::Internal, detail),
        }
    }
}

/// Replaces the error's own text, which may be a driver's.
fn general_text(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Overloaded => "the queue of appends is full and nothing was written",
        ErrorKind::Busy => "the store was locked for too long and nothing was written",
        ErrorKind::StorageFull => "the disk of the store is full and nothing was written",
        ErrorKind::Unavailable => "the store is not available",
        ErrorKind::OutcomeUnknown => "it is unknown whether the append was stored",
        ErrorKind::Corrupt => "the log is corrupted",
        _ => "the store failed",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_json()).into_response();
        self.set_headers(response.headers_mut());
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail())
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self})")
    }
}

impl std::error::Error for Problem {}

struct Document<'a> {
    problem: &'a Problem,
    with_status: bool,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Inner { code, detail, failed, limit, parameter, own, .. } = &*self.problem.inner;
        let (namespace, name) =
            own.as_ref().map_or((NAMESPACE, code.as_str()), |own| (own.namespace, own.code));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("{namespace}{name}"))?;
        map.serialize_entry("title", code.title())?;
        if self.with_status {
            map.serialize_entry("status", &code.status().as_u16())?;
        }
        map.serialize_entry("detail", detail)?;
        map.serialize_entry("code", name)?;
        map.serialize_entry("retryable", &code.is_retryable())?;
        if !failed.is_empty() {
            map.serialize_entry("failed", &failed.iter().map(Failed).collect::<Vec<_>>())?;
        }
        if let Some(limit) = limit {
            map.serialize_entry("limit", limit)?;
        }
        if let Some(parameter) = parameter {
            map.serialize_entry("parameter", parameter)?;
        }
        map.end()
    }
}

struct Failed<'a>(&'a FailedCheck);

impl Serialize for Failed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            FailedCheck::Stream { stream, expected, actual } => {
                map.serialize_entry("stream", stream.as_str())?;
                map.serialize_entry("expected", &WireExpected(*expected))?;
                map.serialize_entry("actual", &actual.map_or(0, Version::get))?;
            }
            FailedCheck::Boundary { after, found } => {
                map.serialize_entry("after", &after.to_string())?;
                map.serialize_entry("found", &found.to_string())?;
            }
            _ => {}
        }
        map.end()
    }
}

/// An expected version as in requests.
struct WireExpected(Expected);

impl Serialize for WireExpected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Expected::Any => serializer.serialize_str("any"),
            Expected::NoStream => serializer.serialize_str("none"),
            Expected::Exists => serializer.serialize_str("exists"),
            Expected::Exact(version) => serializer.serialize_u64(version.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_the_order_of_the_wire_contract() {
        let problem =
            Problem::new(Code::BadFilter, "'stream' is empty: leave it out or name a stream")
                .with_parameter("stream");
        assert_eq!(
            problem.to_frame_json(),
            r#"{"type":"urn:downlink:problem:bad-filter","title":"Bad filter","detail":"'stream' is empty: leave it out or name a stream","code":"bad-filter","retryable":false,"parameter":"stream"}"#
        );
        assert!(problem.to_json().contains(r#""title":"Bad filter","status":400,"detail":"#));
    }

    #[test]
    fn a_conflict_lists_every_failed_check() {
        let stream = |name| downlink::StreamId::new(name).unwrap();
        let failed = vec![
            FailedCheck::Stream {
                stream: stream("flight-UA1545"),
                expected: Expected::NoStream,
                actual: Some(Version::FIRST),
            },
            FailedCheck::Stream {
                stream: stream("flight-AA1141"),
                expected: Expected::Exact(Version::FIRST),
                actual: None,
            },
        ];
        let problem = Problem::from(Error::conflict(failed));
        assert_eq!(problem.status(), 409);
        assert!(problem.to_json().contains(
            r#""failed":[{"stream":"flight-UA1545","expected":"none","actual":1},{"stream":"flight-AA1141","expected":1,"actual":0}]"#
        ));
    }

    #[test]
    fn a_driver_text_is_never_shown() {
        for kind in [
            ErrorKind::Backend,
            ErrorKind::Unavailable,
            ErrorKind::Corrupt,
            ErrorKind::Busy,
            ErrorKind::StorageFull,
            ErrorKind::OutcomeUnknown,
        ] {
            let error = Error::with_source(kind, "SQLITE_SECRET", "path /var/lib/secret");
            assert!(!Problem::from(error).to_json().to_lowercase().contains("secret"), "{kind:?}");
        }
    }

    #[test]
    fn retryable_problems_have_retry_after() {
        let response = Problem::from(Error::new(ErrorKind::Overloaded, "full")).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let response = Problem::new(Code::BadCursor, "").into_response();
        assert!(response.headers().get(RETRY_AFTER).is_none());
    }

    #[test]
    fn a_long_detail_is_truncated_between_characters() {
        let problem = Problem::new(Code::BadCursor, "é".repeat(2_000));
        assert!(problem.detail().len() <= 1_000);
    }
}
