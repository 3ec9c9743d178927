use async_trait::async_trait;
use futures::stream;
use tokio::sync::watch;

use crate::{Bus, Hint, Listener, Result};

/// The bus of one process: wakes the listeners of its clones.
///
/// Holds one hint at a time, however many are published and however slowly
/// somebody listens.
#[derive(Clone, Debug)]
pub struct LocalBus {
    newest: watch::Sender<Hint>,
}

impl LocalBus {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self { newest: watch::Sender::new(Hint::anything()) }
    }

    /// Publishes a hint from code that is not async.
    pub fn wake(&self, hint: Hint) {
        self.newest.send_replace(hint);
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
        let receiver = self.newest.subscribe();
        Ok(Listener::new(stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let hint = *receiver.borrow_and_update();
            Some((hint, receiver))
        })))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::Position;

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
    async fn a_listener_ends_with_the_bus() {
        let bus = LocalBus::new();
        let mut listener = bus.listen().await.unwrap();
        drop(bus);
        assert_eq!(listener.next().await, None);
    }
}
