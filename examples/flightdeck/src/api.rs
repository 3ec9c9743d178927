use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use downlink::decider::CommandContext;
use downlink::{Executor, Hub};
use downlink_transports::command::{self, CommandRequest};
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Object, Problem};
use serde::Deserialize;

use crate::flight::{Action, FlightCommand, FlightId, Flights, Gate, InvalidFlightId, Party};
use crate::read_models::ReadModels;
use crate::replay::{Control, Replay, Status};

/// The state of the routes.
#[derive(Clone, Debug)]
struct ApiState {
    flights: Executor<Flights>,
    replay: Replay,
}

/// Everything under `/api`: the feed, the live queries and the commands.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, replay: Replay, read_models: &ReadModels) -> Router {
    let feed = Feed::new(hub).with_live(read_models.live());
    let state = ApiState { flights: Executor::new(hub, Flights), replay };
    let own = Router::new()
        .route("/replay", get(status).post(control))
        .route("/flights/{flight}/delay", post(delay))
        .route("/flights/{flight}/gate", post(change_gate))
        .route("/flights/{flight}/cancel", post(cancel))
        .method_not_allowed_fallback(command::method_not_allowed)
        .layer(map_response(no_store))
        .with_state(state);
    feed.guard(own).merge(feed.router())
}
// ANCHOR_END: router

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn status(State(state): State<ApiState>) -> Json<Status> {
    Json(state.replay.status())
}

async fn control(
    State(state): State<ApiState>,
    Object(control): Object<Control>,
) -> Result<impl IntoResponse, Problem> {
    let done = state.replay.control(control).await?;
    Ok((FeedCursor(done.cursor), Json(state.replay.status())))
}

/// The body of a delay.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    minutes: u32,
    #[serde(default)]
    reason: Option<String>,
}

/// The body of a change of gate.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeGate {
    gate: Gate,
}

/// The body of a cancellation.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    #[serde(default)]
    reason: Option<String>,
}

async fn delay(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    request: CommandRequest<Delay>,
) -> Result<impl IntoResponse, Problem> {
    let CommandRequest { context, body: Delay { minutes, reason }, .. } = request;
    state.execute(&flight, &context, Action::Delay { minutes, reason, by: Party::Visitor }).await
}

async fn change_gate(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    request: CommandRequest<ChangeGate>,
) -> Result<impl IntoResponse, Problem> {
    let CommandRequest { context, body: ChangeGate { gate }, .. } = request;
    state.execute(&flight, &context, Action::ChangeGate { gate, by: Party::Visitor }).await
}

async fn cancel(
    State(state): State<ApiState>,
    Path(flight): Path<String>,
    request: CommandRequest<Cancel>,
) -> Result<impl IntoResponse, Problem> {
    let CommandRequest { context, body: Cancel { reason }, .. } = request;
    state.execute(&flight, &context, Action::Cancel { reason, by: Party::Visitor }).await
}

impl ApiState {
    /// Executes a visitor's command at the current minute of the replay. Returns the
    /// events, and the cursor by which a page recognises them.
    async fn execute(
        &self,
        flight: &str,
        context: &CommandContext,
        action: Action,
    ) -> Result<impl IntoResponse + use<>, Problem> {
        let flight: FlightId = flight.parse().map_err(|error| unknown(&error))?;
        let command = FlightCommand { at: self.replay.status().clock, action };
        let done = self.flights.execute_with(context, flight.stream(), command).await?;
        Ok((FeedCursor(done.cursor), Json(done.events)))
    }
}

fn unknown(error: &InvalidFlightId) -> Problem {
    Problem::new(Code::NotFound, error.to_string())
}
