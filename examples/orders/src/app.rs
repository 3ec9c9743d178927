use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use downlink::live::Live;
use downlink::memory::Folded;
use downlink::{Executor, Filter, Hub, Result};
use downlink_transports::auth::{Authenticate, AuthenticateExt, Keys, SignedCookie, SigningKey};
use downlink_transports::feed::{Feed, Rights};
use downlink_transports::wire::{Code, Problem};

use crate::dashboard;
use crate::order::Orders;
use crate::order_list::{OrderList, order_projection};
use crate::roles::Roles;
use crate::user::User;

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) hub: Hub,
    pub(crate) orders: Executor<Orders>,
    pub(crate) sessions: SignedCookie<User>,
    pub(crate) roles: Roles,
    pub(crate) list: Folded<OrderList>,
    live: Live,
}

impl App {
    /// Builds the read models, and returns when they are complete.
    pub(crate) async fn start(hub: &Hub) -> Result<Self> {
        let list = order_projection().start(hub).await?;
        let roles = Roles::start(hub, &User::try_from("grace".to_owned())?).await?;
        let live = dashboard::start(hub, &list, &roles)?;
        // A key of this process: a restart logs all users out.
        let sessions = SignedCookie::new("__Host-session", Keys::new(SigningKey::generate()));
        let orders = Executor::new(hub, Orders);
        Ok(Self { hub: hub.clone(), orders, sessions, roles, list, live })
    }

    // ANCHOR: feed
    /// The feed: customers see their own orders, administrators all events and the
    /// dashboard.
    pub(crate) fn feed(&self) -> Feed {
        let roles = self.roles.clone();
        let rights = move |user: User| {
            let is_administrator = roles.is_administrator(&user);
            let filter = if is_administrator { Filter::everything() } else { user.orders() };
            async move { Ok(Rights::to(filter).read_only()) }
        };
        Feed::new(&self.hub)
            .with_hosts(["localhost", "127.0.0.1", "[::1]"])
            .with_authorizer(self.sessions.clone().with_rights(rights))
            .with_reauthorization(self.roles.reauthorization())
            .with_live(&self.live)
    }
    // ANCHOR_END: feed
}

// ANCHOR: user
/// The user who is logged in.
impl FromRequestParts<App> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let session = app.sessions.authenticate(parts).await?;
        let session = session.ok_or_else(|| Problem::new(Code::Unauthenticated, "log in first"))?;
        Ok(session.principal().clone())
    }
}

/// The user, who has to be an administrator.
pub(crate) struct Administrator;

impl FromRequestParts<App> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = User::from_request_parts(parts, app).await?;
        if app.roles.is_administrator(&user) {
            return Ok(Self);
        }
        Err(Problem::new(Code::Forbidden, "only administrators can do this: ask one for the role"))
    }
}
// ANCHOR_END: user
