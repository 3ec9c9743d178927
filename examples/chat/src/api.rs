use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use downlink::{Cursor, ErrorKind, Hub};
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Object, Problem};
use serde::{Deserialize, Serialize};

use crate::{Attendance, Here, Name, PersonId, Rooms};

/// What the routes work with.
#[derive(Clone, Debug)]
struct Desk {
    rooms: Rooms,
    attendance: Attendance,
}

/// The feed, which takes messages, and beside it the commands: everything under
/// `/api`.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, rooms: Rooms, attendance: Attendance) -> Router {
    let feed = Feed::new(hub).with_append();
    let own = Router::new()
        .route("/rooms", only("POST", post(open_room)))
        .route("/people", only("GET, HEAD", get(people)))
        .route("/here", only("POST", post(here)))
        .route("/gone", only("POST", post(gone)))
        .with_state(Desk { rooms, attendance });
    feed.guard(own).merge(feed.router())
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

/// A body, which is one JSON object.
type Asked<T> = Result<Json<Object<T>>, JsonRejection>;

fn read<T>(asked: Asked<T>) -> Result<T, Problem> {
    let told = |rejection: JsonRejection| Problem::new(Code::Invalid, rejection.body_text());
    asked.map(|Json(Object(asked))| asked).map_err(told)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRoom {
    name: Name,
}

async fn open_room(
    State(desk): State<Desk>,
    asked: Asked<OpenRoom>,
) -> Result<impl IntoResponse, Problem> {
    let OpenRoom { name } = read(asked)?;
    let Some((room, cursor)) = desk.rooms.open(name.clone()).await? else {
        let detail = format!("there is a room '{name}' already, or one that is written alike");
        return Err(Problem::new(Code::VersionConflict, detail));
    };
    let body = Json(serde_json::json!({ "room": room, "cursor": cursor.to_string() }));
    Ok((StatusCode::CREATED, FeedCursor(cursor), body))
}

/// Who is there, as of the `Feed-Cursor`: events after it go on from that.
async fn people(State(desk): State<Desk>) -> impl IntoResponse {
    let (people, cursor) = desk.attendance.list().await;
    (FeedCursor(cursor), Json(serde_json::json!({ "people": people })))
}

async fn here(State(desk): State<Desk>, asked: Asked<Here>) -> Result<impl IntoResponse, Problem> {
    let here = read(asked)?;
    let known = desk.attendance.here(here).await.map_err(|error| match error.kind() {
        ErrorKind::Conflict => Problem::new(Code::NotFound, "there is no such room: open it first"),
        _ => error.into(),
    });
    known.map(done)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    person: PersonId,
}

async fn gone(State(desk): State<Desk>, asked: Asked<Gone>) -> Result<impl IntoResponse, Problem> {
    let Gone { person } = read(asked)?;
    Ok(done(desk.attendance.gone(person).await?))
}

#[derive(Debug, Serialize)]
struct Done {
    cursor: String,
}

fn done(cursor: Cursor) -> (FeedCursor, Json<Done>) {
    (FeedCursor(cursor), Json(Done { cursor: cursor.to_string() }))
}
