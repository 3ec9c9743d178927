use std::time::Duration;

use downlink::Subscribe;
use downlink::transport::Frame;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::active_connection::{ActiveConnection, ConnectionEvent, skips_events};
use super::connect_options::ConnectOptions;
use super::frames::Frames;
use super::http_connection::within;
use super::token::TokenReason;
use super::transport_kind::TransportKind;

/// The upgrade to a preferred transport.
pub(super) enum Upgrade {
    /// There is no preferred transport.
    None,
    /// It starts at this time.
    At(Instant),
    /// A preferred transport is being connected.
    Connecting(BoxFuture<'static, Option<Upgraded>>),
}

/// A preferred transport that is ready.
pub(super) type Upgraded = (TransportKind, Box<ActiveConnection>);

pub(super) enum UpgradeEvent {
    Due,
    Done(Option<Upgraded>),
}

impl Upgrade {
    /// Connects with one of these transports.
    pub(super) fn start(
        transports: Vec<TransportKind>,
        deadline: Duration,
        options: ConnectOptions,
        subscribe: Subscribe,
    ) -> Self {
        Self::Connecting(connect_first(transports, deadline, options, subscribe).boxed())
    }

    pub(super) async fn event(&mut self) -> UpgradeEvent {
        match self {
            Self::None => std::future::pending().await,
            Self::At(time) => {
                sleep_until(*time).await;
                UpgradeEvent::Due
            }
            Self::Connecting(upgraded) => UpgradeEvent::Done(upgraded.await),
        }
    }
}

/// Returns the first of these transports that becomes ready.
async fn connect_first(
    transports: Vec<TransportKind>,
    deadline: Duration,
    options: ConnectOptions,
    subscribe: Subscribe,
) -> Option<Upgraded> {
    for transport in transports {
        if let Some(connection) = connect(transport, deadline, &options, &subscribe).await {
            return Some((transport, connection));
        }
    }
    None
}

async fn connect(
    transport: TransportKind,
    deadline: Duration,
    options: &ConnectOptions,
    subscribe: &Subscribe,
) -> Option<Box<ActiveConnection>> {
    let open = |options: ConnectOptions, reason| async move {
        let ready_by = Instant::now() + deadline;
        let frames = Frames::open(transport, &options, subscribe);
        let frames = within(deadline, frames).await?;
        Ok(ActiveConnection::new(frames, reason, ready_by))
    };
    let mut connection = options.authorized(TokenReason::Connect, open).await.ok()?;
    match connection.event().await {
        ConnectionEvent::Frame(Some(Ok(Frame::Ready { cursor, .. }))) => {
            (!skips_events(cursor, subscribe.after())).then_some(connection)
        }
        _ => None,
    }
}
