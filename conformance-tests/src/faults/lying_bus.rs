use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::{Bus, Error, ErrorKind, Hint, Listener, Position, Result};
use futures::stream::{self, StreamExt};
use tokio::sync::broadcast;

/// What a bus does to the hints that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Passes them on as they are.
    Honest,
    /// Loses all of them.
    LosesAll,
    /// Loses every second one.
    LosesSome,
    /// Sends each three times.
    Repeats,
    /// Keeps every second one back until after the next, so that they come in
    /// another order, and a last one perhaps never.
    Reorders,
    /// Sends each a while later.
    Delays(Duration),
    /// Sends one that claims the highest position there is.
    Forges,
    /// Sends one that claims the position zero.
    ForgesZero,
    /// Answers every publication with an error.
    Refuses,
    /// Never answers a publication.
    Hangs,
    /// Cannot be listened to.
    Deaf,
    /// Neither lets itself be listened to nor says that it does not.
    NeverListens,
    /// Ends what its listeners hear at once.
    Ends,
}

impl Lie {
    /// Each of them.
    pub const ALL: [Self; 13] = [
        Self::Honest,
        Self::LosesAll,
        Self::LosesSome,
        Self::Repeats,
        Self::Reorders,
        Self::Delays(Duration::from_millis(3)),
        Self::Forges,
        Self::ForgesZero,
        Self::Refuses,
        Self::Hangs,
        Self::Deaf,
        Self::NeverListens,
        Self::Ends,
    ];
}

/// A bus that does wrong whatever the contract allows, and whatever it does
/// not. Clones are the same bus.
///
/// It can also raise hints for nothing, as one does that is told before the
/// commit is visible: see [`raise`](Self::raise).
#[derive(Clone, Debug)]
pub struct LyingBus {
    inner: Arc<dyn Bus>,
    lie: Lie,
    told: broadcast::Sender<Hint>,
    count: Arc<AtomicUsize>,
    kept_back: Arc<Mutex<Option<Hint>>>,
}

impl LyingBus {
    /// A bus that lies so about what it is given, and passes on what the one
    /// inside hears.
    #[must_use]
    pub fn new(inner: Arc<dyn Bus>, lie: Lie) -> Self {
        let told = broadcast::Sender::new(64);
        Self { inner, lie, told, count: Arc::default(), kept_back: Arc::default() }
    }

    /// Raises a hint for nothing.
    pub fn raise(&self, hint: Hint) {
        // Without a listener a hint is lost, as it may be.
        let _ = self.told.send(hint);
    }

    /// How many hints it was given.
    #[must_use]
    pub fn published(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// The hint that was kept back, or this one is from now on.
    fn keep_back(&self, hint: Hint) -> Option<Hint> {
        let mut kept = self.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = kept.take();
        if earlier.is_none() {
            *kept = Some(hint);
        }
        earlier
    }

    async fn pass_on(&self, hint: Hint, number: usize) -> Result<()> {
        match self.lie {
            Lie::LosesAll => Ok(()),
            Lie::LosesSome if number % 2 == 1 => Ok(()),
            Lie::Reorders => match self.keep_back(hint) {
                Some(earlier) => {
                    self.inner.publish(hint).await?;
                    self.inner.publish(earlier).await
                }
                None => Ok(()),
            },
            Lie::Repeats => {
                for _ in 0..3 {
                    self.inner.publish(hint).await?;
                }
                Ok(())
            }
            Lie::Delays(pause) => {
                let inner = Arc::clone(&self.inner);
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    inner.publish(hint).await
                });
                Ok(())
            }
            Lie::Forges => self.inner.publish(Hint::at(Position::MAX)).await,
            Lie::ForgesZero => self.inner.publish(Hint::at(Position::ZERO)).await,
            Lie::Refuses => Err(Error::new(ErrorKind::Unavailable, "the bus is down, on purpose")),
            Lie::Hangs => std::future::pending().await,
            _ => self.inner.publish(hint).await,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Bus for LyingBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.pass_on(hint, number).await
    }

    async fn listen(&self) -> Result<Listener> {
        match self.lie {
            Lie::Deaf => Err(Error::new(ErrorKind::Unavailable, "the bus is deaf, on purpose")),
            Lie::NeverListens => std::future::pending().await,
            Lie::Ends => Ok(Listener::new(stream::empty())),
            Lie::LosesAll => Ok(Listener::new(raised(&self.told))),
            _ => {
                let heard = self.inner.listen().await?;
                Ok(Listener::new(stream::select(heard, raised(&self.told))))
            }
        }
    }
}

fn raised(told: &broadcast::Sender<Hint>) -> impl futures::Stream<Item = Hint> + Send + use<> {
    let hints = told.subscribe();
    stream::unfold(hints, |mut hints| async move {
        match hints.recv().await {
            Ok(hint) => Some((hint, hints)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Hint::anything(), hints)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
    .boxed()
}
