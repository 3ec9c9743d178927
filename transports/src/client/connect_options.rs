use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::Result;
use downlink::transport::Endpoint;
use http::header::HOST;
use http::{HeaderMap, Request};
use http_body_util::Empty;
use tokio::time::timeout;

use super::connector::{Connector, IoStream, Tcp};
use super::event_stream::EventStream;
use super::failure::Failure;
use super::reconnect_delay::ReconnectDelay;
use super::request::Target;

const NAME: &str = concat!("downlink-rust/", env!("CARGO_PKG_VERSION"));

/// What every transport needs to open a connection.
#[derive(Clone)]
pub(super) struct ConnectOptions {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
    /// `None` for plain TCP.
    pub(super) connector: Option<Arc<dyn Connector>>,
    pub(super) connect_deadline: Duration,
    pub(super) answer_deadline: Duration,
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
            connector: None,
            connect_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(10),
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

    /// Opens a connection, within its deadline.
    pub(super) async fn connect(&self, target: &Target) -> Result<Box<dyn IoStream>, Failure> {
        let connector = self.connector.as_deref().unwrap_or(&Tcp);
        let deadline = self.connect_deadline;
        match timeout(deadline, connector.connect(&target.host, target.port)).await {
            Ok(connected) => connected.map_err(|error| {
                let message = format!("cannot connect to {}", target.authority);
                Failure::unavailable_with_source(message, error)
            }),
            Err(_) => Err(Failure::unavailable(format!("no connection after {deadline:?}"))),
        }
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
        f.debug_struct("ConnectOptions")
            .field("endpoint", &self.endpoint)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}
