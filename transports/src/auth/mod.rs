//! Ready-made authentication: who sent a request.
//!
//! | | what the client sends | where it fits |
//! |---|---|---|
//! | [`BearerTokens`] | `Authorization: Bearer`, one of a list | programs, scripts |
//! | `Jwt` (feature `jwt`) | `Authorization: Bearer`, signed by a login service | single sign-on |
//! | [`SignedCookie`] | a `__Host-` cookie that the server has signed | pages, without a table of sessions |
//! | [`CookieLookup`] | a `__Host-` cookie that the application looks up | pages, with a table of sessions |
//! | [`Tickets`] | the parameter `ticket` | a browser's `EventSource` and `WebSocket`, which send no headers |
//!
//! Each is an [`Authenticate`]; [`or`](AuthenticateExt::or) combines them, and
//! [`with_rights`](AuthenticateExt::with_rights) makes what
//! [`Feed::with_authorizer`](crate::feed::Feed::with_authorizer) takes.
//!
//! # Examples
//!
//! ```
//! use downlink::{Filter, StreamId};
//! use downlink_transports::auth::{AuthenticateExt, BearerTokens, Keys, SignedCookie, SigningKey, Tickets};
//! use downlink_transports::feed::{Feed, Rights};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
//! struct User(u64);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> downlink::Result<()> {
//! let keys = Keys::new(SigningKey::generate());
//! let cookies = SignedCookie::new("__Host-session", keys.clone());
//! let tickets = Tickets::new(keys);
//! let robots = BearerTokens::new().with_token("a long random text", User(0));
//!
//! let authorizer = robots.or(tickets).or(cookies).with_rights(async |user: User| {
//!     let orders = StreamId::new(format!("orders-{}", user.0)).expect("a short name");
//!     Ok(Rights::to(Filter::stream(orders)))
//! });
//! let feed = Feed::new(&downlink::memory::hub().await?).with_authorizer(authorizer);
//! # Ok(()) }
//! ```

mod authenticate;
mod authenticated;
mod authorizer;
mod bearer;
mod cookie;
mod cookie_lookup;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod jwt_key;
mod keys;
mod mapped;
mod or;
mod signed;
mod signed_cookie;
mod ticket;
mod tickets;

pub use authenticate::{Authenticate, AuthenticateExt};
pub use authenticated::Authenticated;
pub use authorizer::Authorizer;
pub use bearer::{BearerTokens, bearer_token};
pub use cookie_lookup::CookieLookup;
#[cfg(feature = "jwt")]
pub use jwt::Jwt;
#[cfg(feature = "jwt")]
pub use jwt_key::{JwtKey, JwtKeys};
pub use keys::{Keys, SigningKey};
pub use mapped::Mapped;
pub use or::Or;
pub use signed_cookie::SignedCookie;
pub use ticket::{Ticket, redact_ticket};
pub use tickets::Tickets;
