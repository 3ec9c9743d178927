use downlink::{Cursor, Hub, Result, Subscribe, Subscription};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::StreamOptions;

/// A subscription whose beginning is being searched for in the log.
pub(super) struct Opening {
    pub(super) options: StreamOptions,
    hub: Hub,
    subscribing: BoxFuture<'static, Result<Subscription>>,
}

/// What happened while a stream was being opened.
#[expect(clippy::large_enum_variant, reason = "it is used at once")]
pub(super) enum Opened {
    Subscription(Result<Subscription>),
    /// A heartbeat is due. Has the end of the log.
    Heartbeat(Cursor),
    End(&'static str),
}

impl Opening {
    pub(super) fn new(hub: &Hub, subscribe: Subscribe, options: StreamOptions) -> Self {
        let of = hub.clone();
        let subscribing = async move { of.subscribe(subscribe).await }.boxed();
        Self { options, hub: hub.clone(), subscribing }
    }

    pub(super) async fn wait(&mut self) -> Opened {
        let deadline = self.options.deadline;
        let wake_at = deadline.at.min(Instant::now() + self.options.heartbeat);
        tokio::select! {
            biased;
            opened = &mut self.subscribing => Opened::Subscription(opened),
            () = self.options.drain.begins() => Opened::End("draining"),
            () = sleep_until(wake_at) => {
                if wake_at == deadline.at {
                    Opened::End(deadline.reason)
                } else {
                    Opened::Heartbeat(self.hub.cached_head())
                }
            }
        }
    }
}
