use std::sync::Arc;
use std::time::Duration;

use downlink::budget::ByteBudget;
use downlink::live::{Live, LiveError};
use downlink::{Hub, Schema};
use futures::FutureExt;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::authorize::Authorize;
use super::hosts::{HostRule, Hosts};
use super::origin::Origin;
use super::parse_pool::ParsePool;
use super::reauthorization::Reauthorization;
use super::reauthorize::{Reauthorizer, RightsWatch, pending};
use super::rights::Rights;
use crate::access::Access;
use crate::connection::{Connection, DEFAULT_BUDGET};
use crate::wire::{Problem, Renderer};

/// The parameter of the wire contract that authenticates what cannot send a header. It is
/// for the authorizer to read.
pub(crate) const TICKET: &str = "ticket";

/// Serves a hub over HTTP: the routes of the wire contract, with access control.
///
/// # Access
///
/// By default, only programs on this machine have access. A request must have a
/// local name in `Host`, must come from a loopback address, and must not have the
/// headers that proxies add. (A proxy that adds none, such as a bare `proxy_pass`,
/// cannot be detected.) Call [`with_authorizer`](Self::with_authorizer) or
/// [`with_public_access`](Self::with_public_access) to open the feed.
///
/// The address is that of the request's [`Connection`](crate::Connection), which
/// [`serve`](crate::serve) adds, or else of axum's `ConnectInfo<SocketAddr>`. A plain
/// `axum::serve` adds neither, and the feed then refuses every request: pass it
/// `router.into_make_service_with_connect_info::<SocketAddr>()`. Tests that call the
/// router add a `Connection` to the extensions of the request.
///
/// Under every kind of access, requests of pages of other sites are refused, unless they are
/// [listed](Self::with_origins) or the user follows a link.
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
/// let feed = Feed::new(&hub).with_authorizer(authorize).with_append().router();
/// let app: axum::Router = axum::Router::new().nest("/api", feed);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Feed {
    pub(super) hub: Hub,
    pub(super) append: bool,
    public: bool,
    pub(super) authorizer: Option<Arc<dyn Authorize>>,
    pub(super) reauthorizer: Option<Reauthorizer>,
    pub(super) parameters: Vec<String>,
    pub(super) hosts: Hosts,
    pub(super) origins: Vec<Origin>,
    pub(super) cors: bool,
    pub(super) heartbeat: Duration,
    pub(super) rotation: Duration,
    pub(super) shutdown: Option<CancellationToken>,
    pub(super) parsers: ParsePool,
    pub(super) live: Vec<Live>,
    pub(super) renderer: Renderer,
    /// For requests of a server without a budget.
    budget: ByteBudget,
}

impl Feed {
    /// A feed of this hub: read-only, for programs on this machine only.
    pub fn new(hub: &Hub) -> Self {
        Self {
            hub: hub.clone(),
            append: false,
            public: false,
            authorizer: None,
            reauthorizer: None,
            parameters: Vec::new(),
            hosts: Hosts::default(),
            origins: Vec::new(),
            cors: false,
            heartbeat: Duration::from_secs(15),
            rotation: Duration::from_mins(10),
            shutdown: None,
            parsers: ParsePool::new(),
            live: Vec::new(),
            renderer: Renderer::default(),
            budget: ByteBudget::new(DEFAULT_BUDGET),
        }
    }

    /// Accepts appends at `POST /streams/{stream}` and over WebSocket. Off
    /// by default: an application usually has its own commands and appends itself.
    pub fn with_append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Serves these live queries at `GET /live/{name}` and over WebSocket, with the access,
    /// the limits and the options of the feed. None by default. If several have a query of
    /// one name, the first is served.
    ///
    /// What a client may see of a live query is decided by its
    /// [`scope`](downlink::live::LiveQuery::scope), which is given the
    /// [principal](Rights::with_principal): a filter of the rights does not restrict rows.
    pub fn with_live(mut self, live: &Live) -> Self {
        self.live.push(live.clone());
        self
    }

    /// Sends payloads of older forms in the newest form of this schema, on every transport:
    /// pages, replays and live events. By default followers receive payloads as stored, and
    /// have to know all forms that a type ever had.
    ///
    /// The metadata then has the newest `schema_version`, so that a follower with the same
    /// schema does not apply the upcasts again (such metadata is written anew: the order of its
    /// members may change). Everything else is as stored, and so is the
    /// type: filters and rights select by what was stored. An event that cannot be upcast, or
    /// that a newer program wrote, is sent as stored, with a warning in the log: a stream that
    /// ended there would never get past it.
    ///
    /// An event in memory is upcast once for all followers, and again when it is read from the
    /// store, as by a replay. If a process serves several feeds of one hub
    /// with different schemas, that holds for the feed that first sends the event.
    ///
    /// Replaces an earlier call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// use downlink::Schema;
    /// use downlink_transports::feed::Feed;
    ///
    /// let schema = Schema::new().with_upcast("FlightDelayed", |old| {
    ///     let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
    ///     Ok(serde_json::json!({ "minutes": hours * 60 }))
    /// });
    /// let hub = downlink::memory::hub().await?;
    /// let feed = Feed::new(&hub).with_schema(&schema);
    /// # Ok(()) }
    /// ```
    pub fn with_schema(mut self, schema: &Schema) -> Self {
        self.renderer = Renderer::with_schema(schema.clone());
        self
    }

    /// Opens the feed to every client that can connect, under any `Host` unless
    /// [`with_hosts`](Self::with_hosts) lists some. By default, only programs on
    /// this machine have access.
    pub fn with_public_access(mut self) -> Self {
        self.public = true;
        self
    }

    /// Decides for every request what it may see. Opens the feed to other
    /// machines, under any `Host` unless [`with_hosts`](Self::with_hosts) lists
    /// some. By default, every request may see everything.
    ///
    /// A request with a `Cookie` but no `Authorization` must come from a page of the
    /// feed's own host or of a [listed origin](Self::with_origins) (CSRF). Over plain
    /// HTTP only the `Referer` shows that, so such pages must not withhold it.
    ///
    /// The module `auth` has ready-made authentication by bearer tokens, JSON Web
    /// Tokens, cookies and tickets. The parameter `ticket` is accepted from now on.
    pub fn with_authorizer(self, authorizer: impl Authorize) -> Self {
        let feed = Self { authorizer: Some(Arc::new(authorizer)), ..self };
        feed.with_parameter(TICKET)
    }

    /// Decides again what a client may see when an event changes its rights.
    ///
    /// Every process that serves the log sees the event. It stops sending to this
    /// [principal](Rights::with_principal) at once, and asks the authorizer again, for at
    /// most half a second. If what the client may see is then within what it might see
    /// when its stream was opened, the stream ends with `bye` and the reason `rights`,
    /// and the client returns to its cursor. If it is not, or if that is not known in time,
    /// the stream ends with `reset` and the reason `rights-changed`: the client loads
    /// again, since its cursor may have passed what was hidden. Filters are compared by
    /// what they say, so a right that is written in another way may count as a wider one.
    ///
    /// A page or a poll is answered with 503 `rights-pending` or 410 `rights-changed`
    /// instead. So is a client that returns up to a minute after its last poll or stream
    /// with a cursor that may have passed what was hidden. Other requests are answered when the [projection](Reauthorization::after) has passed the
    /// event; after five seconds with 503 `rights-pending`.
    ///
    /// Rights without a principal are not concerned. Replaces an earlier call.
    pub fn with_reauthorization(mut self, reauthorization: Reauthorization) -> Self {
        self.reauthorizer = Some(Reauthorizer::new(reauthorization));
        self
    }

    /// Accepts a query parameter of the application's own, for the
    /// [authorizer](Self::with_authorizer) to read. By default, unknown parameters
    /// are refused, because a typo must not mean "everything".
    pub fn with_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameters.push(name.into());
        self
    }

    /// Accepts requests for these hosts only: `feed.example`, `*.feed.example`,
    /// each with a port if only that port is meant. While only this machine has
    /// access, local names are accepted too, and are the default.
    ///
    /// # Panics
    ///
    /// Panics if one is not a valid host.
    pub fn with_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        for host in hosts {
            let host = host.as_ref();
            let rule = HostRule::parse(host);
            self.hosts.rules.push(rule.unwrap_or_else(|| panic!("{host:?} is not a valid host")));
        }
        self
    }

    /// Trusts the pages of these origins, such as `https://app.example`, in
    /// addition to those of the feed's own host. None by default.
    ///
    /// # Panics
    ///
    /// Panics if one is not a valid origin.
    pub fn with_origins<T: AsRef<str>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        for origin in origins {
            let text = origin.as_ref();
            let origin = Origin::parse(text);
            self.origins.push(origin.unwrap_or_else(|| {
                panic!("{text:?} is not a valid origin: use a form like 'https://app.example'")
            }));
        }
        self
    }

    /// Sends CORS headers that let pages of the listed
    /// [origins](Self::with_origins) read responses, with credentials. Off by
    /// default, because an application may have its own CORS layer.
    pub fn with_cors(mut self) -> Self {
        self.cors = true;
        self
    }

    /// How long a stream may be idle before it sends a heartbeat: 15 seconds by
    /// default, between 10 milliseconds and an hour.
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval.clamp(Duration::from_millis(10), Duration::from_hours(1));
        self
    }

    /// How long a stream stays open before its client is told to reconnect, plus
    /// or minus a fifth: ten minutes by default, 30 days at most.
    pub fn with_rotation(mut self, age: Duration) -> Self {
        self.rotation = age.min(Duration::from_hours(30 * 24));
        self
    }

    /// Ends every open stream with `bye` once this is cancelled, and begins no
    /// new one. [`serve`](crate::serve) does this by itself.
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Who has access to the feed.
    #[must_use]
    pub fn access(&self) -> Access {
        match (&self.authorizer, self.public) {
            (Some(_), _) => Access::Authorized,
            (None, true) => Access::Public,
            (None, false) => Access::LocalOnly,
        }
    }

    /// The budget that what is held for this request counts against: that of the
    /// server, or else of the feed.
    pub(super) fn budget(&self, parts: &Parts) -> ByteBudget {
        let connection = parts.extensions.get::<Connection>();
        connection.map_or(&self.budget, |connection| &connection.budget).clone()
    }

    /// What evaluates the live query with this name.
    pub(super) fn live(&self, query: &str) -> Result<&Live, Problem> {
        let live = self.live.iter().find(|live| live.has_query(query));
        live.ok_or_else(|| LiveError::UnknownQuery(query.to_owned()).into())
    }

    /// What this request may see now, and what tells when that changes.
    pub(super) async fn rights(
        self: &Arc<Self>,
        parts: &Parts,
    ) -> Result<(Rights, RightsWatch), Problem> {
        let Some(reauthorizer) = &self.reauthorizer else {
            return Ok((self.authorize(parts).await?, RightsWatch::none()));
        };
        reauthorizer.follow(&self.hub).boxed().await?;
        let changes = reauthorizer.changes();
        let mut rights = self.authorize(parts).await?;
        let Some(principal) = rights.any_principal().cloned() else {
            return Ok((rights, RightsWatch::none()));
        };
        // Before the rights are read for the last time, so that no change falls between.
        let registration = reauthorizer.register(&principal, &self.hub)?;
        if reauthorizer.changes() != changes || !reauthorizer.is_settled(&principal) {
            reauthorizer.settle(&principal).await?;
            rights = self.authorize(parts).await?;
            if rights.any_principal() != Some(&principal) {
                return Err(pending());
            }
        }
        if !reauthorizer.is_followed() {
            // It ended after the check above, and may have missed this registration.
            return Err(pending());
        }
        let watch = RightsWatch::new(registration, self, parts, &rights);
        Ok((rights, watch))
    }

    /// What the authorizer says now.
    pub(super) async fn authorize(&self, parts: &Parts) -> Result<Rights, Problem> {
        match &self.authorizer {
            Some(authorizer) => authorizer.authorize(parts).await?.check_not_ended(),
            None => Ok(Rights::everything()),
        }
    }

    pub(super) fn into_shared(mut self) -> Arc<Self> {
        self.hosts.local = self.access() == Access::LocalOnly;
        Arc::new(self)
    }
}
