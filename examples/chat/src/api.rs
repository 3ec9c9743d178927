use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use downlink::{Cursor, ErrorKind, Hub};
use downlink_transports::command;
use downlink_transports::feed::{Feed, FeedCursor};
use downlink_transports::wire::{Code, Object, Problem};
use serde::{Deserialize, Serialize};

use crate::attendance::{Attendance, Here};
use crate::name::Name;
use crate::person_id::PersonId;
use crate::rooms::Rooms;

/// The state of the routes.
#[derive(Clone, Debug)]
struct ApiState {
    rooms: Rooms,
    attendance: Attendance,
}

/// Everything under `/api`: the feed, which accepts messages, and the commands.
// ANCHOR: router
pub(crate) fn router(hub: &Hub, rooms: Rooms, attendance: Attendance) -> Router {
    let feed = Feed::new(hub).with_append();
    let own = Router::new()
        .route("/rooms", post(open_room))
        .route("/people", get(people))
        .route("/here", post(here))
        .route("/gone", post(gone))
        .method_not_allowed_fallback(command::method_not_allowed)
        .with_state(ApiState { rooms, attendance });
    feed.guard(own).merge(feed.router())
}
// ANCHOR_END: router

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRoom {
    name: Name,
}

async fn open_room(
    State(state): State<ApiState>,
    Object(OpenRoom { name }): Object<OpenRoom>,
) -> Result<impl IntoResponse, Problem> {
    let Some((room, cursor)) = state.rooms.open(name.clone()).await? else {
        let detail = format!("a room named '{name}', or with a similar name, exists already");
        return Err(Problem::new(Code::VersionConflict, detail));
    };
    let body = Json(serde_json::json!({ "room": room, "cursor": cursor.to_string() }));
    Ok((StatusCode::CREATED, FeedCursor(cursor), body))
}

/// Who is present, as of the `Feed-Cursor`: follow the feed from that cursor.
async fn people(State(state): State<ApiState>) -> impl IntoResponse {
    let (people, cursor) = state.attendance.list().await;
    (FeedCursor(cursor), Json(serde_json::json!({ "people": people })))
}

async fn here(
    State(state): State<ApiState>,
    Object(here): Object<Here>,
) -> Result<impl IntoResponse, Problem> {
    let cursor = state.attendance.here(here).await.map_err(|error| match error.kind() {
        ErrorKind::Conflict => Problem::new(Code::NotFound, "there is no such room: open it first"),
        _ => error.into(),
    });
    cursor.map(done)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    person: PersonId,
}

async fn gone(
    State(state): State<ApiState>,
    Object(Gone { person }): Object<Gone>,
) -> Result<impl IntoResponse, Problem> {
    Ok(done(state.attendance.gone(person).await?))
}

#[derive(Debug, Serialize)]
struct Done {
    cursor: String,
}

fn done(cursor: Cursor) -> (FeedCursor, Json<Done>) {
    (FeedCursor(cursor), Json(Done { cursor: cursor.to_string() }))
}
