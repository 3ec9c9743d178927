//! Who is an administrator: a role is granted and revoked by events, as anything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::memory::MemoryProjections;
use downlink::{
    BoxError, Cursor, ErrorKind, Event, Expected, Filter, Hub, Projection, ProjectionHandle,
    Result, StreamId,
};
use downlink_transports::feed::Reauthorization;
use serde::{Deserialize, Serialize};

use crate::user::User;

/// What happened to a user's roles. The stream is `user-` and the name.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleEvent {
    /// The user is an administrator from now on.
    RoleGranted {
        /// Who.
        user: User,
    },
    /// The user is a customer like any other again.
    RoleRevoked {
        /// Who.
        user: User,
    },
}
// ANCHOR_END: events

impl RoleEvent {
    /// Grants or revokes the role of an administrator.
    #[must_use]
    pub fn new(user: User, granted: bool) -> Self {
        if granted { Self::RoleGranted { user } } else { Self::RoleRevoked { user } }
    }

    /// Whose role it is.
    #[must_use]
    pub fn user(&self) -> &User {
        let (Self::RoleGranted { user } | Self::RoleRevoked { user }) = self;
        user
    }

    /// The stream of the user's roles.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::new(format!("user-{}", self.user())).expect("a short name")
    }
}

/// The roles of all users. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    states: MemoryProjections<BTreeSet<User>>,
    pub(crate) model: ProjectionHandle,
}

impl Roles {
    /// Builds the read model, and returns when it is complete. In a new log, `first`
    /// becomes an administrator.
    pub(crate) async fn start(hub: &Hub, first: User) -> Result<Self> {
        let granted = RoleEvent::new(first, true);
        match hub.append_to(granted.stream(), Expected::NoStream, [granted]).await {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
        let states = MemoryProjections::new();
        let model = hub.project(RoleProjection, states.clone()).start()?;
        model.wait_live().await?;
        Ok(Self { states, model })
    }

    /// All administrators, and the cursor of the last event about them.
    pub(crate) fn administrators(&self) -> (Arc<BTreeSet<User>>, Cursor) {
        self.states.live_state_with_checkpoint("roles").unwrap_or((Arc::default(), Cursor::START))
    }

    pub(crate) fn is_administrator(&self, user: &User) -> bool {
        self.administrators().0.contains(user)
    }

    // ANCHOR: reauthorization
    /// Events about roles change what a user may see, once the read model has them.
    pub(crate) fn reauthorization(&self) -> Reauthorization {
        let user =
            |event: &Event| event.decode_raw::<RoleEvent>().ok().map(|event| event.user().clone());
        Reauthorization::on(RoleProjection.filter(), user).after(&self.model)
    }
    // ANCHOR_END: reauthorization
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
        Filter::types(["RoleGranted", "RoleRevoked"])
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
                RoleEvent::RoleGranted { user } => administrators.insert(user),
                RoleEvent::RoleRevoked { user } => administrators.remove(&user),
            };
        }
        Ok(())
    }
}
