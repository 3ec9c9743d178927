use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use downlink::{Event, Item, Subscription};

use super::registry::Registry;
use crate::feed::reauthorization::Principals;
use downlink::live::Principal;

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
            Ok(item) => {
                if let Item::Event(event) = &item {
                    changed(&registry, &principals, event);
                }
                registry.has_followed(item.cursor());
            }
            Err(error) => {
                tracing::warn!(%error, "changes of rights cannot be followed, so all streams end");
                return;
            }
        }
    }
}

fn changed(registry: &Registry, principals: &Principals, event: &Event) {
    let Some(found) = principals_of(principals, event) else {
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

/// Whose rights this event changes; `None` if the application's function panics.
pub(super) fn principals_of(principals: &Principals, event: &Event) -> Option<Vec<Principal>> {
    catch_unwind(AssertUnwindSafe(|| principals(event))).ok()
}

struct EndsFollowing<'a>(&'a Registry);

impl Drop for EndsFollowing<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
