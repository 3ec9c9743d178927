use async_trait::async_trait;
use futures::stream;
use tokio::sync::watch;

use crate::bus::{Bus, Hint, Listener};
use crate::error::Result;
use crate::id::Position;

/// The bus of one process: wakes the listeners of its clones.
///
/// Holds one hint for each listener, however many are published and however
/// slowly it listens: the one for which it rather reads the log.
#[derive(Clone, Debug)]
pub struct LocalBus {
    told: watch::Sender<Told>,
}

/// What was published so far. A listener compares it with what it has seen, so
/// that a hint at a lower position takes no higher one away.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    highest: Position,
    /// How many hints had no position.
    anything: u64,
}

impl LocalBus {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self { told: watch::Sender::default() }
    }

    /// Publishes a hint from code that is not async.
    pub fn wake(&self, hint: Hint) {
        self.told.send_modify(|told| match hint.claimed_position() {
            Some(position) => told.highest = told.highest.max(position),
            None => told.anything += 1,
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
        // The receiver has seen the value of this moment, so only later hints wake it.
        let mut receiver = self.told.subscribe();
        let seen = receiver.borrow_and_update().anything;
        Ok(Listener::new(stream::unfold((receiver, seen), |(mut receiver, seen)| async move {
            receiver.changed().await.ok()?;
            let told = *receiver.borrow_and_update();
            let hint =
                if told.anything == seen { Hint::at(told.highest) } else { Hint::anything() };
            Some((hint, (receiver, told.anything)))
        })))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test]
    async fn hints_coalesce_and_the_last_one_stays() {
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
    async fn no_hint_takes_another_one_away() {
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
