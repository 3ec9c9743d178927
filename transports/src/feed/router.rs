use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::FutureExt;
use http::header::{ALLOW, AUTHORIZATION, COOKIE, Entry, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::drain::{Drain, draining};
use super::feed::Feed;
#[cfg(feature = "websocket")]
use super::websocket;
use super::{append, guard, live, origin_check, page, response, sse, stream};
use crate::headers::accepts_event_stream;
use crate::wire::{Code, Problem};

impl Feed {
    /// The routes of the feed, to be served alone or nested in another router, of
    /// any state.
    ///
    /// Nest it. Merging panics if the other router has a fallback, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// use axum::Router;
    /// use axum::extract::State;
    /// use axum::routing::get;
    /// use downlink_transports::feed::Feed;
    ///
    /// #[derive(Clone)]
    /// struct Airport {
    ///     name: &'static str,
    /// }
    ///
    /// let feed = Feed::new(&downlink::memory::hub().await?);
    /// let app: Router = Router::new()
    ///     .route("/airport", get(async |State(airport): State<Airport>| airport.name))
    ///     .nest("/api", feed.router())
    ///     .with_state(Airport { name: "EWR" });
    /// # Ok(()) }
    /// ```
    #[must_use = "a router does nothing until it is served"]
    pub fn router<S>(self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        router(&self.into_shared())
    }

    /// Applies the feed's checks of hosts, paths and origins to your own routes, so
    /// that a page of another site cannot send them commands. Runs no
    /// [authorizer](Self::with_authorizer): check permissions yourself.
    ///
    /// Guard the routes that your pages call, commands and queries; routes that are
    /// added to the result are not checked. A link on another site to a guarded
    /// route works. Where cookies authenticate over plain HTTP, an address that a
    /// user types does not, so leave the pages themselves outside.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// use axum::routing::post;
    /// use downlink_transports::feed::Feed;
    ///
    /// let feed = Feed::new(&downlink::memory::hub().await?);
    /// let commands = axum::Router::new().route("/depart", post(async || "departed"));
    /// let app: axum::Router = feed.guard(commands).nest("/api", feed.router());
    /// # Ok(()) }
    /// ```
    #[must_use = "the checks are in the router that is returned"]
    pub fn guard<S>(&self, router: Router<S>) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let feed = self.clone().into_shared();
        router.layer(middleware::from_fn(move |request, next| {
            guarded(Arc::clone(&feed), request, next)
        }))
    }
}

/// A path that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Feed,
    #[cfg(feature = "websocket")]
    Socket,
    Stream,
    Live,
}

/// The paths that are served, for the problem of any other path.
fn paths(feed: &Feed) -> &'static str {
    match (cfg!(feature = "websocket"), feed.live.is_empty()) {
        (true, true) => "/feed, /feed/ws and /streams/{stream}",
        (true, false) => "/feed, /feed/ws, /streams/{stream} and /live/{query}",
        (false, true) => "/feed and /streams/{stream}",
        (false, false) => "/feed, /streams/{stream} and /live/{query}",
    }
}

fn router<S>(feed: &Arc<Feed>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let to = |route: Option<Route>| {
        let feed = Arc::clone(feed);
        move |request: Request| answer(feed, route, request)
    };
    let router = Router::new()
        .route("/feed", any(to(Some(Route::Feed))))
        .route("/streams/{stream}", any(to(Some(Route::Stream))));
    #[cfg(feature = "websocket")]
    let router = router.route("/feed/ws", any(to(Some(Route::Socket))));
    let router = if feed.live.is_empty() {
        router
    } else {
        router.route("/live/{query}", any(to(Some(Route::Live))))
    };
    router.fallback(to(None))
}

async fn answer(feed: Arc<Feed>, route: Option<Route>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    hide_secrets(&mut parts.headers);
    let response = match dispatch(&feed, route, &parts, body).await {
        Ok(response) => response,
        Err(problem)
            if matches!(route, Some(Route::Feed | Route::Live))
                && sse::needs_stream(&parts, &problem) =>
        {
            sse::bye_only(&problem)
        }
        Err(problem) => problem.into_response(),
    };
    response::finish(&feed, &parts, response)
}

/// Keeps credentials out of what an authorizer prints of a request.
fn hide_secrets(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE] {
        if let Entry::Occupied(mut entry) = headers.entry(name) {
            entry.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

/// Checks a request to one of the application's own routes.
async fn guarded(feed: Arc<Feed>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match check_guarded(&feed, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => response::finish(&feed, &parts, problem.into_response()),
    }
}

fn check_guarded(feed: &Feed, parts: &Parts) -> Result<(), Problem> {
    guard::check_host(feed, parts)?;
    guard::check_path(parts, Code::Invalid)?;
    // Preflights too: the request after it would be refused, and a route that
    // takes any method would be called by it.
    origin_check::check_site(feed, parts)?;
    if origin_check::is_navigation(parts) {
        return Ok(());
    }
    origin_check::check_origin(feed, parts, parts.method.is_safe())
}

async fn dispatch(
    feed: &Arc<Feed>,
    route: Option<Route>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    guard::check_host(feed, parts)?;
    let bad_path = if route == Some(Route::Stream) { Code::BadStream } else { Code::Invalid };
    guard::check_path(parts, bad_path)?;
    let is_options = parts.method == Method::OPTIONS;
    if !is_options {
        origin_check::check_site(feed, parts)?;
    }
    let route = route.ok_or_else(|| not_found(feed, parts.uri.path()))?;
    let allow = route.allow(feed);
    if is_options {
        let allow = [(ALLOW, HeaderValue::from_static(allow))];
        return Ok((StatusCode::NO_CONTENT, allow).into_response());
    }
    route.check_method(&parts.method, allow)?;
    origin_check::check_origin(feed, parts, route.is_safe(&parts.method))?;
    let drain = Drain::of(feed, parts);
    if drain.has_begun() {
        return Err(draining());
    }
    let (rights, watch) = feed.rights(parts).await?;
    let principal = rights.any_principal().cloned();
    // Each in a box of its own size, since many wait for long.
    let response = match route {
        Route::Feed if accepts_event_stream(&parts.headers) => {
            sse::answer(feed, parts, &rights, drain, watch).boxed()
        }
        Route::Feed => page::answer(feed, parts, &rights, drain, watch).boxed(),
        #[cfg(feature = "websocket")]
        Route::Socket => websocket::answer(feed, parts, &rights, drain, watch).boxed(),
        Route::Live => live::answer(feed, parts, &rights, drain, watch).boxed(),
        Route::Stream if parts.method == Method::POST => {
            append::answer(feed, parts, &rights, &watch, body).boxed()
        }
        Route::Stream => stream::answer(feed, parts, &rights, drain, &watch).boxed(),
    };
    let mut response = response.await?;
    if let Some(principal) = principal {
        // For the application's own layers, such as limits.
        response.extensions_mut().insert(principal);
    }
    Ok(response)
}

fn not_found(feed: &Feed, path: &str) -> Problem {
    let name =
        path.strip_prefix("/streams/").filter(|name| name.trim_end_matches('/').contains('/'));
    let detail = match name.map(|name| name.replace('/', "%2F")) {
        Some(name) => format!(
            "this path does not exist: percent-encode a slash in the name of a stream, as in \
             /streams/{name}"
        ),
        None => format!("this path does not exist: the paths are {}", paths(feed)),
    };
    Problem::new(Code::NotFound, detail)
}

impl Route {
    /// Whether a page of another site may send it. The page cannot read the
    /// response, except through a WebSocket.
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
            Problem::new(Code::MethodNotAllowed, format!("the methods of this path are {allow}"))
        };
        Err(problem.with_allow(allow))
    }
}
