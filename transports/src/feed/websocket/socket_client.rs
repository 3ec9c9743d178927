use std::sync::Arc;

use downlink::budget::ByteBudget;
use downlink::live::{LiveSubscription, Params, Principal, Token, Watch};
use downlink::{After, Expected, Filter, NewEvent, StreamId, Subscribe, Subscription};
use http::request::Parts;

use crate::feed::append;
use crate::feed::detached::detached;
use crate::feed::feed::Feed;
use crate::feed::reauthorize::{RightsWatch, pending};
use crate::feed::rights::Rights;
use crate::wire::{Code, Problem};

/// The client of a socket. Its rights are determined anew for every command.
#[derive(Clone)]
pub(super) struct SocketClient {
    feed: Arc<Feed>,
    /// What the authorizer decides by; `None` without an authorizer.
    request: Option<Arc<Parts>>,
    /// Whose rights are watched.
    principal: Option<Principal>,
    watch: Arc<RightsWatch>,
    /// What is held for the client counts against it.
    budget: ByteBudget,
}

/// What a subscription of a socket follows. Boxed, because it is moved for every item.
pub(super) enum SocketSource {
    Log(Box<Subscription>),
    Live(Box<LiveSubscription>),
}

/// A subscription, and the rights with which it was opened.
pub(super) struct OpenedSubscription {
    pub(super) source: SocketSource,
    pub(super) rights: Rights,
}

/// Why a command failed.
pub(super) struct CommandError {
    pub(super) problem: Problem,
    /// Whether the client has lost all rights, which ends the socket.
    pub(super) ends_socket: bool,
}

impl SocketClient {
    pub(super) fn new(
        feed: &Arc<Feed>,
        parts: &Parts,
        rights: &Rights,
        watch: Arc<RightsWatch>,
    ) -> Self {
        let request = feed.authorizer.as_ref().map(|_| Arc::new(detached(parts)));
        let principal = rights.any_principal().cloned();
        Self { feed: Arc::clone(feed), request, principal, watch, budget: feed.budget(parts) }
    }

    /// The budget that what is held for this client counts against.
    pub(super) fn budget(&self) -> &ByteBudget {
        &self.budget
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    async fn rights(&self) -> Result<Rights, CommandError> {
        let Some(request) = &self.request else { return Ok(Rights::everything()) };
        let rights = self.feed.authorize(request).await.map_err(|problem| {
            let ends_socket = matches!(problem.code(), Code::Unauthenticated | Code::Forbidden);
            CommandError { problem, ends_socket }
        })?;
        if self.feed.reauthorizer.is_some() && rights.any_principal() != self.principal.as_ref() {
            let detail = "this socket was opened by another user: open a new one";
            let problem = Problem::new(Code::Unauthenticated, detail);
            return Err(CommandError { problem, ends_socket: true });
        }
        if self.watch.have_changed() {
            return Err(pending().into());
        }
        Ok(rights)
    }

    pub(super) async fn subscribe(
        self,
        after: After,
        filter: Filter,
    ) -> Result<OpenedSubscription, CommandError> {
        let rights = self.rights().await?;
        let filter = rights.restrict(filter)?;
        self.watch.check_return(after).await?;
        self.subscribe_with(rights, after, filter).await
    }

    /// As [`subscribe`](Self::subscribe), with rights that were determined already,
    /// and a filter that is restricted to them.
    pub(super) async fn subscribe_with(
        self,
        rights: Rights,
        after: After,
        filter: Filter,
    ) -> Result<OpenedSubscription, CommandError> {
        let subscribe = Subscribe::new().with_after(after).with_filter(filter);
        let subscribe = subscribe.with_budget(self.budget);
        let subscription = self.feed.hub.subscribe(subscribe).await.map_err(Problem::from)?;
        Ok(OpenedSubscription { source: SocketSource::Log(Box::new(subscription)), rights })
    }

    pub(super) async fn watch(
        self,
        query: String,
        params: Params,
        after: Option<Token>,
    ) -> Result<OpenedSubscription, CommandError> {
        let rights = self.rights().await?;
        let live = self.feed.live(&query)?;
        let watch = Watch::new(query)
            .with_params(params)
            .with_after(after)
            .with_principal(rights.any_principal().cloned());
        let subscription = live.watch(watch).await.map_err(Problem::from)?;
        Ok(OpenedSubscription { source: SocketSource::Live(Box::new(subscription)), rights })
    }

    /// Appends, and returns what was stored as the JSON of the wire contract.
    pub(super) async fn append(
        self,
        stream: StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<String, CommandError> {
        let rights = self.rights().await?;
        let appended = append::append(&self.feed, &rights, stream, expected, events).await;
        Ok(appended.map(|(_, json)| json)?)
    }
}

impl From<Problem> for CommandError {
    fn from(problem: Problem) -> Self {
        Self { problem, ends_socket: false }
    }
}
