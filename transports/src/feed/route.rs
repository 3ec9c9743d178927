use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::drain::Drain;
use super::rights::Rights;
#[cfg(feature = "websocket")]
use super::websocket;
use super::{Feed, append, guard, headers, page, sse, stream};
use crate::wire::{Code, Problem};

/// A path that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Feed,
    #[cfg(feature = "websocket")]
    Socket,
    Stream,
}

/// What is served, for whoever asks for something else.
const PATHS: &str = if cfg!(feature = "websocket") {
    "/feed, /feed/ws and /streams/{stream}"
} else {
    "/feed and /streams/{stream}"
};

pub(super) fn router(feed: &Arc<Feed>) -> Router {
    let to = |route: Option<Route>| {
        let feed = Arc::clone(feed);
        move |request: Request| answer(feed, route, request)
    };
    let router = Router::new()
        .route("/feed", any(to(Some(Route::Feed))))
        .route("/streams/{stream}", any(to(Some(Route::Stream))));
    #[cfg(feature = "websocket")]
    let router = router.route("/feed/ws", any(to(Some(Route::Socket))));
    router.fallback(to(None))
}

async fn answer(feed: Arc<Feed>, route: Option<Route>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let response = match dispatch(&feed, route, &parts, body).await {
        Ok(response) => response,
        Err(problem) if route == Some(Route::Feed) && sse::answers_softly(&parts, &problem) => {
            sse::farewell(&problem)
        }
        Err(problem) => problem.into_response(),
    };
    headers::finish(&feed, &parts, response)
}

/// Checks a request for a route of the application's own.
pub(super) async fn guarded(feed: Arc<Feed>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_safe = parts.method.is_safe();
    let checked =
        guard::check_host(&feed, &parts).and_then(|()| guard::check_origin(&feed, &parts, is_safe));
    match checked {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => headers::finish(&feed, &parts, problem.into_response()),
    }
}

async fn dispatch(
    feed: &Arc<Feed>,
    route: Option<Route>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    guard::check_host(feed, parts)?;
    let Some(route) = route else {
        let detail = format!("nothing is served here: the paths are {PATHS}");
        return Err(Problem::new(Code::NotFound, detail));
    };
    let allow = route.allow(feed);
    if parts.method == Method::OPTIONS {
        let allow = [(ALLOW, HeaderValue::from_static(allow))];
        return Ok((StatusCode::NO_CONTENT, allow).into_response());
    }
    route.check_method(&parts.method, allow)?;
    guard::check_origin(feed, parts, route.is_safe(&parts.method))?;
    let drain = Drain::of(feed, parts);
    if drain.has_begun() {
        return Err(Problem::new(Code::Draining, "the server is about to go: repeat it later"));
    }
    let rights = rights(feed, parts).await?;
    match route {
        Route::Feed if sse::is_asked_for(&parts.headers) => {
            sse::answer(feed, parts, &rights, drain).await
        }
        Route::Feed => page::answer(feed, parts, &rights, &drain).await,
        #[cfg(feature = "websocket")]
        Route::Socket => websocket::answer(feed, parts, &rights, drain).await,
        Route::Stream if parts.method == Method::POST => {
            append::answer(feed, parts, &rights, body).await
        }
        Route::Stream => stream::answer(feed, parts, &rights).await,
    }
}

/// What this request may see now.
pub(super) async fn rights(feed: &Feed, parts: &Parts) -> Result<Rights, Problem> {
    match &feed.authorize {
        Some(authorize) => authorize.authorize(parts).await?.check_not_ended(),
        None => Ok(Rights::everything()),
    }
}

impl Route {
    /// Whether a page of another site may cause it: it does not see the answer,
    /// unless that is a socket's.
    fn is_safe(self, method: &Method) -> bool {
        #[cfg(feature = "websocket")]
        if self == Self::Socket {
            return false;
        }
        method.is_safe()
    }

    fn allow(self, feed: &Feed) -> &'static str {
        match self {
            Self::Stream if feed.append => "GET, HEAD, POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    fn check_method(self, method: &Method, allow: &'static str) -> Result<(), Problem> {
        if allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return Ok(());
        }
        let problem = if self == Self::Stream && method == Method::POST {
            append::disabled()
        } else {
            Problem::new(Code::MethodNotAllowed, format!("the methods here are {allow}"))
        };
        Err(problem.with_allow(allow))
    }
}
