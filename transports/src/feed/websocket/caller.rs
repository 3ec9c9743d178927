use std::sync::Arc;

use downlink::{After, Expected, Filter, NewEvent, StreamId, Subscribe, Subscription};
use http::request::Parts;
use http::{HeaderValue, Request};
use hyper::upgrade::OnUpgrade;

use crate::feed::rights::Rights;
use crate::feed::{Feed, append, route};
use crate::wire::{Code, Problem};

/// Whoever is at the other end: what it may do is found out each time that it
/// wants something.
#[derive(Clone)]
pub(super) struct Caller {
    feed: Arc<Feed>,
    /// What it is known by; `None` where everybody may see everything.
    request: Option<Arc<Parts>>,
}

/// A subscription, and the rights with which it was opened.
pub(super) struct Opened {
    /// Boxed, because it is handed on at every turn.
    pub(super) subscription: Box<Subscription>,
    pub(super) rights: Rights,
}

/// What a caller may not have.
pub(super) struct Denied {
    pub(super) problem: Problem,
    /// Whether it may have nothing else either.
    pub(super) is_final: bool,
}

impl Caller {
    pub(super) fn new(feed: &Arc<Feed>, parts: &Parts) -> Self {
        let request = feed.authorize.as_ref().map(|_| Arc::new(lasting(parts)));
        Self { feed: Arc::clone(feed), request }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    async fn rights(&self) -> Result<Rights, Denied> {
        let Some(request) = &self.request else { return Ok(Rights::everything()) };
        route::rights(&self.feed, request).await.map_err(|problem| {
            let is_final = matches!(problem.code(), Code::Unauthenticated | Code::Forbidden);
            Denied { problem, is_final }
        })
    }

    pub(super) async fn subscribe(self, after: After, filter: Filter) -> Result<Opened, Denied> {
        let rights = self.rights().await?;
        let subscribe = Subscribe::new().after(after).filter(rights.bound(filter)?);
        let subscription = self.feed.hub.subscribe(subscribe).await.map_err(Problem::from)?;
        Ok(Opened { subscription: Box::new(subscription), rights })
    }

    /// Appends, and says what was stored as the contract has it.
    pub(super) async fn append(
        self,
        stream: StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<String, Denied> {
        let rights = self.rights().await?;
        let appended = append::append(&self.feed, &rights, stream, expected, events).await;
        Ok(appended.map(|(_, json)| json)?)
    }
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Self {
        Self { problem, is_final: false }
    }
}

/// A copy that holds on to nothing: the texts of a request are parts of the
/// buffer into which it was read, and the upgrade is its connection.
fn lasting(parts: &Parts) -> Parts {
    let uri = parts.uri.to_string();
    let request = Request::builder().method(&parts.method).version(parts.version).uri(uri);
    let (mut copy, ()) = request.body(()).expect("the parts of a request").into_parts();
    let headers = parts.headers.iter();
    copy.headers = headers.map(|(name, value)| (name.clone(), owned(value))).collect();
    copy.extensions = parts.extensions.clone();
    copy.extensions.remove::<OnUpgrade>();
    copy
}

fn owned(value: &HeaderValue) -> HeaderValue {
    let mut copy = HeaderValue::from_bytes(value.as_bytes()).expect("the value of a header");
    copy.set_sensitive(value.is_sensitive());
    copy
}
