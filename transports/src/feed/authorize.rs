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
/// that return such a future without borrowing from the closure.
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
