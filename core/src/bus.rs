//! The bus: wakes the processes that follow a log.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::Stream;
use futures::stream::{BoxStream, StreamExt};

use crate::error::Result;
use crate::id::Position;

/// Wakes the followers of a log: "there may be something new".
///
/// A bus carries hints, never events. The store is the only source of truth, so
/// a bus may lose, repeat, reorder, delay or invent hints. Only latency
/// suffers: no subscriber ever misses, repeats or reorders an event.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. A bus **may** coalesce, repeat, reorder, lose and invent hints; every
///    subscription stays exact \[`subscriptions_survive_a_faulty_bus`\].
/// 2. **The last hint arrives.** After the last of a burst of publications,
///    which is made once the commit is visible, a healthy bus wakes every
///    listener at least once \[`the_last_hint_wakes_every_listener`\].
/// 3. **Publishing is bounded and quick.** It never waits for a listener, and a
///    listener that takes no hints causes no unbounded growth of memory
///    \[`publishing_never_waits_for_listeners`\].
/// 4. **A hint is not trusted.** Its content moves no cursor
///    \[`a_forged_hint_moves_nothing`\]. A hub reads the log if the hint's
///    position is above its [cached head](crate::Hub::cached_head), or if the
///    hint has no position. A hint whose position is too low has no effect. A
///    bus that coalesces hints therefore keeps the highest position, and
///    prefers a hint without a position to all others.
/// 5. **Other processes are noticed,** if the bus is for logs that several
///    processes share: a commit of any process wakes every listener
///    \[`other_processes_are_woken`\].
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Notifies every listener that there may be something new. Called after
    /// the commit by one task of the hub, which coalesces hints.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the hint could not be
    /// sent. The hub counts the failure and continues: other hubs poll the log
    /// within their [poll interval](crate::hub::HubBuilder::with_poll_interval)
    /// anyway.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses at most this hint.
    async fn publish(&self, hint: Hint) -> Result<()>;

    /// Starts listening. A hint that is published after this returns wakes the
    /// listener.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the bus cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    async fn listen(&self) -> Result<Listener>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: Bus + ?Sized> Bus for Arc<B> {
    async fn publish(&self, hint: Hint) -> Result<()> {
        (**self).publish(hint).await
    }

    async fn listen(&self) -> Result<Listener> {
        (**self).listen().await
    }
}

/// A wake-up, with the position that the sender claims to have reached.
///
/// The position only saves reads. It may be wrong, old or forged, which costs
/// latency, never an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    position: Option<Position>,
}

impl Hint {
    /// A hint that events up to `position` were stored.
    #[must_use]
    pub fn at(position: Position) -> Self {
        Self { position: Some(position) }
    }

    /// A hint that there may be new events, without a position: for example
    /// after a reconnect.
    #[must_use]
    pub fn anything() -> Self {
        Self { position: None }
    }

    /// The position that the sender claims to have reached. A listener that has
    /// already read that far need not read again.
    #[must_use]
    pub fn claimed_position(self) -> Option<Position> {
        self.position
    }
}

/// A stream of hints. It ends when the bus is permanently gone. A bus that
/// reconnects by itself yields a hint after a reconnect instead.
pub struct Listener(BoxStream<'static, Hint>);

impl Listener {
    /// Makes a listener of a stream of hints. The stream has to be bounded:
    /// coalesce hints rather than queueing them.
    #[must_use]
    pub fn new(hints: impl Stream<Item = Hint> + Send + 'static) -> Self {
        Self(hints.boxed())
    }
}

impl Stream for Listener {
    type Item = Hint;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Hint>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
