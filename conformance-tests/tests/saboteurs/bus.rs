use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Result};
use downlink_conformance_tests::{BusFixture, Guard};
use futures::stream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The bugs of the broken bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BusBug {
    LosesTheLastOfABurst,
    WaitsForListeners,
    QueuesForEachListener,
}

/// Opens buses with this bug or none.
pub(crate) struct BrokenBuses(pub(crate) Option<BusBug>);

#[async_trait]
impl BusFixture for BrokenBuses {
    async fn open(&self, _: &Guard) -> Result<Arc<dyn Bus>> {
        Ok(Arc::new(BrokenBus {
            bug: self.0,
            newest: watch::Sender::new(Hint::anything()),
            bounded: Mutex::default(),
            unbounded: Mutex::default(),
            last: Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct BrokenBus {
    bug: Option<BusBug>,
    newest: watch::Sender<Hint>,
    bounded: Mutex<Vec<mpsc::Sender<Hint>>>,
    unbounded: Mutex<Vec<mpsc::UnboundedSender<Hint>>>,
    last: Mutex<Option<Instant>>,
}

impl BrokenBus {
    /// Whether a hint was sent within the last 5 ms.
    fn throttles(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < Duration::from_millis(5)) {
            return true;
        }
        *last = Some(Instant::now());
        false
    }
}

#[async_trait]
impl Bus for BrokenBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        match self.bug {
            Some(BusBug::LosesTheLastOfABurst) if self.throttles() => {}
            Some(BusBug::WaitsForListeners) => {
                let listeners = self.bounded.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for listener in listeners {
                    // A listener that was dropped needs no hint.
                    let _ = listener.send(hint).await;
                }
            }
            Some(BusBug::QueuesForEachListener) => {
                let listeners = self.unbounded.lock().unwrap_or_else(PoisonError::into_inner);
                for listener in listeners.iter() {
                    let _ = listener.send(hint);
                }
            }
            _ => {
                self.newest.send_replace(hint);
            }
        }
        Ok(())
    }

    async fn listen(&self) -> Result<Listener> {
        match self.bug {
            Some(BusBug::WaitsForListeners) => {
                let (sender, receiver) = mpsc::channel(16);
                self.bounded.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Ok(Listener::new(stream::unfold(receiver, |mut receiver| async {
                    Some((receiver.recv().await?, receiver))
                })))
            }
            Some(BusBug::QueuesForEachListener) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                self.unbounded.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Ok(Listener::new(stream::unfold(receiver, |mut receiver| async {
                    Some((receiver.recv().await?, receiver))
                })))
            }
            _ => {
                let receiver = self.newest.subscribe();
                Ok(Listener::new(stream::unfold(receiver, |mut receiver| async {
                    receiver.changed().await.ok()?;
                    let hint = *receiver.borrow_and_update();
                    Some((hint, receiver))
                })))
            }
        }
    }
}
