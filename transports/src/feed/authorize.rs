use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use http::request::Parts;

use super::refusal::Refusal;
use super::rights::Rights;

/// Decides for every request what it may see.
///
/// Implemented for every function
/// `async fn(&http::request::Parts) -> Result<Rights, Refusal>`, and for closures
/// that return such a future without borrowing from the closure: write the type of
/// the parameter, and take what is needed from them before the future begins. Filters
/// are made where an error can be reported, for a [`Refusal`] has no place for it.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
///
/// use downlink::{Filter, FilterItem};
/// use downlink_transports::feed::{Feed, Refusal, Rights};
/// use http::request::Parts;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// let flights_of_united = FilterItem::new().with_stream_prefix("flight-UA")?;
/// let tokens = HashMap::from([("Bearer united", Filter::from(flights_of_united))]);
/// let authorizer = move |parts: &Parts| {
///     let token = parts.headers.get("authorization").and_then(|token| token.to_str().ok());
///     let filter = token.and_then(|token| tokens.get(token)).cloned();
///     async move {
///         let filter = filter.ok_or_else(|| Refusal::unauthenticated("send a bearer token"))?;
///         Ok(Rights::to(filter).read_only())
///     }
/// };
/// let feed = Feed::new(&downlink::memory::hub().await?).with_authorizer(authorizer);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// Returns what this request may see.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if it may see nothing.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client disconnects.
    async fn authorize(&self, parts: &Parts) -> Result<Rights, Refusal>;
}

#[async_trait]
impl<F> Authorize for F
where
    F: for<'a> AuthorizeFn<'a> + Send + Sync + 'static,
{
    async fn authorize(&self, parts: &Parts) -> Result<Rights, Refusal> {
        self.call(parts).await
    }
}

/// An implementation detail of [`Authorize`]: a function whose future may borrow
/// the request. The bound cannot be written without a trait.
#[doc(hidden)]
pub trait AuthorizeFn<'a> {
    type Future: Future<Output = Result<Rights, Refusal>> + Send + 'a;

    fn call(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AuthorizeFn<'a> for F
where
    F: Fn(&'a Parts) -> Fut,
    Fut: Future<Output = Result<Rights, Refusal>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

impl fmt::Debug for dyn Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorize")
    }
}
