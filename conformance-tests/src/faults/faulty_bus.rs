use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, Position, Result};
use futures::stream::{self, StreamExt};
use tokio::sync::broadcast;

/// What a bus does to the hints that are published on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusFault {
    /// Passes them on unchanged.
    None,
    /// Loses all of them.
    LosesAll,
    /// Loses every second one.
    LosesSome,
    /// Sends each three times.
    Repeats,
    /// Holds every second one back until after the next, so that they arrive in
    /// another order, and the last one perhaps never.
    Reorders,
    /// Sends each a while later.
    Delays(Duration),
    /// Replaces each by one that claims the highest possible position.
    Forges,
    /// Replaces each by one that claims the position zero.
    ForgesZero,
    /// Fails every publication.
    RefusesHints,
    /// Never completes a publication.
    HangsOnPublish,
    /// Fails every call of `listen`.
    RefusesListeners,
    /// Never completes a call of `listen`.
    HangsOnListen,
    /// Ends every listener at once.
    EndsListeners,
}

impl BusFault {
    /// All faults, and none.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::LosesAll,
        Self::LosesSome,
        Self::Repeats,
        Self::Reorders,
        Self::Delays(Duration::from_millis(3)),
        Self::Forges,
        Self::ForgesZero,
        Self::RefusesHints,
        Self::HangsOnPublish,
        Self::RefusesListeners,
        Self::HangsOnListen,
        Self::EndsListeners,
    ];
}

/// A bus with every fault that the contract allows, and some that it does not.
/// Clones share the bus.
///
/// It can also deliver hints that were not published, such as one that arrives
/// before its commit is visible: see [`inject`](Self::inject).
#[derive(Clone, Debug)]
pub struct FaultyBus {
    inner: Arc<dyn Bus>,
    fault: BusFault,
    injected_hints: broadcast::Sender<Hint>,
    count: Arc<AtomicUsize>,
    kept_back: Arc<Mutex<Option<Hint>>>,
}

impl FaultyBus {
    /// Wraps a bus with this fault.
    #[must_use]
    pub fn new(inner: Arc<dyn Bus>, fault: BusFault) -> Self {
        let injected_hints = broadcast::Sender::new(64);
        Self { inner, fault, injected_hints, count: Arc::default(), kept_back: Arc::default() }
    }

    /// Delivers a hint that was not published.
    pub fn inject(&self, hint: Hint) {
        // Without a listener the hint is lost, which a bus may do.
        let _ = self.injected_hints.send(hint);
    }

    /// How many hints were published on it.
    #[must_use]
    pub fn published(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns the hint that was held back, or holds back this one.
    fn keep_back(&self, hint: Hint) -> Option<Hint> {
        let mut kept = self.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = kept.take();
        if earlier.is_none() {
            *kept = Some(hint);
        }
        earlier
    }

    async fn pass_on(&self, hint: Hint, number: usize) -> Result<()> {
        match self.fault {
            BusFault::LosesAll => Ok(()),
            BusFault::LosesSome if number % 2 == 1 => Ok(()),
            BusFault::Reorders => match self.keep_back(hint) {
                Some(earlier) => {
                    self.inner.publish(hint).await?;
                    self.inner.publish(earlier).await
                }
                None => Ok(()),
            },
            BusFault::Repeats => {
                for _ in 0..3 {
                    self.inner.publish(hint).await?;
                }
                Ok(())
            }
            BusFault::Delays(pause) => {
                let inner = Arc::clone(&self.inner);
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    inner.publish(hint).await
                });
                Ok(())
            }
            BusFault::Forges => self.inner.publish(Hint::at(Position::MAX)).await,
            BusFault::ForgesZero => self.inner.publish(Hint::at(Position::ZERO)).await,
            BusFault::RefusesHints => {
                Err(Error::new(ErrorKind::Unavailable, "the bus is down, on purpose"))
            }
            BusFault::HangsOnPublish => std::future::pending().await,
            _ => self.inner.publish(hint).await,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Bus for FaultyBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.pass_on(hint, number).await
    }

    async fn listen(&self) -> Result<Listener> {
        match self.fault {
            BusFault::RefusesListeners => {
                Err(Error::new(ErrorKind::Unavailable, "the bus is deaf, on purpose"))
            }
            BusFault::HangsOnListen => std::future::pending().await,
            BusFault::EndsListeners => Ok(Listener::new(stream::empty())),
            BusFault::LosesAll => Ok(Listener::new(injected(&self.injected_hints))),
            _ => {
                let heard = self.inner.listen().await?;
                Ok(Listener::new(stream::select(heard, injected(&self.injected_hints))))
            }
        }
    }
}

fn injected(
    injected_hints: &broadcast::Sender<Hint>,
) -> impl futures::Stream<Item = Hint> + Send + use<> {
    let hints = injected_hints.subscribe();
    stream::unfold(hints, |mut hints| async move {
        match hints.recv().await {
            Ok(hint) => Some((hint, hints)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Hint::anything(), hints)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
    .boxed()
}
