use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{ALLOW, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use downlink::{CommandId, Context, Executor, Hub};
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Object, Problem};
use serde::Deserialize;

use crate::api_error::ApiError;
use crate::flight::{Action, FlightCommand, FlightId, Flights, Gate, InvalidFlightId, Party};
use crate::read_models::{BOARD, Model, PUNCTUALITY, QueryResult, ROUTES, ReadModels, RowFilter};
use crate::replay::{Control, Replay, Status};

/// What the routes work with.
#[derive(Clone, Debug)]
struct ApiState {
    flights: Executor<Flights>,
    replay: Replay,
    read_models: ReadModels,
}

/// The feed, and beside it what a visitor can ask and do: everything under
/// `/api`.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, replay: Replay, read_models: ReadModels) -> Router {
    let feed = Feed::new(hub);
    let state = ApiState { flights: Executor::new(hub, Flights), replay, read_models };
    let own = Router::new()
        .route("/board", only("GET, HEAD", get(board)))
        .route("/punctuality", only("GET, HEAD", get(punctuality)))
        .route("/routes", only("GET, HEAD", get(routes)))
        .route("/replay", only("GET, HEAD, POST", get(status).post(control)))
        .route("/flights/{flight}/delay", only("POST", post(delay)))
        .route("/flights/{flight}/gate", only("POST", post(change_gate)))
        .route("/flights/{flight}/cancel", only("POST", post(cancel)))
        .layer(map_response(not_stored))
        .with_state(state);
    feed.guard(own).merge(feed.router())
}
// ANCHOR_END: router

/// A path with these methods, and a sentence for whoever comes with another.
fn only(methods: &'static str, routes: MethodRouter<ApiState>) -> MethodRouter<ApiState> {
    routes.fallback(async move || {
        let problem =
            Problem::new(Code::MethodNotAllowed, format!("the methods here are {methods}"));
        ([(ALLOW, methods)], problem)
    })
}

async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn board(
    State(state): State<ApiState>,
    filter: Asked,
) -> Result<impl IntoResponse, ApiError> {
    state.answer(&BOARD, filter).await
}

async fn punctuality(
    State(state): State<ApiState>,
    filter: Asked,
) -> Result<impl IntoResponse, ApiError> {
    state.answer(&PUNCTUALITY, filter).await
}

async fn routes(
    State(state): State<ApiState>,
    filter: Asked,
) -> Result<impl IntoResponse, ApiError> {
    state.answer(&ROUTES, filter).await
}

async fn status(State(state): State<ApiState>) -> Json<Status> {
    Json(state.replay.status())
}

async fn control(
    State(state): State<ApiState>,
    control: Body<Control>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(control)) = control?;
    let done = state.replay.control(control).await?;
    Ok((FeedCursor(done.cursor), Json(state.replay.status())))
}

/// A body, which is one JSON object.
type Body<T> = Result<Json<Object<T>>, JsonRejection>;

/// What a query asks for.
type Asked = Result<Query<RowFilter>, QueryRejection>;

/// The body of a delay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    minutes: u32,
    #[serde(default)]
    reason: Option<String>,
}

/// The body of a change of gate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeGate {
    gate: Gate,
}

/// The body of a cancellation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(default)]
    reason: Option<String>,
}

async fn delay(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    headers: HeaderMap,
    body: Body<Delay>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(Delay { minutes, reason })) = body?;
    state.act(&flight, &headers, Action::Delay { minutes, reason, by: Party::Visitor }).await
}

async fn change_gate(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    headers: HeaderMap,
    body: Body<ChangeGate>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(ChangeGate { gate })) = body?;
    state.act(&flight, &headers, Action::ChangeGate { gate, by: Party::Visitor }).await
}

async fn cancel(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    headers: HeaderMap,
    body: Body<Cancel>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(Cancel { reason })) = body?;
    state.act(&flight, &headers, Action::Cancel { reason, by: Party::Visitor }).await
}

impl ApiState {
    /// Rows, and the cursor after which the feed goes on from them.
    async fn answer(
        &self,
        model: &'static Model,
        filter: Asked,
    ) -> Result<(FeedCursor, Json<QueryResult>), ApiError> {
        let answer = self.read_models.query(model, filter?.0).await?;
        Ok((FeedCursor(answer.cursor), Json(answer)))
    }

    /// Gives a visitor's command, at the minute that the clock shows. The
    /// answer is what happened, and the cursor by which a page recognises it.
    async fn act(
        &self,
        flight: &str,
        headers: &HeaderMap,
        action: Action,
    ) -> Result<impl IntoResponse + use<>, ApiError> {
        let flight: FlightId = flight.parse().map_err(|error| unknown(&error))?;
        let context = context(headers, &action)?;
        let command = FlightCommand { at: self.replay.status().clock, action };
        let done = self.flights.execute_in(&context, flight.stream(), command).await?;
        Ok((FeedCursor(done.cursor), Json(done.events)))
    }
}

/// A request that comes again, because its answer was lost, is recognised by its
/// `Idempotency-Key`. Another command with the same key is refused.
fn context(headers: &HeaderMap, action: &Action) -> Result<Context, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(Context::new()) };
    let key: Option<CommandId> = key.to_str().ok().and_then(|key| key.parse().ok());
    let key = key.ok_or_else(|| {
        let detail =
            "an Idempotency-Key is a UUID, best of version 7: make a new one for every command";
        ApiError::Problem(Problem::new(Code::Invalid, detail))
    })?;
    let said = serde_json::to_vec(action).expect("an action has no keys but names");
    Ok(Context::of(key).with_fingerprint(said))
}

fn unknown(error: &InvalidFlightId) -> ApiError {
    ApiError::Problem(Problem::new(Code::NotFound, error.to_string()))
}
