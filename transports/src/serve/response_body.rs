use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::client_limiter::ClientPermit;
use super::exchange::Exchange;

/// The body of a response, whose end is recorded.
pub(super) struct ResponseBody {
    body: Body,
    exchange: Arc<Exchange>,
    /// Held until the body has ended.
    _permit: Option<ClientPermit>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, exchange: Arc<Exchange>, permit: Option<ClientPermit>) -> Self {
        Self { body, exchange, _permit: permit }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.exchange.response_ended();
    }
}
