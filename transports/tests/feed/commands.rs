//! Commands on an application's own routes: every status, and reading one's writes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use downlink::memory::MemoryProjections;
use downlink::{
    BoxError, Cursor, Decider, ErrorKind, Event, EventStoreExt, Executor, Expected, Hub, NewEvent,
    Projection, ProjectionHandle,
};
use downlink_transports::Connection;
use downlink_transports::command::{self, AtLeast, CommandRefusal, CommandRequest};
use downlink_transports::feed::FeedCursor;
use downlink_transports::wire::{Object, Problem};
use futures::future::join_all;
use http::{Request, request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{
    Answer, App, Failing, empty, get as get_request, hub, post as post_request, put,
};

const KEY: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";

/// Delays of a flight, of at most an hour in all.
#[derive(Clone, Copy, Debug)]
struct Delays;

#[derive(Debug, Serialize, Deserialize)]
enum FlightEvent {
    FlightDelayed { minutes: u32 },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    minutes: u32,
}

#[derive(Debug)]
struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flight cannot be delayed by more than an hour: cancel it")
    }
}

impl CommandRefusal for TooLate {
    const NAMESPACE: &'static str = "urn:airport:problem:";

    fn code(&self) -> &'static str {
        "too-late"
    }
}

impl Decider for Delays {
    type State = u32;
    type Command = Delay;
    type Event = FlightEvent;
    type Error = TooLate;

    fn initial(&self) -> u32 {
        0
    }

    fn decide(&self, sum: &u32, delay: &Delay) -> Result<Vec<FlightEvent>, TooLate> {
        if sum + delay.minutes > 60 {
            return Err(TooLate);
        }
        Ok(vec![FlightEvent::FlightDelayed { minutes: delay.minutes }])
    }

    fn evolve(&self, sum: u32, event: &FlightEvent) -> u32 {
        let FlightEvent::FlightDelayed { minutes } = event;
        sum + minutes
    }
}

/// The number of delays.
#[derive(Debug)]
struct Count;

#[async_trait]
impl Projection for Count {
    type Tx = u64;

    fn name(&self) -> &'static str {
        "count"
    }

    async fn prepare(&self, count: &mut u64) -> Result<(), BoxError> {
        *count = 0;
        Ok(())
    }

    async fn apply(&self, events: &[Event], count: &mut u64) -> Result<(), BoxError> {
        *count += u64::try_from(events.len())?;
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Airport {
    hub: Hub,
    flights: Arc<Executor<Delays>>,
    models: MemoryProjections<u64>,
    count: ProjectionHandle,
}

async fn delay(
    State(airport): State<Airport>,
    Path(flight): Path<String>,
    request: CommandRequest<Delay>,
) -> Result<impl IntoResponse, Problem> {
    let done = airport.flights.execute_with(&request.context, flight, request.body).await?;
    Ok((FeedCursor(done.cursor), Json(done.events)))
}

/// The same for a user, whom the test trusts.
async fn delay_of(
    State(airport): State<Airport>,
    Path((user, flight)): Path<(String, String)>,
    request: CommandRequest<Delay>,
) -> Result<impl IntoResponse, Problem> {
    let CommandRequest { body, context, .. } = request.of_user(user);
    let done = airport.flights.execute_with(&context, flight, body).await?;
    Ok((FeedCursor(done.cursor), Json(done.duplicate)))
}

async fn count(
    State(airport): State<Airport>,
    at_least: AtLeast,
) -> Result<impl IntoResponse, Problem> {
    at_least.reached(&airport.hub, &airport.count).await?;
    let state = airport.models.state_with_checkpoint(airport.count.id());
    let (count, cursor) = state.unwrap_or((Arc::new(0), Cursor::START));
    Ok((FeedCursor(cursor), Json(*count)))
}

async fn echo(body: Object<Delay>) -> Json<u32> {
    Json(body.0.minutes)
}

async fn minutes(
    query: Result<Query<Delay>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<u32>, Problem> {
    Ok(Json(query?.minutes))
}

fn airport(hub: &Hub) -> (App, Airport) {
    let models = MemoryProjections::new();
    let count_of = hub.project(Count, models.clone()).start().unwrap();
    let flights = Executor::new(hub, Delays).with_retries(1, Duration::ZERO);
    let state = Airport { hub: hub.clone(), flights: Arc::new(flights), models, count: count_of };
    let router = Router::new()
        .route("/flights/{flight}/delay", post(delay))
        .route("/users/{user}/flights/{flight}/delay", post(delay_of))
        .route("/count", get(count))
        .route("/echo", post(echo))
        .route("/minutes", get(minutes))
        .method_not_allowed_fallback(command::method_not_allowed)
        .with_state(state.clone());
    (App::serving(router), state)
}

fn keyed(uri: &str, key: &str) -> request::Builder {
    post_request(uri).header("idempotency-key", key)
}

async fn ask(app: &App, request: request::Builder, body: &Value) -> Answer {
    app.ask(request.body(Body::from(body.to_string())).unwrap()).await
}

const UA1545: &str = "/flights/UA1545/delay";

#[tokio::test]
async fn a_command_answers_with_its_events_and_the_cursor_to_follow_from() {
    let hub = hub().await;
    let (app, _) = airport(&hub);
    let answer = ask(&app, post_request(UA1545), &json!({"minutes": 20})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!([{"FlightDelayed": {"minutes": 20}}]));
    assert_eq!(answer.header("feed-cursor"), hub.head().await.unwrap().to_string());
}

#[tokio::test]
async fn a_refusal_is_a_409_of_the_applications_own_kind() {
    let (app, _) = airport(&hub().await);
    let answer = ask(&app, post_request(UA1545), &json!({"minutes": 61})).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("retry-after"), "");
    let expected = json!({
        "type": "urn:airport:problem:too-late",
        "title": "Refused",
        "status": 409,
        "detail": "a flight cannot be delayed by more than an hour: cancel it",
        "code": "too-late",
        "retryable": false,
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_request_with_the_same_key_takes_effect_once() {
    let hub = hub().await;
    let (app, _) = airport(&hub);
    let delay = json!({"minutes": 40});
    let first = ask(&app, keyed(UA1545, KEY), &delay).await;
    // A second delay of 40 minutes would be refused.
    let again = ask(&app, keyed(UA1545, &format!("\"{}\"", KEY.to_uppercase())), &delay).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("feed-cursor"), first.header("feed-cursor"));
    let without = ask(&app, post_request(UA1545), &delay).await;
    assert_eq!(without.status, 409, "without a key it is another command");
    assert_eq!(hub.head().await.unwrap().to_string(), first.header("feed-cursor"));
}

#[tokio::test]
async fn another_command_with_the_same_key_is_refused() {
    let hub = hub().await;
    let (app, _) = airport(&hub);
    ask(&app, keyed(UA1545, KEY), &json!({"minutes": 20})).await;
    let head = hub.head().await.unwrap();
    for (uri, minutes) in
        [(UA1545, 10), ("/flights/AA1141/delay", 20), ("/flights/UA1545/delay?by=visitor", 20)]
    {
        let answer = ask(&app, keyed(uri, KEY), &json!({"minutes": minutes})).await;
        let problem = answer.problem(422, "id-reused");
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
        assert_eq!(hub.head().await.unwrap(), head, "{uri}");
    }
}

#[tokio::test]
async fn a_key_is_that_of_one_user() {
    let (app, _) = airport(&hub().await);
    let is_duplicate = async |user: &str| {
        let uri = format!("/users/{user}/flights/UA1545/delay");
        ask(&app, keyed(&uri, KEY), &json!({"minutes": 20})).await.json()
    };
    assert_eq!(is_duplicate("ada").await, false);
    assert_eq!(is_duplicate("ada").await, true);
    assert_eq!(is_duplicate("bob").await, false);
}

#[tokio::test]
async fn malformed_requests_are_problems() {
    let (app, _) = airport(&hub().await);
    let body = json!({"minutes": 20});
    for key in ["", "7", "\"", "0198c0de7a107c3e9b1f2f6f0d9a4e11", "caf\u{e9}"] {
        ask(&app, keyed(UA1545, key), &body).await.problem(400, "invalid");
    }
    let twice = keyed(UA1545, KEY).header("idempotency-key", KEY);
    ask(&app, twice, &body).await.problem(400, "invalid");
    for uri in [UA1545, "/echo"] {
        for bad in [json!([20]), json!({}), json!({"minutes": 20, "hours": 0}), json!(20)] {
            ask(&app, post_request(uri), &bad).await.problem(400, "invalid");
        }
        app.post(uri, "{\"minutes\": 2").await.problem(400, "invalid");
        app.post(uri, vec![b' '; 3 << 20]).await.problem(413, "too-large");
        let form = Request::post(uri).header("host", "localhost");
        ask(&app, form, &body).await.problem(415, "unsupported-media-type");
    }
    app.get("/minutes?minutes=soon").await.problem(400, "invalid");
    assert_eq!(app.get("/minutes?minutes=20").await.json(), 20);
}

#[tokio::test]
async fn other_methods_are_answered_with_those_that_the_path_takes() {
    let (app, _) = airport(&hub().await);
    let answer = app.get(UA1545).await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = app.post("/count", "{}").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn errors_of_the_store_are_those_of_the_wire_contract() {
    for (kind, status, code) in [
        (ErrorKind::Conflict, 503, "busy"),
        (ErrorKind::IdReused, 422, "id-reused"),
        (ErrorKind::TooLarge, 413, "too-large"),
        (ErrorKind::Overloaded, 503, "overloaded"),
        (ErrorKind::Busy, 503, "busy"),
        (ErrorKind::StorageFull, 507, "storage-full"),
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::OutcomeUnknown, 504, "outcome-unknown"),
        (ErrorKind::Corrupt, 500, "corrupt"),
        (ErrorKind::Backend, 500, "internal"),
    ] {
        let store = Failing::default();
        let (app, _) = airport(&store.hub().await);
        store.fail_append(kind);
        let answer = ask(&app, keyed(UA1545, KEY), &json!({"minutes": 20})).await;
        let problem = answer.problem(status, code);
        let is_retryable = problem["retryable"].as_bool().unwrap();
        assert_eq!(is_retryable, !answer.header("retry-after").is_empty(), "{kind:?}");
        let may_know = matches!(kind, ErrorKind::TooLarge);
        assert!(may_know || !problem.to_string().contains("SECRET"), "{problem}");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_decoded_is_an_error_of_the_server() {
    let hub = hub().await;
    let (app, _) = airport(&hub);
    let foreign = NewEvent::json("GateTaken", "{}").unwrap();
    hub.store().append_to("UA1545", Expected::Any, [foreign]).await.unwrap();
    ask(&app, post_request(UA1545), &json!({"minutes": 20})).await.problem(500, "corrupt");
}

async fn delayed(app: &App) -> String {
    let answer = ask(app, post_request(UA1545), &json!({"minutes": 1})).await;
    answer.header("feed-cursor").to_owned()
}

#[tokio::test]
async fn a_query_contains_what_its_client_has_written() {
    let (app, _) = airport(&hub().await);
    for written in 1..=20 {
        let cursor = delayed(&app).await;
        let answer = app.get(&format!("/count?at_least={cursor}&wait=50&other=1")).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(written)));
        assert_eq!(answer.header("feed-cursor"), cursor);
    }
    assert_eq!(app.get("/count").await.json(), 20);
}

/// The number of events that the feed has after this cursor.
async fn count_after(app: &App, cursor: &str) -> usize {
    let (mut cursor, mut count) = (cursor.to_owned(), 0);
    loop {
        let page = app.get(&format!("/feed?after={cursor}&limit=7")).await.json();
        count += page["events"].as_array().unwrap().len();
        if page["more"] == false {
            return count;
        }
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
}

#[tokio::test]
async fn a_page_and_the_feed_after_its_cursor_miss_nothing() {
    const WRITERS: usize = 4;
    const EACH: usize = 50;
    let hub = hub().await;
    let (app, airport) = airport(&hub);
    let writers = (0..WRITERS).map(|writer| {
        let hub = hub.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                put(&hub, &format!("flight-{writer}"), "FlightDelayed").await;
                tokio::task::yield_now().await;
            }
        })
    });
    let writing = AbortOnDropHandle::new(tokio::spawn(join_all(writers.collect::<Vec<_>>())));
    let mut loaded = Vec::new();
    while !writing.is_finished() {
        // The model lags behind the log now and then.
        if loaded.len() % 2 == 0 {
            airport.count.pause().await.unwrap();
        } else {
            airport.count.resume().await.unwrap();
        }
        let page = app.get("/count").await;
        let count = usize::try_from(page.json().as_u64().unwrap()).unwrap();
        loaded.push((count, page.header("feed-cursor").to_owned()));
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    let between = loaded.iter().filter(|(count, _)| (1..WRITERS * EACH).contains(count)).count();
    assert!(between > 0, "no page was loaded while events were appended");
    let feed = App::new(&hub);
    for (count, cursor) in loaded {
        let followed = count_after(&feed, &cursor).await;
        assert_eq!(count + followed, WRITERS * EACH, "the page of {cursor}");
    }
}

#[tokio::test]
async fn a_model_that_stays_behind_is_told_so() {
    let (app, airport) = airport(&hub().await);
    airport.count.pause().await.unwrap();
    let cursor = delayed(&app).await;
    for query in ["", "&wait=0", "&wait=1"] {
        let answer = app.get(&format!("/count?at_least={cursor}{query}")).await;
        answer.problem(503, "model-behind");
        assert_eq!(answer.header("retry-after"), "1");
    }
    let head = get_request(&format!("/count?at_least={cursor}&wait=55")).method("HEAD");
    assert_eq!(app.ask(empty(head)).await.status, 503, "HEAD never waits");
    let uri = format!("/count?at_least={cursor}&wait=55");
    let waiting = app.get(&uri);
    let resumed = async {
        tokio::task::yield_now().await;
        airport.count.resume().await.unwrap();
    };
    assert_eq!(tokio::join!(waiting, resumed).0.json(), 1);
}

#[tokio::test]
async fn a_query_that_waits_ends_when_the_server_drains() {
    let (app, airport) = airport(&hub().await);
    airport.count.pause().await.unwrap();
    let cursor = delayed(&app).await;
    let drain = CancellationToken::new();
    let connection = Connection::new(([127, 0, 0, 1], 9).into(), drain.clone());
    let request = get_request(&format!("/count?at_least={cursor}&wait=55")).extension(connection);
    let waiting = app.ask(empty(request));
    let drained = async {
        tokio::task::yield_now().await;
        drain.cancel();
    };
    tokio::join!(waiting, drained).0.problem(503, "draining");
}

#[tokio::test]
async fn a_cursor_of_another_log_is_refused_at_once() {
    let store = Failing::default();
    let hub = store.hub().await;
    let (app, _) = airport(&hub);
    delayed(&app).await;
    let backup = store.backup();
    let (middle, last) = (delayed(&app).await, delayed(&app).await);
    store.restore(&backup);
    let uri = |cursor: &str| format!("/count?at_least={cursor}&wait=55");
    app.get(&uri(&last)).await.problem(410, "cursor-ahead");
    let event = NewEvent::json("FlightDelayed", r#"{"minutes":1}"#).unwrap();
    store.append_to("other", Expected::Any, [event]).await.unwrap();
    app.get(&uri(&middle)).await.problem(410, "history-changed");
}

#[tokio::test]
async fn malformed_cursors_and_waits_are_problems() {
    let (app, _) = airport(&hub().await);
    let cursor = delayed(&app).await;
    for query in [
        "at_least=".to_owned(),
        "at_least=start".to_owned(),
        "at_least=1".to_owned(),
        format!("at_least={cursor}&at_least={cursor}"),
        "at_least=%ff".to_owned(),
    ] {
        let problem = app.get(&format!("/count?{query}")).await.problem(400, "bad-cursor");
        assert_eq!(problem["parameter"], "at_least");
    }
    for wait in ["soon", "-1", ""] {
        let answer = app.get(&format!("/count?at_least={cursor}&wait={wait}")).await;
        answer.problem(400, "bad-parameter");
    }
}

#[tokio::test]
async fn a_projection_that_has_stopped_is_an_error() {
    let hub = hub().await;
    let (app, airport) = airport(&hub);
    let cursor = delayed(&app).await;
    let reached = format!("/count?at_least={cursor}&wait=55");
    assert!(app.get(&reached).await.status.is_success());
    airport.count.shutdown().await;
    let later = delayed(&app).await;
    assert!(app.get(&reached).await.status.is_success(), "it was reached before");
    app.get(&format!("/count?at_least={later}&wait=55")).await.problem(503, "unavailable");
}
