//! What operators and their machines ask: is it alive, is it ready?
//!
//! Given apart from the feed, so that an application may serve it elsewhere.

mod health;
mod openapi;
mod route;

use axum::Router;
use downlink::Hub;

pub use route::get;

/// `GET /health/live`, `GET /health/ready` and `GET /openapi.json`.
///
/// - `live` is 200 as long as the process answers at all. It asks nobody: a
///   restart cures no store.
/// - `ready` is 200 if the store answers within two seconds, and 503 with a
///   problem that says why if it does not, if the log cannot be read for
///   subscriptions, if a transaction of the application holds up every append
///   past its deadline, if the hub was shut down, or if the server drains.
/// - `openapi.json` describes the routes of the feed.
///
/// These routes answer under every `Host`: an orchestrator asks by address, and
/// they tell nothing of the log.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink_transports::{feed, ops};
///
/// let hub = downlink::memory::hub().await?;
/// let app: axum::Router =
///     axum::Router::new().nest("/api", feed::router(&hub)).merge(ops::router(&hub));
/// # Ok(()) }
/// ```
pub fn router(hub: &Hub) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/openapi.json", get(openapi::document))
        .with_state(hub.clone())
}
