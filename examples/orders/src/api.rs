use std::cmp::Reverse;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use downlink::Expected;
use downlink::decider::CommandContext;
use downlink_transports::command::{self, AtLeast, CommandRequest};
use downlink_transports::feed::FeedCursor;
use downlink_transports::wire::{Object, Problem};
use serde::Deserialize;
use serde_json::json;

use crate::app::{Administrator, App};
use crate::order::{Cart, OrderCommand};
use crate::roles::RoleEvent;
use crate::user::User;

/// What a handler returns. A problem becomes a response with its status.
type Answer<T> = Result<T, Problem>;

/// Everything under `/api`.
// ANCHOR: router
pub(crate) fn router(app: App) -> Router {
    let feed = app.feed();
    let own = Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(me))
        .route("/orders", get(orders).post(place))
        .route("/orders/{order}/cancel", post(cancel))
        .route("/orders/{order}/deliver", post(deliver))
        .route("/administrators", post(set_role))
        .method_not_allowed_fallback(command::method_not_allowed)
        .with_state(app);
    feed.guard(own).merge(feed.router())
}
// ANCHOR_END: router

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: User,
}

/// Logs a user in. A real program checks a password here.
// ANCHOR: login
async fn login(State(app): State<App>, login: Object<Login>) -> Answer<impl IntoResponse> {
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, app.sessions.issue(&login.0.user)?)]))
}
// ANCHOR_END: login

async fn logout(State(app): State<App>, _: Object<Empty>) -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(SET_COOKIE, app.sessions.removal())])
}

// ANCHOR: me
/// Who the user is; for an administrator, with all of them.
async fn me(State(app): State<App>, user: User, at_least: AtLeast) -> Answer<impl IntoResponse> {
    at_least.reached(&app.hub, app.roles.0.handle()).await?;
    let (administrators, cursor) = app.roles.0.read();
    let administrators = administrators.contains(&user).then_some(&*administrators);
    let me = json!({ "user": user, "administrators": administrators });
    Ok((FeedCursor(cursor), Json(me)))
}
// ANCHOR_END: me

/// The body of a command without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

// ANCHOR: place
async fn place(
    State(app): State<App>,
    user: User,
    request: CommandRequest<Cart>,
) -> Answer<impl IntoResponse> {
    let CommandRequest { body: cart, context, .. } = request.of_user(user.to_string());
    let order = context.command_id().to_string();
    let command = OrderCommand::Place(user, cart);
    let done = app.orders.execute_with(&context, format!("order-{order}"), command).await?;
    Ok((StatusCode::CREATED, FeedCursor(done.cursor), Json(json!({ "order": order }))))
}
// ANCHOR_END: place

async fn cancel(
    State(app): State<App>,
    Path(order): Path<String>,
    user: User,
    request: CommandRequest<Empty>,
) -> Answer<impl IntoResponse> {
    let context = request.of_user(user.to_string()).context;
    app.end(&order, &context, OrderCommand::Cancel(user)).await
}

async fn deliver(
    State(app): State<App>,
    Path(order): Path<String>,
    _: Administrator,
    request: CommandRequest<Empty>,
) -> Answer<impl IntoResponse> {
    app.end(&order, &request.context, OrderCommand::Deliver).await
}

impl App {
    async fn end(
        &self,
        order: &str,
        context: &CommandContext,
        command: OrderCommand,
    ) -> Answer<impl IntoResponse + use<>> {
        let done = self.orders.execute_with(context, format!("order-{order}"), command).await?;
        Ok((StatusCode::NO_CONTENT, FeedCursor(done.cursor)))
    }
}

// ANCHOR: orders
/// A user's own orders, the newest first. The feed continues after the cursor.
async fn orders(
    State(app): State<App>,
    user: User,
    at_least: AtLeast,
) -> Answer<impl IntoResponse> {
    at_least.reached(&app.hub, app.list.handle()).await?;
    let (list, cursor) = app.list.read();
    let mut own: Vec<_> = list.values().filter(|order| order.customer == user).collect();
    own.sort_by_key(|order| Reverse(order.number));
    Ok((FeedCursor(cursor), Json(json!({ "orders": own }))))
}
// ANCHOR_END: orders

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRole {
    user: User,
    administrator: bool,
}

async fn set_role(
    State(app): State<App>,
    _: Administrator,
    Object(SetRole { user, administrator }): Object<SetRole>,
) -> Answer<impl IntoResponse> {
    let event = if administrator { RoleEvent::RoleGranted } else { RoleEvent::RoleRevoked };
    let appended = app.hub.append_to(user.role(), Expected::Any, [event]).await?;
    Ok((StatusCode::NO_CONTENT, FeedCursor(appended.cursor)))
}
