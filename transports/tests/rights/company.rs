use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use downlink::live::Live;
use downlink::memory::MemoryProjections;
use downlink::transport::Endpoint;
use downlink::{
    BoxError, Cursor, Event, EventStore, Expected, Filter, FilterItem, Hub, LocalBus, MemoryStore,
    NewEvent, Projection, ProjectionHandle,
};
use downlink_transports::auth::{
    AuthenticateExt, BearerTokens, Jwt, JwtKey, JwtKeys, Keys, SignedCookie, SigningKey, Tickets,
};
use downlink_transports::client::{Client, TransportKind};
use downlink_transports::feed::{Authorize, Feed, Reauthorization, Refusal, Rights};
use downlink_transports::serve::Server;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::live::{OrderModel, OrderQuery};
use crate::support::{listener, soon};

pub(crate) const TRANSPORTS: [TransportKind; 3] =
    [TransportKind::Sse, TransportKind::WebSocket, TransportKind::LongPoll];

/// A user, by name: the claims of a token, and the principal of everything else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) sub: String,
}

impl User {
    pub(crate) fn new(name: &str) -> Self {
        Self { sub: name.to_owned() }
    }
}

/// The read model that holds the rights: the role of each user.
#[derive(Debug)]
struct Roles;

#[async_trait]
impl Projection for Roles {
    type Tx = BTreeMap<String, String>;

    fn name(&self) -> &'static str {
        "roles"
    }

    fn filter(&self) -> Filter {
        role_changes()
    }

    async fn prepare(&self, roles: &mut Self::Tx) -> Result<(), BoxError> {
        roles.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], roles: &mut Self::Tx) -> Result<(), BoxError> {
        for event in events {
            let user = user_of(event).ok_or("a role of no user")?;
            roles.insert(user.sub, serde_json::from_slice(event.payload())?);
        }
        Ok(())
    }
}

// ANCHOR: changes
/// The events that change rights.
fn role_changes() -> Filter {
    Filter::types(["RoleChanged"])
}

/// Whose rights such an event changes.
fn user_of(event: &Event) -> Option<User> {
    event.stream().as_str().strip_prefix("user-").map(User::new)
}
// ANCHOR_END: changes

/// What users log in with. Processes share it.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    pub(crate) keys: Keys,
    pub(crate) jwt_keys: JwtKeys,
    pub(crate) tickets: Tickets<User>,
    pub(crate) cookies: SignedCookie<User>,
}

pub(crate) const JWT_SECRET: [u8; 32] = *b"the secret of the login service!";

impl Logins {
    pub(crate) fn new() -> Self {
        let keys = Keys::new(SigningKey::generate());
        let tickets = Tickets::new(keys.clone());
        Self {
            jwt_keys: JwtKeys::new([JwtKey::hs256(JWT_SECRET).unwrap()]),
            tickets,
            cookies: SignedCookie::new("__Host-session", keys.clone()),
            keys,
        }
    }

    // ANCHOR: authorizer
    /// Everything that the module offers, one after the other.
    fn authorizer(&self, roles: MemoryProjections<BTreeMap<String, String>>) -> impl Authorize {
        let tokens = ["ann", "bob"].iter().fold(BearerTokens::new(), |tokens, name| {
            tokens.with_token(token(name), User::new(name))
        });
        let jwt = Jwt::new(self.jwt_keys.clone(), "login", "company");
        let all = tokens.or(jwt).or(self.tickets.clone()).or(self.cookies.clone());
        all.with_rights(move |user: User| {
            let roles = roles.live_state("roles").unwrap_or_default();
            async move { rights_of(&user.sub, roles.get(&user.sub).map_or("", String::as_str)) }
        })
    }
    // ANCHOR_END: authorizer
}

/// The bearer token of a user.
pub(crate) fn token(name: &str) -> String {
    format!("planted-bearer-of-{name}")
}

fn rights_of(name: &str, role: &str) -> Result<Rights, Refusal> {
    match visible(name, role) {
        Some(filter) => Ok(Rights::to(filter)),
        None => Err(Refusal::forbidden("you have no role here")),
    }
}

/// What a user with this role may see.
pub(crate) fn visible(name: &str, role: &str) -> Option<Filter> {
    match role {
        "admin" => Some(Filter::everything()),
        "customer" => Some(FilterItem::new().with_tag(format!("user:{name}")).unwrap().into()),
        _ => None,
    }
}

/// How many subscriptions are open without a stream: those of two projections, and, from the
/// first request on, the one that follows changes of rights.
pub(crate) const IDLE_SUBSCRIPTIONS: u64 = 3;

/// A server of the company's log.
pub(crate) struct Process {
    pub(crate) hub: Hub,
    pub(crate) roles: ProjectionHandle,
    pub(crate) router: Router,
    address: SocketAddr,
    _shutdown: tokio_util::sync::DropGuard,
    _serving: JoinHandle<()>,
}

impl Process {
    pub(crate) async fn start() -> Self {
        Self::with(Arc::new(MemoryStore::new()), &Logins::new(), |feed| feed).await
    }

    pub(crate) async fn with(
        store: Arc<dyn EventStore>,
        logins: &Logins,
        setup: impl FnOnce(Feed) -> Feed,
    ) -> Self {
        let bus: Arc<dyn downlink::Bus> = Arc::new(LocalBus::new());
        let hub = Hub::builder(store, bus).with_poll_interval(Duration::from_millis(100));
        let hub = hub.start().await.unwrap();
        let models = MemoryProjections::new();
        let roles = hub.project(Roles, models.clone()).start().unwrap();
        let query = OrderQuery { roles: models.clone() };
        // ANCHOR: reauthorization
        let reauthorization = Reauthorization::on(role_changes(), user_of).after(&roles);
        let feed = Feed::new(&hub)
            .with_authorizer(logins.authorizer(models))
            .with_reauthorization(reauthorization);
        // ANCHOR_END: reauthorization
        let order_models = MemoryProjections::new();
        let orders = hub.project(OrderModel, order_models.clone()).start().unwrap();
        let live = Live::builder(&hub, order_models).with_query(query).with_model(&orders);
        let feed = feed.with_live(&live.start().unwrap());
        let router: Router = setup(feed).router();
        let (listener, address) = listener().await;
        let shutdown = CancellationToken::new();
        let serving = Server::new(router.clone()).serve(listener, shutdown.clone());
        Self {
            hub,
            roles,
            router,
            address,
            _shutdown: shutdown.drop_guard(),
            _serving: tokio::spawn(async { serving.await.unwrap() }),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that is logged in as this user.
    pub(crate) fn client(&self, name: &str, transport: TransportKind) -> Client {
        let bearer = HeaderValue::try_from(format!("Bearer {}", token(name))).unwrap();
        self.anonymous(transport).with_header(AUTHORIZATION, bearer)
    }

    pub(crate) fn anonymous(&self, transport: TransportKind) -> Client {
        Client::new(Endpoint::new(self.url())).with_transport(transport)
    }

    /// Changes a role, and returns the event's cursor.
    pub(crate) async fn set_role(&self, name: &str, role: &str) -> Cursor {
        let event = NewEvent::json("RoleChanged", format!("\"{role}\"")).unwrap();
        let appended = self.hub.append_to(format!("user-{name}"), Expected::Any, [event]).await;
        appended.unwrap().cursor
    }

    /// As [`set_role`](Self::set_role), and waits for the read model.
    pub(crate) async fn has_role(&self, name: &str, role: &str) -> Cursor {
        let cursor = self.set_role(name, role).await;
        self.roles.wait_for(cursor).await.unwrap();
        cursor
    }

    /// Waits until the hub has read up to this cursor.
    pub(crate) async fn has_seen(&self, cursor: Cursor) {
        let reading = async {
            while self.hub.cached_head() < cursor {
                tokio::task::yield_now().await;
            }
        };
        soon("the hub to read", reading).await;
    }

    /// Places an order of this user, and returns the event's cursor.
    pub(crate) async fn order(&self, name: &str) -> Cursor {
        let event = NewEvent::json("OrderPlaced", r#"{"sku":"C71"}"#).unwrap();
        let event = event.with_tag(format!("user:{name}")).unwrap();
        let appended = self.hub.append_to(format!("order-{name}"), Expected::Any, [event]).await;
        appended.unwrap().cursor
    }
}
