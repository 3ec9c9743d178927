use async_trait::async_trait;
use futures::stream;
use tokio::sync::watch;

use crate::bus::{Bus, Hint, Listener};
use crate::error::Result;
use crate::id::Position;

/// The bus of one process: wakes the listeners of its clones.
///
/// Holds only one hint for each listener, however many are published and
/// however slow it is: one with the highest position, or one without a position
/// if there was any.
#[derive(Clone, Debug)]
pub struct LocalBus {
    published: watch::Sender<Published>,
}

/// The hints that were published so far. A listener compares them with what it
/// has seen, so that a hint with a lower position does not replace one with a
/// higher position.
#[derive(Clone, Copy, Debug, Default)]
struct Published {
    highest: Position,
    /// The number of hints without a position.
    anything: u64,
}

impl LocalBus {
    /// Creates a bus without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self { published: watch::Sender::default() }
    }

    /// Publishes a hint from code that is not async.
    pub fn wake(&self, hint: Hint) {
        self.published.send_modify(|published| match hint.claimed_position() {
            Some(position) => published.highest = published.highest.max(position),
            None => published.anything += 1,
        });
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        self.wake(hint);
        Ok(())
    }

    async fn listen(&self) -> Result<Listener> {
        // The receiver has seen the current value, so only later hints wake it.
        let mut receiver = self.published.subscribe();
        let seen = receiver.borrow_and_update().anything;
        Ok(Listener::new(stream::unfold((receiver, seen), |(mut receiver, seen)| async move {
            receiver.changed().await.ok()?;
            let published = *receiver.borrow_and_update();
            let hint = if published.anything == seen {
                Hint::at(published.highest)
            } else {
                Hint::anything()
            };
            Some((hint, (receiver, published.anything)))
        })))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test]
    async fn hints_coalesce_into_the_last_one() {
        let bus = LocalBus::new();
        let mut listener = bus.listen().await.unwrap();
        assert_eq!(listener.next().now_or_never(), None);
        for n in 1..=1_000 {
            bus.publish(Hint::at(Position::new(n).unwrap())).await.unwrap();
        }
        assert_eq!(listener.next().await, Some(Hint::at(Position::new(1_000).unwrap())));
        assert_eq!(listener.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn no_hint_replaces_a_more_important_one() {
        let bus = LocalBus::new();
        let mut listener = bus.listen().await.unwrap();
        for position in [10, 9] {
            bus.wake(Hint::at(Position::new(position).unwrap()));
        }
        assert_eq!(listener.next().await, Some(Hint::at(Position::new(10).unwrap())));
        bus.wake(Hint::anything());
        bus.wake(Hint::at(Position::new(11).unwrap()));
        assert_eq!(listener.next().await, Some(Hint::anything()));
        bus.wake(Hint::at(Position::new(12).unwrap()));
        assert_eq!(listener.next().await, Some(Hint::at(Position::new(12).unwrap())));
    }

    #[tokio::test]
    async fn a_listener_ends_with_the_bus() {
        let bus = LocalBus::new();
        let mut listener = bus.listen().await.unwrap();
        drop(bus);
        assert_eq!(listener.next().await, None);
    }
}
