use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use downlink::Hub;
use tokio_util::sync::CancellationToken;

use super::hosts::{HostRule, Hosts, Origin};
use super::rights::Authorize;
use super::route;
use crate::Exposure;

/// Serves a hub over HTTP: the routes of the wire contract, and who may reach
/// them.
///
/// # Who may reach it
///
/// Unless told otherwise, programs on this machine only: requests that name it
/// by a local name, come from a loopback address as far as that is known, and
/// went through no proxy that says so. (A proxy that says nothing, such as a
/// bare `proxy_pass`, cannot be told apart.) Call
/// [`authorize`](Self::authorize) or
/// [`open_to_everyone`](Self::open_to_everyone) to open it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink_transports::feed::{Feed, Refusal, Rights};
/// use http::request::Parts;
///
/// async fn authorize(parts: &Parts) -> Result<Rights, Refusal> {
///     match parts.headers.get("authorization") {
///         Some(token) if token == "Bearer let-me-in" => Ok(Rights::everything()),
///         _ => Err(Refusal::unauthenticated("send the bearer token")),
///     }
/// }
///
/// let hub = downlink::memory::hub().await?;
/// let feed = Feed::new(&hub).authorize(authorize).with_append().router();
/// let app: axum::Router = axum::Router::new().nest("/api", feed);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Feed {
    pub(super) hub: Hub,
    pub(super) append: bool,
    pub(super) everyone: bool,
    pub(super) authorize: Option<Arc<dyn Authorize>>,
    pub(super) parameters: Vec<String>,
    pub(super) hosts: Hosts,
    pub(super) origins: Vec<Origin>,
    pub(super) cors: bool,
    pub(super) heartbeat: Duration,
    pub(super) rotation: Duration,
    pub(super) shutdown: Option<CancellationToken>,
}

impl Feed {
    /// A feed of this hub: read-only, and for this machine.
    pub fn new(hub: &Hub) -> Self {
        Self {
            hub: hub.clone(),
            append: false,
            everyone: false,
            authorize: None,
            parameters: Vec::new(),
            hosts: Hosts::default(),
            origins: Vec::new(),
            cors: false,
            heartbeat: Duration::from_secs(15),
            rotation: Duration::from_mins(10),
            shutdown: None,
        }
    }

    /// Takes appends at `POST /streams/{stream}` and on sockets. Off by default: an
    /// application usually decides on commands of its own and appends itself.
    pub fn with_append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Opens the feed to everyone who can connect, under any `Host` unless
    /// [`with_hosts`](Self::with_hosts) lists some. This machine only by
    /// default.
    pub fn open_to_everyone(mut self) -> Self {
        self.everyone = true;
        self
    }

    /// Asks for every request what it may see. Opens the feed to other machines,
    /// under any `Host` unless [`with_hosts`](Self::with_hosts) lists some.
    /// Everything may be seen by default.
    ///
    /// A `Cookie` without an `Authorization` is taken as what authenticates:
    /// such a request has to come from the feed's own pages or a listed origin.
    pub fn authorize(mut self, authorize: impl Authorize) -> Self {
        self.authorize = Some(Arc::new(authorize));
        self
    }

    /// Lets a query parameter pass that is the application's own; its value is
    /// in what [`authorize`](Self::authorize) gets. Parameters that nobody
    /// knows are refused by default, since a typo must not mean "everything".
    pub fn allow_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameters.push(name.into());
        self
    }

    /// Answers under these hosts only: `feed.example`, `*.feed.example`, with a
    /// port if only that port is meant. Local names alone by default, and added
    /// to what is listed, while the feed is open to this machine only.
    ///
    /// # Panics
    ///
    /// Panics if one is no host.
    pub fn with_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        for host in hosts {
            let host = host.as_ref();
            let rule = HostRule::parse(host);
            self.hosts.rules.push(rule.unwrap_or_else(|| panic!("{host:?} is no host")));
        }
        self
    }

    /// Trusts the pages of these origins, such as `https://app.example`, besides
    /// those of the feed's own host. None by default.
    ///
    /// # Panics
    ///
    /// Panics if one is no origin.
    pub fn with_origins<T: AsRef<str>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        for origin in origins {
            let text = origin.as_ref();
            let origin = Origin::parse(text);
            self.origins.push(origin.unwrap_or_else(|| {
                panic!("{text:?} is no origin: name one like 'https://app.example'")
            }));
        }
        self
    }

    /// Lets browsers hand answers to the pages of the listed
    /// [origins](Self::with_origins), with credentials. Off by default, so that
    /// an application's own CORS layer is not doubled.
    pub fn with_cors(mut self) -> Self {
        self.cors = true;
        self
    }

    /// How long a stream may be silent before it says that it lives: 15 seconds
    /// by default, between 10 milliseconds and an hour.
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval.clamp(Duration::from_millis(10), Duration::from_hours(1));
        self
    }

    /// How long a stream may live before its client is asked to open another
    /// one, give or take a fifth: ten minutes by default, a month at most.
    pub fn with_rotation(mut self, age: Duration) -> Self {
        self.rotation = age.min(Duration::from_hours(30 * 24));
        self
    }

    /// Says goodbye to every open stream once this is cancelled, and begins no
    /// new one. Under [`serve`](crate::serve) that happens by itself.
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Who may reach the feed.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        match (&self.authorize, self.everyone) {
            (Some(_), _) => Exposure::Authorized,
            (None, true) => Exposure::Everyone,
            (None, false) => Exposure::LocalOnly,
        }
    }

    /// The routes, to be served as they are or nested anywhere.
    ///
    /// The router has a fallback of its own, so nest it; merging it with another
    /// that has one panics, as it does in axum.
    #[must_use = "a router does nothing until it is served"]
    pub fn router(self) -> Router {
        route::router(&self.into_shared())
    }

    /// Puts the feed's checks of hosts and origins before routes of the
    /// application's own, such as those that take commands: a page of another
    /// site reaches them no more than the feed. Asks neither
    /// [`authorize`](Self::authorize) nor the hub.
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
    #[must_use = "the router is returned with the checks before it"]
    pub fn guard(&self, router: Router) -> Router {
        let feed = self.clone().into_shared();
        router.layer(middleware::from_fn(move |request, next| {
            route::guarded(Arc::clone(&feed), request, next)
        }))
    }

    fn into_shared(mut self) -> Arc<Self> {
        self.hosts.local = self.exposure() == Exposure::LocalOnly;
        Arc::new(self)
    }
}
