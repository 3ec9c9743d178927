#![doc = include_str!("command.md")]

mod at_least;
mod body;
mod command_request;
mod problem;
mod refusal;
mod rejection;

pub use at_least::AtLeast;
pub use command_request::CommandRequest;
pub use refusal::CommandRefusal;

use crate::wire::{Code, Problem};

/// Answers a method that a path does not take with 405 and a problem document, whose
/// `Allow` axum adds.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use downlink_transports::command;
///
/// let commands: Router = Router::new()
///     .route("/depart", post(async || "departed"))
///     .method_not_allowed_fallback(command::method_not_allowed);
/// ```
#[expect(clippy::unused_async, reason = "axum takes async functions as handlers")]
pub async fn method_not_allowed() -> Problem {
    let detail = "this path does not take this method: the header 'Allow' lists those it takes";
    Problem::new(Code::MethodNotAllowed, detail)
}
