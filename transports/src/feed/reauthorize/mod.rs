//! Ends streams whose rights have changed.

mod follower;
mod lingering;
mod narrower;
mod registry;
mod rights_watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{After, Event, Hub, Read, Subscribe};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use self::lingering::Lingering;
use self::registry::{Registration, Registry};
pub(super) use self::rights_watch::{RightsChange, RightsWatch};
use super::reauthorization::Reauthorization;
use crate::wire::{Code, Problem};
use downlink::live::Principal;

/// How long a request waits for the projection that holds the rights.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Follows the events that change rights, and knows the streams that they concern. One
/// for all clones of a feed.
#[derive(Clone)]
pub(super) struct Reauthorizer(Arc<Shared>);

struct Shared {
    reauthorization: Reauthorization,
    registry: Arc<Registry>,
    lingering: Lingering,
    follower: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Reauthorizer {
    pub(super) fn new(reauthorization: Reauthorization) -> Self {
        let registry = Arc::new(Registry::new(reauthorization.projection.is_some()));
        let (lingering, follower) = (Lingering::default(), Mutex::default());
        Self(Arc::new(Shared { reauthorization, registry, lingering, follower }))
    }

    /// Follows the events from now on, if it does not yet. Begun by requests, because a
    /// router is made outside of the runtime, too.
    pub(super) async fn follow(&self, hub: &Hub) -> Result<(), Problem> {
        let Shared { reauthorization, registry, follower, .. } = &*self.0;
        if registry.is_followed() {
            return Ok(());
        }
        let mut follower = follower.lock().await;
        if registry.is_followed() {
            return Ok(());
        }
        let head = hub.head().await?;
        let subscribe = Subscribe::new().with_filter(reauthorization.filter.clone());
        let subscription = hub.subscribe(subscribe.with_after(After::Cursor(head))).await?;
        // What came before was not followed, so it may concern any principal.
        registry.begin(head);
        let principals = Arc::clone(&reauthorization.principals);
        let follow = follower::follow(subscription, Arc::clone(registry), principals);
        *follower = Some(AbortOnDropHandle::new(tokio::spawn(follow)));
        Ok(())
    }

    /// Whether changes are followed, so that what is registered now learns of the next one.
    pub(super) fn is_followed(&self) -> bool {
        self.0.registry.is_followed()
    }

    /// The number of changes so far, of any rights.
    pub(super) fn changes(&self) -> u64 {
        self.0.registry.changes()
    }

    /// Refuses a principal of a type that no event concerns.
    pub(super) fn register(
        &self,
        principal: &Principal,
        hub: &Hub,
    ) -> Result<Registration, Problem> {
        let Reauthorization { is_known, known, .. } = self.0.reauthorization;
        if !is_known(principal) {
            let error = "the principal is of another type than `Reauthorization::on` returns, so \
                         nothing would take its rights away: use one type for both";
            tracing::error!(?principal, expected = known, "{error}");
            return Err(Problem::new(
                Code::Internal,
                "the rights of this server are set up wrongly",
            ));
        }
        Ok(self.0.registry.register(principal, hub))
    }

    /// Whether rights of this principal that were read before now may be out of date.
    pub(super) fn is_settled(&self, principal: &Principal) -> bool {
        self.0.registry.must_pass(principal).is_none()
    }

    /// Whether the log has changes of these rights that the follower has not read yet.
    pub(super) async fn is_behind(
        &self,
        principal: &Principal,
        hub: &Hub,
    ) -> Result<bool, Problem> {
        let Shared { reauthorization, registry, .. } = &*self.0;
        let Some(mut from) = registry.followed() else { return Ok(false) };
        let is_of = |event: &Event| {
            let found = follower::principals_of(&reauthorization.principals, event);
            found.is_none_or(|found| found.contains(principal))
        };
        let reading = async {
            loop {
                let read = Read::log().with_after(from).with_filter(reauthorization.filter.clone());
                let page = hub.read_log(read).await?;
                let is_behind = page.events.iter().any(is_of);
                if is_behind || !page.more {
                    return Ok(is_behind);
                }
                from = page.scanned;
            }
        };
        timeout(SETTLE_TIMEOUT, reading).await.map_err(|_| pending())?
    }

    /// Waits until the rights of this principal can be read.
    pub(super) async fn settle(&self, principal: &Principal) -> Result<(), Problem> {
        let Shared { reauthorization, registry, .. } = &*self.0;
        let Some(projection) = &reauthorization.projection else { return Ok(()) };
        let passing = async {
            while let Some(cursor) = registry.must_pass(principal) {
                projection.wait_for(cursor).await?;
                registry.passed(projection.progress().position.position());
            }
            Ok(())
        };
        match timeout(SETTLE_TIMEOUT, passing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let error: downlink::Error = error;
                tracing::error!(%error, "rights cannot be determined: their projection has failed");
                Err(pending())
            }
            Err(_) => Err(pending()),
        }
    }
}

/// The problem of a cursor that may have passed what can be seen now.
fn wider() -> Problem {
    let detail = "your rights have changed, and the cursor may have passed what you can see now: \
                  load again, without the cursor";
    Problem::new(Code::RightsChanged, detail)
}

/// The problem of a request whose rights are not known yet.
pub(super) fn pending() -> Problem {
    let detail = "your rights have changed, and the server does not know them yet: repeat the \
                  request later";
    Problem::new(Code::RightsPending, detail).with_retry_after(Duration::from_secs(1))
}

impl fmt::Debug for Reauthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.reauthorization.fmt(f)
    }
}
