use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use downlink::decider::ExecuteError;
use downlink_transports::wire::{Code, Problem};
use serde_json::json;

/// An error response: `application/problem+json`, whose `detail` says what to do.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The command was refused: 409, not retryable.
    Refused(String),
    /// The request was invalid, or the log failed.
    Problem(Problem),
}

impl<R: ToString> From<ExecuteError<R>> for ApiError {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refused) => Self::Refused(refused.to_string()),
            ExecuteError::Store(error) | ExecuteError::Undecodable(error) => error.into(),
        }
    }
}

impl From<downlink::Error> for ApiError {
    fn from(error: downlink::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            _ => Code::Invalid,
        };
        Self::Problem(Problem::new(code, rejection.body_text()))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::Problem(Problem::new(Code::Invalid, rejection.body_text()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Refused(detail) => {
                let body = json!({
                    "type": "urn:flightdeck:problem:refused",
                    "title": "Refused",
                    "status": 409,
                    "detail": detail,
                    "code": "refused",
                    "retryable": false,
                });
                let kind = [(CONTENT_TYPE, "application/problem+json")];
                (StatusCode::CONFLICT, kind, body.to_string()).into_response()
            }
        }
    }
}
