use std::time::Duration;

use axum::extract::FromRequestParts;
use downlink::{Cursor, Hub, ProjectionHandle, Read};
use http::Method;
use http::request::Parts;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::feed::draining;
use crate::wire::{Code, Problem, Query};

/// Reads your writes: the parameters `at_least=<cursor>` and `wait=<seconds>` of a
/// query.
///
/// A client that sends the `Feed-Cursor` of its command as `at_least` gets an answer
/// that contains its events. `wait` is how long it waits for it: 0 by default, at most
/// 55 seconds. Without `at_least` nothing is waited for. Other parameters are those of the
/// application: extract them with axum's `Query`, whose type has to accept these two.
///
/// # Examples
///
/// ```
/// use axum::Json;
/// use axum::extract::State;
/// use axum::response::IntoResponse;
/// use downlink::memory::MemoryProjections;
/// use downlink::{Hub, ProjectionHandle};
/// use downlink_transports::command::AtLeast;
/// use downlink_transports::feed::FeedCursor;
/// use downlink_transports::wire::{Code, Problem};
///
/// #[derive(Clone)]
/// struct App {
///     hub: Hub,
///     models: MemoryProjections<u64>,
///     delays: ProjectionHandle,
/// }
///
/// async fn delays(State(app): State<App>, at_least: AtLeast) -> Result<impl IntoResponse, Problem> {
///     at_least.reached(&app.hub, &app.delays).await?;
///     let (count, cursor) = app
///         .models
///         .live_state_with_checkpoint("delays")
///         .ok_or_else(|| Problem::new(Code::Unavailable, "delays are being counted: try again later"))?;
///     Ok((FeedCursor(cursor), Json(*count)))
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing waits until a projection is given"]
pub struct AtLeast {
    cursor: Option<Cursor>,
    deadline: Instant,
    /// Without it, the server does not tell when it shuts down.
    drain: Option<CancellationToken>,
}

impl AtLeast {
    /// The names of its parameters.
    pub const PARAMETERS: [&'static str; 2] = ["at_least", "wait"];

    /// The cursor that the answer has to contain, if the client named one.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Waits until the read model contains everything up to the cursor. The time of the
    /// client counts from the request on, so several models can be waited for in turn.
    ///
    /// # Errors
    ///
    /// - 410 [`CursorAhead`](Code::CursorAhead) or
    ///   [`HistoryChanged`](Code::HistoryChanged) if the cursor is of another log;
    /// - 503 [`ModelBehind`](Code::ModelBehind) if the model does not contain it in
    ///   time, and [`Draining`](Code::Draining) if the server shuts down first;
    /// - those of [`ProjectionHandle::wait_for`] and of the store.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn reached(&self, hub: &Hub, model: &ProjectionHandle) -> Result<(), Problem> {
        let Some(cursor) = self.cursor else { return Ok(()) };
        // Verifies the cursor, against the store: what is cached may lag behind it.
        let verify = hub.read_log(Read::log().with_after(cursor).with_limit(0));
        self.unless_draining(verify).await??;
        let waiting = timeout_at(self.deadline, model.wait_for(cursor));
        Ok(self.unless_draining(waiting).await?.map_err(|_| behind())??)
    }

    async fn unless_draining<T>(&self, work: impl Future<Output = T>) -> Result<T, Problem> {
        match &self.drain {
            Some(drain) => drain.run_until_cancelled(work).await.ok_or_else(draining),
            None => Ok(work.await),
        }
    }

    fn of(query: &Query, parts: &Parts) -> Result<Self, Problem> {
        let cursor = query.at_least()?;
        let wait = if parts.method == Method::HEAD { 0 } else { query.wait()? };
        let drain = parts.extensions.get::<Connection>().map(|connection| connection.drain.clone());
        Ok(Self { cursor, deadline: Instant::now() + Duration::from_secs(wait), drain })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AtLeast {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse_some(parts.uri.query(), &Self::PARAMETERS)?;
        Self::of(&query, parts)
    }
}

fn behind() -> Problem {
    let detail = "the read model does not contain the cursor of 'at_least' yet: repeat the \
                  request later, or wait for longer with 'wait'";
    Problem::new(Code::ModelBehind, detail)
}
