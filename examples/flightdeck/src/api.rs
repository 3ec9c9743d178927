use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{ALLOW, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use downlink::decider::{CommandContext, CommandId};
use downlink::{Executor, Hub};
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Object, Problem};
use serde::Deserialize;

use crate::api_error::ApiError;
use crate::flight::{Action, FlightCommand, FlightId, Flights, Gate, InvalidFlightId, Party};
use crate::read_models::{BOARD, Model, PUNCTUALITY, QueryResult, ROUTES, ReadModels, RowFilter};
use crate::replay::{Control, Replay, Status};

/// The state of the routes.
#[derive(Clone, Debug)]
struct ApiState {
    flights: Executor<Flights>,
    replay: Replay,
    read_models: ReadModels,
}

/// Everything under `/api`: the feed, the queries and the commands.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, replay: Replay, read_models: ReadModels) -> Router {
    let feed = Feed::new(hub).with_live(read_models.live());
    let state = ApiState { flights: Executor::new(hub, Flights), replay, read_models };
    let own = Router::new()
        .route("/board", with_methods("GET, HEAD", get(board)))
        .route("/punctuality", with_methods("GET, HEAD", get(punctuality)))
        .route("/routes", with_methods("GET, HEAD", get(routes)))
        .route("/replay", with_methods("GET, HEAD, POST", get(status).post(control)))
        .route("/flights/{flight}/delay", with_methods("POST", post(delay)))
        .route("/flights/{flight}/gate", with_methods("POST", post(change_gate)))
        .route("/flights/{flight}/cancel", with_methods("POST", post(cancel)))
        .layer(map_response(no_store))
        .with_state(state);
    feed.guard(own).merge(feed.router())
}
// ANCHOR_END: router

/// Answers other methods with 405 and a problem document.
fn with_methods(methods: &'static str, routes: MethodRouter<ApiState>) -> MethodRouter<ApiState> {
    routes.fallback(async move || {
        let problem =
            Problem::new(Code::MethodNotAllowed, format!("the allowed methods are {methods}"));
        ([(ALLOW, methods)], problem)
    })
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn board(
    State(state): State<ApiState>,
    filter: FilterQuery,
) -> Result<impl IntoResponse, ApiError> {
    state.query(&BOARD, filter).await
}

async fn punctuality(
    State(state): State<ApiState>,
    filter: FilterQuery,
) -> Result<impl IntoResponse, ApiError> {
    state.query(&PUNCTUALITY, filter).await
}

async fn routes(
    State(state): State<ApiState>,
    filter: FilterQuery,
) -> Result<impl IntoResponse, ApiError> {
    state.query(&ROUTES, filter).await
}

async fn status(State(state): State<ApiState>) -> Json<Status> {
    Json(state.replay.status())
}

async fn control(
    State(state): State<ApiState>,
    body: Body<Control>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(control)) = body?;
    let done = state.replay.control(control).await?;
    Ok((FeedCursor(done.cursor), Json(state.replay.status())))
}

/// A request body that is a JSON object.
type Body<T> = Result<Json<Object<T>>, JsonRejection>;

/// The parameters of a query.
type FilterQuery = Result<Query<RowFilter>, QueryRejection>;

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
    state.execute(&flight, &headers, Action::Delay { minutes, reason, by: Party::Visitor }).await
}

async fn change_gate(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    headers: HeaderMap,
    body: Body<ChangeGate>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(ChangeGate { gate })) = body?;
    state.execute(&flight, &headers, Action::ChangeGate { gate, by: Party::Visitor }).await
}

async fn cancel(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    headers: HeaderMap,
    body: Body<Cancel>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Object(Cancel { reason })) = body?;
    state.execute(&flight, &headers, Action::Cancel { reason, by: Party::Visitor }).await
}

impl ApiState {
    /// Returns rows, and the cursor from which to follow the feed.
    async fn query(
        &self,
        model: &'static Model,
        filter: FilterQuery,
    ) -> Result<(FeedCursor, Json<QueryResult>), ApiError> {
        let answer = self.read_models.query(model, filter?.0).await?;
        Ok((FeedCursor(answer.cursor), Json(answer)))
    }

    /// Executes a visitor's command at the current minute of the replay. Returns the
    /// events, and the cursor by which a page recognises them.
    async fn execute(
        &self,
        flight: &str,
        headers: &HeaderMap,
        action: Action,
    ) -> Result<impl IntoResponse + use<>, ApiError> {
        let flight: FlightId = flight.parse().map_err(|error| unknown(&error))?;
        let context = context(headers, &action)?;
        let command = FlightCommand { at: self.replay.status().clock, action };
        let done = self.flights.execute_with(&context, flight.stream(), command).await?;
        Ok((FeedCursor(done.cursor), Json(done.events)))
    }
}

/// Recognises a repeated request by its `Idempotency-Key`. Another command with the same
/// key is refused.
fn context(headers: &HeaderMap, action: &Action) -> Result<CommandContext, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(CommandContext::new()) };
    let key: Option<CommandId> = key.to_str().ok().and_then(|key| key.parse().ok());
    let key = key.ok_or_else(|| {
        let detail =
            "an Idempotency-Key must be a UUID, preferably of version 7: create a new one for every command";
        ApiError::Problem(Problem::new(Code::Invalid, detail))
    })?;
    let fingerprint = serde_json::to_vec(action).expect("an action can be serialized");
    Ok(CommandContext::of(key).with_fingerprint(fingerprint))
}

fn unknown(error: &InvalidFlightId) -> ApiError {
    ApiError::Problem(Problem::new(Code::NotFound, error.to_string()))
}
