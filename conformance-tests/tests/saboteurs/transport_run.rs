use std::time::Duration;

use downlink::{Error, Hub, Item, Subscription};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Sender, UnboundedSender, channel, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::transport::Session;
use crate::transport_bug::TransportBug;
use crate::transport_text::control;

/// How frames are sent.
enum Sending {
    /// Each frame is written before the next is taken, which is correct.
    Direct { to: OwnedWriteHalf, stall: Duration },
    /// Through a bounded queue; frames that do not fit in time are dropped.
    Dropping(Sender<String>),
    /// Through an unbounded queue.
    Unbounded(UnboundedSender<(String, Option<Item>)>),
}

impl Sending {
    fn new(bug: Option<TransportBug>, mut to: OwnedWriteHalf, stall: Duration) -> Self {
        match bug {
            Some(TransportBug::DropsWhatDoesNotFit) => {
                let (queue, mut frames) = channel::<String>(16);
                tokio::spawn(async move {
                    while let Some(text) = frames.recv().await {
                        to.write_all(text.as_bytes()).await.ok()?;
                    }
                    Some(())
                });
                Self::Dropping(queue)
            }
            Some(TransportBug::QueuesWithoutBound) => {
                let (queue, mut frames) = unbounded_channel::<(String, Option<Item>)>();
                tokio::spawn(async move {
                    while let Some((text, _kept)) = frames.recv().await {
                        to.write_all(text.as_bytes()).await.ok()?;
                    }
                    Some(())
                });
                Self::Unbounded(queue)
            }
            _ => Self::Direct { to, stall },
        }
    }

    /// Returns `None` if the peer has disconnected or has read nothing for too long.
    async fn send(&mut self, text: String, item: Option<Item>) -> Option<()> {
        match self {
            Self::Direct { to, stall } => {
                timeout(*stall, to.write_all(text.as_bytes())).await.ok()?.ok()
            }
            Self::Dropping(queue) => {
                let _ = queue.send_timeout(text, Duration::from_millis(100)).await;
                Some(())
            }
            Self::Unbounded(queue) => queue.send((text, item)).ok(),
        }
    }
}

enum Wake {
    Gone,
    Shutdown,
    Beat,
    Next(Option<Result<Item, Error>>),
    RightsChanged,
}

/// Waits for an event that changes what may be seen.
async fn change(changes: Option<&mut Subscription>) {
    let Some(changes) = changes else { return std::future::pending().await };
    while !matches!(changes.next().await, Some(Ok(Item::Event(_)))) {}
}

impl Session {
    /// Sends frames until one side ends the connection.
    pub(crate) async fn run(
        &mut self,
        hub: &Hub,
        socket: TcpStream,
        shutdown: &CancellationToken,
    ) -> Option<()> {
        let (mut from, to) = socket.into_split();
        let mut sending = Sending::new(self.bug(), to, self.transport.stall);
        let mut quiet_since = Instant::now();
        loop {
            let (text, item) = match self.wake(&mut from, quiet_since, shutdown).await {
                Wake::Gone | Wake::Next(None) => return None,
                Wake::Shutdown if self.transport.is(TransportBug::CutsAtShutdown) => {
                    return sending.send("id: 00".to_owned(), None).await;
                }
                Wake::RightsChanged if self.is_wider() => {
                    if self.transport.is(TransportBug::KeepsCursorsOfNarrowerRights) {
                        return Some(());
                    }
                    return sending.send(control("reset", None, hub.cached_head()), None).await;
                }
                Wake::Shutdown | Wake::RightsChanged => return Some(()),
                Wake::Beat => (self.heartbeat(hub).await, None),
                Wake::Next(Some(Ok(item))) => (self.text(item.clone()), Some(item)),
                Wake::Next(Some(Err(_))) if self.transport.is(TransportBug::EndsWithoutReset) => {
                    return Some(());
                }
                Wake::Next(Some(Err(_))) => {
                    return sending.send(control("reset", None, hub.cached_head()), None).await;
                }
            };
            sending.send(text, item).await?;
            quiet_since = Instant::now();
        }
    }

    async fn wake(
        &mut self,
        from: &mut OwnedReadHalf,
        quiet_since: Instant,
        shutdown: &CancellationToken,
    ) -> Wake {
        let looks = !self.transport.is(TransportBug::MissesDisconnects);
        let ends = !self.transport.is(TransportBug::NeverEndsStreams);
        let heartbeat = self.transport.heartbeat;
        let mut nothing = [0];
        tokio::select! {
            _ = tokio::io::AsyncReadExt::read(from, &mut nothing), if looks => Wake::Gone,
            () = shutdown.cancelled(), if ends => Wake::Shutdown,
            () = change(self.changes.as_mut()) => Wake::RightsChanged,
            next = self.subscription.next() => Wake::Next(next),
            () = sleep_until(quiet_since + heartbeat.unwrap_or_default()), if heartbeat.is_some() => Wake::Beat,
        }
    }

    async fn heartbeat(&self, hub: &Hub) -> String {
        let head = hub.store().head().await.unwrap_or(hub.cached_head());
        let id = self.transport.is(TransportBug::MovesTheCursorByHeartbeats).then_some(head);
        control("heartbeat", id, head)
    }
}
