use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use downlink::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Why a gate was not assigned.
#[derive(Debug)]
pub enum GateError {
    /// SQLite rejected the row.
    Sql(rusqlite::Error),
    /// The store failed or refused the event.
    Store(Error),
}

impl From<rusqlite::Error> for GateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for GateError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for GateError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Sql(error)
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                return (StatusCode::CONFLICT, "the gate is occupied").into_response();
            }
            Self::Store(error) => match error.kind() {
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::Conflict | ErrorKind::IdReused => StatusCode::CONFLICT,
                ErrorKind::Busy | ErrorKind::Overloaded | ErrorKind::Unavailable => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Sql(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = match self {
            Self::Store(error) => error.to_string(),
            Self::Sql(error) => error.to_string(),
        };
        (status, message).into_response()
    }
}
