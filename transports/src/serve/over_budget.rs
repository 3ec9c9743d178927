use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};

use super::cors;
use crate::headers::set_common;
use crate::wire::{Code, Problem};

/// The error of a body that the byte budget has no room for.
#[derive(Debug)]
pub(super) struct OverBudget;

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server holds as many bytes for its clients as it may: retry after the time in \
             Retry-After",
        )
    }
}

impl Error for OverBudget {}

/// The response to a request whose body was refused, in place of that of the
/// handler, which saw the error.
pub(super) fn response(of_handler: &Response) -> Response {
    let pause = Duration::from_millis(rand::random_range(2_000..10_000));
    let problem = Problem::new(Code::Overloaded, OverBudget.to_string()).with_retry_after(pause);
    let mut response = problem.into_response();
    set_common(response.headers_mut());
    cors::copy(of_handler.headers(), response.headers_mut());
    response
}
