use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Request};
use downlink::decider::{CommandContext, CommandId};
use http::header::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;

use super::body;
use crate::wire::{Code, Object, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A command as a client sends it: a JSON object, and perhaps an `Idempotency-Key`.
///
/// The key is a UUID, preferably of version 7, and becomes the command's id: a
/// request that is repeated with the same key takes effect once, and gets the outcome of
/// the first time. Another request with the same key (another method, path, query or
/// body) is refused with 422 `id-reused` when its command is executed with
/// [`context`](Self::context). Without a key, a repeated request is another command.
///
/// The body is read as [`Object`] is. Rejections are problem documents: 400, 413 and 415.
///
/// # Examples
///
/// ```
/// # use downlink::{Decider, Executor};
/// # use serde::{Serialize};
/// # struct Delays;
/// # #[derive(Debug, Serialize, Deserialize)]
/// # enum FlightEvent { FlightDelayed { minutes: u32 } }
/// # impl Decider for Delays {
/// #     type State = u32;
/// #     type Command = Delay;
/// #     type Event = FlightEvent;
/// #     type Error = std::convert::Infallible;
/// #     fn initial(&self) -> u32 { 0 }
/// #     fn decide(&self, _: &u32, delay: &Delay) -> Result<Vec<FlightEvent>, Self::Error> {
/// #         Ok(vec![FlightEvent::FlightDelayed { minutes: delay.minutes }])
/// #     }
/// #     fn evolve(&self, sum: u32, event: &FlightEvent) -> u32 {
/// #         let FlightEvent::FlightDelayed { minutes } = event;
/// #         sum + minutes
/// #     }
/// # }
/// use axum::extract::{Path, State};
/// use axum::response::IntoResponse;
/// use axum::routing::post;
/// use axum::{Json, Router};
/// use downlink_transports::command::CommandRequest;
/// use downlink_transports::feed::FeedCursor;
/// use downlink_transports::wire::Problem;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Delay {
///     minutes: u32,
/// }
///
/// async fn delay(
///     State(flights): State<Executor<Delays>>,
///     Path(flight): Path<String>,
///     request: CommandRequest<Delay>,
/// ) -> Result<impl IntoResponse, Problem> {
///     let stream = format!("flight-{flight}");
///     let done = flights.execute_with(&request.context, stream, request.body).await?;
///     Ok((FeedCursor(done.cursor), Json(done.events)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// let hub = downlink::memory::hub().await?;
/// let commands: Router = Router::new()
///     .route("/flights/{flight}/delay", post(delay))
///     .with_state(Executor::new(&hub, Delays));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CommandRequest<T> {
    /// What the client sent.
    pub body: T,
    /// The context in which to execute the command: its id, and a fingerprint of the
    /// request.
    pub context: CommandContext,
    key: Option<CommandId>,
    fingerprint: Vec<u8>,
}

impl<T> CommandRequest<T> {
    /// Makes the key one of this user: the same key of another user is then the key of
    /// another command.
    ///
    /// Call it wherever users must not see what others do: otherwise a user who learns
    /// the key of another one, and repeats the request, gets the outcome of that command.
    ///
    /// # Examples
    ///
    /// ```
    /// use downlink_transports::command::CommandRequest;
    ///
    /// fn of_ada<T>(request: CommandRequest<T>) -> CommandRequest<T> {
    ///     request.of_user("ada")
    /// }
    /// ```
    #[must_use]
    pub fn of_user(mut self, user: impl AsRef<[u8]>) -> Self {
        self.key = self.key.map(|key| key.derive(user.as_ref()));
        self.context = context(self.key, &self.fingerprint);
        self
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for CommandRequest<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Problem> {
        let key = key(request.headers())?;
        let mut fingerprint = head(&request).into_bytes();
        let bytes = body::read(request, state).await?;
        let Object(body) = body::parse(&bytes)?;
        fingerprint.extend_from_slice(&bytes);
        Ok(Self { body, context: context(key, &fingerprint), key, fingerprint })
    }
}

/// What tells a request from others, apart from its body.
fn head(request: &Request<Body>) -> String {
    let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |uri| &uri.0);
    let target = uri.path_and_query().map_or(uri.path(), |target| target.as_str());
    format!("{} {target}\n", request.method())
}

fn context(key: Option<CommandId>, fingerprint: &[u8]) -> CommandContext {
    match key {
        Some(key) => CommandContext::of(key).with_fingerprint(fingerprint),
        None => CommandContext::new(),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().map(unquoted).and_then(|key| key.parse().ok());
    match (key, keys.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(Problem::new(
            Code::Invalid,
            "an Idempotency-Key must be a UUID, preferably of version 7, and sent once: create \
             a new one for every command",
        )),
    }
}

/// The key without the quotes of a structured header.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)
}
