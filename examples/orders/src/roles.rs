//! Who is an administrator: a role is granted and revoked by events, as anything else.

use std::collections::BTreeSet;

use async_trait::async_trait;
use downlink::{BoxError, ErrorKind, Event, Expected, Filter, Hub, Projection, Result, StreamId};
use serde::{Deserialize, Serialize};

use crate::user::User;

/// The role beside that of a customer, which every user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Sees and delivers the orders of all users, and grants roles.
    Administrator,
}

/// What happened to a user's roles. The stream is `user-` and the name.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleEvent {
    /// The user has the role from now on.
    RoleGranted {
        /// Who.
        user: User,
        /// Which.
        role: Role,
    },
    /// The user does not have it any more.
    RoleRevoked {
        /// Who.
        user: User,
        /// Which.
        role: Role,
    },
}
// ANCHOR_END: events

impl RoleEvent {
    /// The types of these events.
    pub const TYPES: [&str; 2] = ["RoleGranted", "RoleRevoked"];

    /// Grants or revokes the role of an administrator.
    #[must_use]
    pub fn new(user: User, granted: bool) -> Self {
        let role = Role::Administrator;
        if granted { Self::RoleGranted { user, role } } else { Self::RoleRevoked { user, role } }
    }

    /// Whose role it is.
    #[must_use]
    pub fn user(&self) -> &User {
        let (Self::RoleGranted { user, .. } | Self::RoleRevoked { user, .. }) = self;
        user
    }

    /// The stream of the user's roles.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::new(format!("user-{}", self.user())).expect("a short name")
    }
}

/// Makes this user the first administrator of a new log.
///
/// # Errors
///
/// Those of the store.
pub(crate) async fn grant_first(hub: &Hub, user: User) -> Result<()> {
    let granted = RoleEvent::new(user, true);
    match hub.append_to(granted.stream(), Expected::NoStream, [granted]).await {
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
        _ => Ok(()),
    }
}

/// Builds the set of administrators.
#[derive(Clone, Copy, Debug)]
pub struct RoleProjection;

#[async_trait]
impl Projection for RoleProjection {
    type Tx = BTreeSet<User>;

    fn name(&self) -> &'static str {
        "roles"
    }

    fn filter(&self) -> Filter {
        Filter::types(RoleEvent::TYPES)
    }

    async fn prepare(&self, administrators: &mut BTreeSet<User>) -> Result<(), BoxError> {
        administrators.clear();
        Ok(())
    }

    async fn apply(
        &self,
        events: &[Event],
        administrators: &mut BTreeSet<User>,
    ) -> Result<(), BoxError> {
        for event in events {
            match event.decode_raw()? {
                RoleEvent::RoleGranted { user, .. } => administrators.insert(user),
                RoleEvent::RoleRevoked { user, .. } => administrators.remove(&user),
            };
        }
        Ok(())
    }
}
