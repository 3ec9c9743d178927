use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{ALLOW, CACHE_CONTROL};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use downlink::{EventId, Hub};
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Problem};
use serde::Deserialize;

use crate::Processor;
use crate::flight::{Action, Flight, FlightCommand, FlightId, NotAFlight, Party};
use crate::refusal::Refusal;
use crate::replay::{Control, Replay, Status};

/// What the routes work with.
#[derive(Clone, Debug)]
struct Desk {
    processor: Processor,
    replay: Replay,
}

/// The feed, and beside it what a visitor can do: everything under `/api`.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, replay: Replay) -> Router {
    let feed = Feed::new(hub);
    let desk = Desk { processor: Processor::new(hub.clone()), replay };
    let commands = Router::new()
        .route("/replay", only("GET, HEAD, POST", get(status).post(control)))
        .route("/flights/{flight}/delay", only("POST", post(delay)))
        .route("/flights/{flight}/cancel", only("POST", post(cancel)))
        .layer(map_response(not_stored))
        .with_state(desk);
    feed.guard(commands).merge(feed.router())
}
// ANCHOR_END: router

/// A path with these methods, and a sentence for whoever comes with another.
fn only(methods: &'static str, routes: MethodRouter<Desk>) -> MethodRouter<Desk> {
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

async fn status(State(desk): State<Desk>) -> Json<Status> {
    Json(desk.replay.status())
}

async fn control(
    State(desk): State<Desk>,
    wish: Result<Json<Control>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let done = desk.replay.wish(wish?.0).await?;
    Ok((FeedCursor(done.cursor), Json(desk.replay.status())))
}

/// The body of a delay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    minutes: u32,
    #[serde(default)]
    reason: Option<String>,
}

/// The body of a cancellation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(default)]
    reason: Option<String>,
}

async fn delay(
    State(desk): State<Desk>,
    Path(flight): Path<String>,
    body: Result<Json<Delay>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Json(Delay { minutes, reason }) = body?;
    desk.act(&flight, Action::Delay { minutes, reason, by: Party::Visitor }).await
}

async fn cancel(
    State(desk): State<Desk>,
    Path(flight): Path<String>,
    body: Result<Json<Cancel>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Json(Cancel { reason }) = body?;
    desk.act(&flight, Action::Cancel { reason, by: Party::Visitor }).await
}

impl Desk {
    /// Gives a visitor's command, at the minute that the clock shows. The
    /// answer is what happened, and the cursor by which a page recognises it.
    async fn act(
        &self,
        flight: &str,
        action: Action,
    ) -> Result<impl IntoResponse + use<>, Refusal> {
        let flight: FlightId = flight.parse().map_err(|error| unknown(&error))?;
        let command = FlightCommand { at: self.replay.status().clock, action };
        let stream = flight.stream();
        let done = self.processor.execute::<Flight>(&stream, command, EventId::now()).await?;
        Ok((FeedCursor(done.cursor), Json(done.events)))
    }
}

fn unknown(error: &NotAFlight) -> Refusal {
    Refusal::Problem(Problem::new(Code::NotFound, error.to_string()))
}
