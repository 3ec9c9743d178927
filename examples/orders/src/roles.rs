//! Who is an administrator: a role is granted and revoked by events, as anything else.

use std::collections::BTreeSet;

use downlink::memory::{Fold, Folded};
use downlink::{ErrorKind, Event, Expected, Filter, Hub, Projection, Result};
use downlink_transports::feed::Reauthorization;
use serde::{Deserialize, Serialize};

use crate::user::User;

/// What happened to a user's role, in the stream [`User::role`].
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleEvent {
    /// The user is an administrator from now on.
    RoleGranted,
    /// The user is a customer like any other again.
    RoleRevoked,
}
// ANCHOR_END: events

/// Builds the set of administrators.
#[must_use]
pub fn role_projection() -> Fold<BTreeSet<User>> {
    Fold::new("roles", Filter::types(["RoleGranted", "RoleRevoked"]), |administrators, event| {
        if let Some(user) = User::of_role(event.stream()) {
            match event.decode_raw()? {
                RoleEvent::RoleGranted => administrators.insert(user),
                RoleEvent::RoleRevoked => administrators.remove(&user),
            };
        }
        Ok(())
    })
}

/// The roles of all users. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Roles(pub(crate) Folded<BTreeSet<User>>);

impl Roles {
    /// Builds the read model, and returns when it is complete. In a new log, `first`
    /// becomes an administrator.
    pub(crate) async fn start(hub: &Hub, first: &User) -> Result<Self> {
        match hub.append_to(first.role(), Expected::NoStream, [RoleEvent::RoleGranted]).await {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => Ok(Self(role_projection().start(hub).await?)),
        }
    }

    pub(crate) fn is_administrator(&self, user: &User) -> bool {
        self.0.read().0.contains(user)
    }

    // ANCHOR: reauthorization
    /// Events about roles change what a user may see, once the read model has them.
    pub(crate) fn reauthorization(&self) -> Reauthorization {
        let user = |event: &Event| User::of_role(event.stream());
        Reauthorization::on(role_projection().filter(), user).after(self.0.handle())
    }
    // ANCHOR_END: reauthorization
}
