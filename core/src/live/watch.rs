use std::time::Duration;

use super::{Params, Principal, Token};
use crate::cursor::Cursor;

/// Describes what to watch: a live query, its parameters, and where to resume.
///
/// # Examples
///
/// ```
/// use downlink::live::{Params, Watch};
///
/// let watch = Watch::new("board").with_params(Params::new().with("airport", "EWR"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Watch {
    pub(super) query: String,
    pub(super) params: Params,
    pub(super) principal: Option<Principal>,
    pub(super) after: Option<Token>,
    pub(super) at_least: Option<Cursor>,
    pub(super) wait: Duration,
}

impl Watch {
    /// Watches the query with this name, without parameters, for no principal.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            params: Params::new(),
            principal: None,
            after: None,
            at_least: None,
            wait: Duration::from_secs(10),
        }
    }

    /// Sets the parameters of the query.
    pub fn with_params(mut self, params: Params) -> Self {
        self.params = params;
        self
    }

    /// Sets who watches.
    pub fn with_principal(mut self, principal: Option<Principal>) -> Self {
        self.principal = principal;
        self
    }

    /// Resumes after what the client holds.
    pub fn with_after(mut self, token: Option<Token>) -> Self {
        self.after = token;
        self
    }

    /// Waits until the read model contains this cursor, such as that of an append.
    pub fn with_at_least(mut self, cursor: Cursor) -> Self {
        self.at_least = Some(cursor);
        self
    }

    /// Sets how long to wait for [`at_least`](Self::with_at_least): 10 seconds by default.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait.min(crate::limits::MAX_WAIT);
        self
    }

    /// The name of the query.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }
}
