use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use downlink::{Event, Item, Subscription};

use super::registry::Registry;
use crate::feed::reauthorization::Principals;

/// Tells the registry of every change, until the hub is shut down. Where a change may be
/// missed, every stream ends: it is opened again with the rights of then.
pub(super) async fn follow(
    mut subscription: Subscription,
    registry: Arc<Registry>,
    principals: Principals,
) {
    // Also if this task is aborted or panics.
    let _ended = EndsFollowing(&registry);
    while let Some(item) = subscription.next().await {
        match item {
            Ok(Item::Event(event)) => changed(&registry, &principals, &event),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "changes of rights cannot be followed, so all streams end");
                return;
            }
        }
    }
}

fn changed(registry: &Registry, principals: &Principals, event: &Event) {
    // Code of the application.
    let found = catch_unwind(AssertUnwindSafe(|| principals(event)));
    let Ok(found) = found else {
        tracing::error!(
            cursor = %event.cursor(),
            "the function that says whose rights an event changes has panicked, so all streams end"
        );
        return registry.all_changed(event.cursor());
    };
    for principal in found {
        tracing::debug!(?principal, cursor = %event.cursor(), "rights have changed");
        registry.changed(principal, event.cursor());
    }
}

struct EndsFollowing<'a>(&'a Registry);

impl Drop for EndsFollowing<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
