use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{BoxError, Result};
use crate::filter::Filter;
use crate::live::{LiveError, LiveQuery, Model, Params, Rows, Scope};
use crate::projection::Projection;

/// A live query over a value in memory, such as one that a [`Fold`](crate::memory::Fold)
/// builds. Any event of the projection can change its answer. It is evaluated in one piece, on
/// a copy of the value, and cannot be interrupted: keep the value small.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use downlink::Filter;
/// use downlink::live::Rows;
/// use downlink::memory::{Fold, StateQuery};
/// use serde_json::json;
///
/// type Counts = BTreeMap<String, u32>;
///
/// let delays = Fold::new("delays", Filter::everything(), |counts: &mut Counts, event| {
///     *counts.entry(event.stream().to_string()).or_default() += 1;
///     Ok(())
/// });
/// let query = StateQuery::new("delays", "flight", &delays, |counts, _, _| {
///     Rows::collect(counts.iter().map(|(flight, count)| json!({ "flight": flight, "count": count })))
/// });
/// ```
pub struct StateQuery<S, P = ()> {
    name: &'static str,
    key: &'static str,
    projection: String,
    affected_by: Filter,
    parameters: &'static [&'static str],
    scope: Arc<FindScope<P>>,
    rows: fn(&S, &Scope, &Params) -> Result<Rows>,
}

type FindScope<P> = dyn Fn(Option<&P>, &Params) -> Result<Scope, LiveError> + Send + Sync;

impl<S> StateQuery<S> {
    /// A query without parameters that shows everybody the same: these rows of the
    /// projection's value, whose member `key` is [their key](LiveQuery::key).
    #[must_use]
    pub fn new(
        name: &'static str,
        key: &'static str,
        projection: &impl Projection<Tx = S>,
        rows: fn(&S, &Scope, &Params) -> Result<Rows>,
    ) -> Self {
        Self {
            name,
            key,
            projection: projection.name().to_owned(),
            affected_by: projection.filter(),
            parameters: &[],
            scope: Arc::new(|_, _| Ok(Scope::everything())),
            rows,
        }
    }
}

impl<S, P> StateQuery<S, P> {
    /// Allows [these parameters](LiveQuery::parameters).
    #[must_use]
    pub fn with_parameters(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    /// Asks this function [what a principal may see](LiveQuery::scope).
    #[must_use]
    pub fn with_scope<Q>(
        self,
        scope: impl Fn(Option<&Q>, &Params) -> Result<Scope, LiveError> + Send + Sync + 'static,
    ) -> StateQuery<S, Q> {
        let Self { name, key, projection, affected_by, parameters, rows, .. } = self;
        let scope = Arc::new(scope);
        StateQuery { name, key, projection, affected_by, parameters, scope, rows }
    }
}

#[async_trait]
impl<S: Send + 'static, P: 'static> LiveQuery for StateQuery<S, P> {
    type Tx = S;
    type Principal = P;

    fn name(&self) -> &str {
        self.name
    }

    fn projection(&self) -> &str {
        &self.projection
    }

    fn key(&self) -> &str {
        self.key
    }

    fn parameters(&self) -> &[&str] {
        self.parameters
    }

    fn scope(&self, principal: Option<&P>, params: &Params) -> Result<Scope, LiveError> {
        (self.scope)(principal, params)
    }

    async fn eval(
        &self,
        model: &mut Model<'_, S>,
        scope: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        Ok((self.rows)(model, scope, params)?)
    }

    fn affected_by(&self, _: &Scope, _: &Params) -> Result<Filter> {
        Ok(self.affected_by.clone())
    }
}

impl<S, P> fmt::Debug for StateQuery<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateQuery")
            .field("name", &self.name)
            .field("projection", &self.projection)
            .finish_non_exhaustive()
    }
}
