use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::Result;
use downlink::transport::Endpoint;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Request};
use http_body_util::Empty;
use tokio::time::timeout;

use super::connector::{Connector, IoStream};
use super::event_stream::EventStream;
use super::failure::Failure;
use super::reconnect_delay::ReconnectDelay;
use super::request::Target;
use super::silence_limit::SilenceLimit;
use super::tcp;
use super::token::{TokenProvider, TokenReason};

const NAME: &str = concat!("downlink-rust/", env!("CARGO_PKG_VERSION"));

/// How long an accepted request may take to become ready. Longer than a server
/// lets a subscription wait; what sends bytes for so long and no frame is no feed.
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// What every transport needs to open a connection.
#[derive(Clone)]
pub(super) struct ConnectOptions {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
    pub(super) token_provider: Option<TokenProvider>,
    /// `None` for plain TCP.
    pub(super) connector: Option<Arc<dyn Connector>>,
    pub(super) connect_deadline: Duration,
    pub(super) answer_deadline: Duration,
    /// Zero unless the caller wants more than the defaults.
    pub(super) read_stall_timeout: Duration,
    pub(super) event_limit: usize,
    #[cfg(feature = "long-poll")]
    pub(super) poll_wait: Duration,
    #[cfg(feature = "long-poll")]
    pub(super) page_limit: usize,
    pub(super) reconnect_delay: ReconnectDelay,
}

impl ConnectOptions {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            token_provider: None,
            connector: None,
            connect_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(10),
            read_stall_timeout: Duration::ZERO,
            event_limit: EventStream::LIMIT,
            #[cfg(feature = "long-poll")]
            poll_wait: Duration::from_secs(15),
            #[cfg(feature = "long-poll")]
            page_limit: downlink::limits::MAX_PAGE_EVENTS,
            reconnect_delay: ReconnectDelay {
                min: Duration::from_secs(1),
                max: Duration::from_secs(10),
                server_max: Duration::from_mins(1),
            },
        }
    }

    pub(super) fn target(&self) -> Result<Target> {
        Target::parse(&self.endpoint, self.connector.is_none())
    }

    /// How long a connection may be silent, before the server announces its
    /// heartbeats.
    pub(super) fn silence_limit(&self) -> SilenceLimit {
        SilenceLimit::new(self.read_stall_timeout)
    }

    /// How long a page may stall, or its answer be late.
    #[cfg(feature = "long-poll")]
    pub(super) fn page_deadline(&self) -> Duration {
        self.answer_deadline.max(self.read_stall_timeout)
    }

    /// How long an accepted request may take to become ready.
    pub(super) fn ready_deadline(&self) -> Duration {
        READY_DEADLINE.max(self.read_stall_timeout)
    }

    /// Whether another token may help after this failure.
    pub(super) fn can_renew(&self, failure: &Failure) -> bool {
        failure.is_unauthenticated && self.token_provider.is_some()
    }

    /// Opens something with a token, if there is a provider, and once more with a
    /// new one if the first is refused.
    pub(super) async fn authorized<T, O>(
        &self,
        reason: TokenReason,
        open: impl Fn(Self, TokenReason) -> O,
    ) -> Result<T, Failure>
    where
        O: Future<Output = Result<T, Failure>>,
    {
        // Boxed: the future of a whole handshake takes kilobytes.
        let open = async |reason| Box::pin(open(self.with_token(reason).await?, reason)).await;
        match open(reason).await {
            Err(failure) if reason != TokenReason::Renew && self.can_renew(&failure) => {
                tracing::debug!(error = %failure.error, "asking for a new token");
                open(TokenReason::Renew).await
            }
            outcome => outcome,
        }
    }

    async fn with_token(&self, reason: TokenReason) -> Result<Self, Failure> {
        let mut options = self.clone();
        if let Some(provider) = &self.token_provider {
            let token = provider.header(reason, self.connect_deadline).await?;
            options.headers.insert(AUTHORIZATION, token);
        }
        Ok(options)
    }

    /// Opens a connection, within its deadline.
    pub(super) async fn connect(&self, target: &Target) -> Result<Box<dyn IoStream>, Failure> {
        let (host, port, deadline) = (&*target.host, target.port, self.connect_deadline);
        let connected = match &self.connector {
            Some(connector) => timeout(deadline, connector.connect(host, port))
                .await
                .map_err(|_| Failure::unavailable(format!("no connection after {deadline:?}")))?,
            None => tcp::connect(host, port, deadline).await.map(|stream| Box::new(stream) as _),
        };
        connected.map_err(|error| {
            let message = format!("cannot connect to {}", target.authority);
            Failure::unavailable_with_source(message, error)
        })
    }

    /// Builds a `GET` request for this path, with the headers of every request.
    pub(super) fn request(
        &self,
        target: &Target,
        path: &str,
    ) -> Result<Request<Empty<Bytes>>, Failure> {
        let request =
            Request::get(path).header(HOST, &target.authority).header("feed-client", NAME);
        let mut request = request.body(Empty::new()).map_err(|error| {
            Failure::unavailable_with_source("the request cannot be written", error)
        })?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

impl fmt::Debug for ConnectOptions {
    /// Leaves out the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `HeaderMap::keys` shows the values, too.
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("ConnectOptions")
            .field("endpoint", &self.endpoint)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}
