use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::Result;

/// An answer that takes longer does not come.
const DEADLINE: Duration = Duration::from_secs(10);

/// A connection that is kept for the next request.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    requests: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    pub(crate) async fn open(authority: &str) -> Result<Self> {
        let stream = timeout(DEADLINE, TcpStream::connect(authority)).await??;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What ends it is returned by the request, too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let driver = AbortOnDropHandle::new(driver);
        Ok(Self { authority: authority.to_owned(), requests, _driver: driver })
    }

    /// Sends JSON, and returns the status and the text of the response.
    pub(crate) async fn post(&mut self, path: &str, json: String) -> Result<(StatusCode, Bytes)> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let exchange = async {
            let (status, body) = self.send(request, json).await?;
            Ok((status, body.collect().await?.to_bytes()))
        };
        timeout(DEADLINE, exchange).await?
    }

    pub(crate) async fn get_status(&mut self, path: &str) -> Result<StatusCode> {
        let request = Request::builder().method(Method::GET).uri(path);
        let (status, _) = timeout(DEADLINE, self.send(request, String::new())).await??;
        Ok(status)
    }

    /// Opens an event stream, after the event with this id.
    pub(crate) async fn follow(
        &mut self,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<(StatusCode, Incoming)> {
        let mut request = Request::get(path).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header(HeaderName::from_static("last-event-id"), id);
        }
        timeout(DEADLINE, self.send(request, String::new())).await?
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: String,
    ) -> Result<(StatusCode, Incoming)> {
        let request = request.header(HOST, &self.authority).body(Full::from(body))?;
        self.requests.ready().await?;
        let response = self.requests.send_request(request).await?;
        Ok((response.status(), response.into_body()))
    }
}

/// Whether the answer will be the same however often a request is repeated.
pub(crate) fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}
