//! The bus: wakes processes that follow the log.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::Stream;
use futures::stream::{BoxStream, StreamExt};

use crate::error::Result;
use crate::id::Position;

/// Wakes whoever follows a log: "there may be something new".
///
/// A bus carries hints, never events. The store is the only truth, so a bus may
/// lose, repeat, reorder, delay or invent hints, and no subscriber ever misses,
/// repeats or reorders an event; only latency suffers.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. A bus **may** coalesce, repeat, reorder, lose and invent hints; every
///    subscription stays exact \[`subscriptions_survive_a_faulty_bus`\].
/// 2. **The last hint arrives.** After the last of a burst of publications,
///    made when the commit is visible, a healthy bus wakes every listener at
///    least once \[`the_last_hint_wakes_every_listener`\].
/// 3. **Publishing is bounded and quick.** It never waits for a listener, and
///    a listener that does not listen costs no memory that grows
///    \[`publishing_never_waits_for_listeners`\].
/// 4. **A hint is not trusted.** No cursor moves by what it says
///    \[`a_forged_hint_moves_nothing`\]. A hub reads the log for a hint at a
///    position above its tip, or without one; a position that is too low makes
///    the hint as good as lost. So a bus that coalesces keeps the highest
///    position, and a hint without one before all others.
/// 5. **Other processes are heard,** if the bus is for logs that they share: a
///    commit of anybody wakes every listener \[`other_processes_are_woken`\].
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Tells every listener that there may be something new. Called after the
    /// commit, by one task of the hub, which coalesces.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the hint could not be handed over. The hub
    /// counts it and goes on: listeners look by themselves within the fallback
    /// interval.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses at most this hint.
    async fn publish(&self, hint: Hint) -> Result<()>;

    /// Begins to listen. A hint that is published after this returns is
    /// noticed.
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

/// A wake-up, with the position that its sender says it reached.
///
/// The position only spares reads: it may be wrong, old or forged, and then
/// costs latency, never an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    position: Option<Position>,
}

impl Hint {
    /// A hint that something up to `position` was stored.
    #[must_use]
    pub fn at(position: Position) -> Self {
        Self { position: Some(position) }
    }

    /// A hint that something may have happened, as after a reconnect.
    #[must_use]
    pub fn anything() -> Self {
        Self { position: None }
    }

    /// The position that the sender claims: a listener that knows of it already
    /// need not read.
    #[must_use]
    pub fn claimed_position(self) -> Option<Position> {
        self.position
    }
}

/// A stream of hints. It ends when the bus is gone for good; a bus that
/// reconnects by itself yields one hint instead.
pub struct Listener(BoxStream<'static, Hint>);

impl Listener {
    /// A listener that yields the hints of this stream, which has to be
    /// bounded: coalesce rather than queue.
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
