use std::fmt;

use async_trait::async_trait;

use super::{LiveError, Model, Params, Rows, Scope};
use crate::error::{BoxError, Result};
use crate::filter::Filter;

/// A read of a read model whose answer is kept up to date for its clients.
///
/// There is one evaluation for each (name, version, scope, parameters), however many clients
/// share it. The answer must depend on nothing else: no clock, no random numbers, no request.
/// Answers that have to agree with each other are one query.
///
/// # Implementing it
///
/// Put the attribute `#[async_trait]` of the crate `async-trait` on your `impl`. With a
/// driver that is not async, `eval` must finish without waiting.
///
/// # Examples
///
/// See [`live`](crate::live).
#[async_trait]
pub trait LiveQuery: fmt::Debug + Send + Sync + 'static {
    /// The transaction of the store, as in the [`Projection`](crate::Projection) that builds
    /// the model.
    type Tx: ?Sized + Send + 'static;

    /// The application's type of principals; `()` if the query shows everybody the same.
    type Principal: 'static;

    /// The name of the query, under which clients ask for it.
    fn name(&self) -> &str;

    /// The version of the query: 1 by default. Raise it when the form of the rows changes, so
    /// that servers of both versions do not share evaluations.
    fn version(&self) -> u32 {
        1
    }

    /// The name of the projection whose read model it reads.
    fn projection(&self) -> &str;

    /// The member of the rows that is their key: different in all rows of an answer.
    fn key(&self) -> &str;

    /// The names of the parameters that clients may give: none by default. Others are refused,
    /// because a typo must not mean "everything".
    fn parameters(&self) -> &[&str] {
        &[]
    }

    /// What the principal may see; `None` if the client was not said to be anyone. The scope
    /// has what [`eval`](Self::eval) needs to know of the principal, and nothing more, so that
    /// principals who may see the same share one evaluation. The rights' filter of events does
    /// not restrict rows: this does.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](LiveError::Forbidden) and [`BadParameter`](LiveError::BadParameter).
    fn scope(
        &self,
        principal: Option<&Self::Principal>,
        params: &Params,
    ) -> Result<Scope, LiveError>;

    /// Reads the rows.
    ///
    /// # Errors
    ///
    /// Those of [`Rows::push`], and those of the driver. After an error the last answer stays,
    /// and the query is evaluated again.
    ///
    /// # Panics
    ///
    /// A panic is treated as an error.
    async fn eval(
        &self,
        model: &mut Model<'_, Self::Tx>,
        scope: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError>;

    /// The events that can change the answer. Too many cost evaluations; one that is missing
    /// leaves the answer out of date until the next one.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if a parameter cannot be part of a filter.
    fn affected_by(&self, scope: &Scope, params: &Params) -> Result<Filter>;
}
