use std::any::type_name;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use downlink::{Event, Filter, ProjectionHandle};

use downlink::live::Principal;

/// Says whose rights an event changes.
pub(super) type Principals = Arc<dyn Fn(&Event) -> Vec<Principal> + Send + Sync>;

/// Which events change rights, and whose: for
/// [`Feed::with_reauthorization`](super::Feed::with_reauthorization).
///
/// # Examples
///
/// ```
/// use downlink::Filter;
/// use downlink_transports::feed::Reauthorization;
///
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # struct User(String);
/// # fn example(roles: &downlink::ProjectionHandle) -> downlink::Result<Reauthorization> {
/// let changes = Filter::types(["RoleGranted", "RoleRevoked"]);
/// // The stream of a user is named after the user.
/// let reauthorization = Reauthorization::on(changes, |event| {
///     event.stream().as_str().strip_prefix("user-").map(|name| User(name.to_owned()))
/// });
/// Ok(reauthorization.after(roles))
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Reauthorization {
    pub(super) filter: Filter,
    pub(super) principals: Principals,
    pub(super) projection: Option<ProjectionHandle>,
    /// Whether a principal is of the type that the function returns.
    pub(super) is_known: fn(&Principal) -> bool,
    pub(super) known: &'static str,
}

impl Reauthorization {
    /// Each event that matches changes the rights of the principals that the function
    /// returns: an `Option`, or a list if one event concerns several. Their type has to be
    /// that of the authorizer's [principals](super::Rights::with_principal): a request with a
    /// principal of another type is answered 500, because nothing would take its rights away.
    pub fn on<F, I, P>(filter: Filter, principals: F) -> Self
    where
        F: Fn(&Event) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = P>,
        P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    {
        let principals = Arc::new(move |event: &Event| {
            principals(event).into_iter().map(Principal::new).collect()
        });
        let is_known = |principal: &Principal| principal.get::<P>().is_some();
        Self { filter, principals, projection: None, is_known, known: type_name::<P>() }
    }

    /// Decides again only when this projection has passed the event, because it holds
    /// the rights that the authorizer reads. By default, at once.
    pub fn after(mut self, projection: &ProjectionHandle) -> Self {
        self.projection = Some(projection.clone());
        self
    }
}

impl fmt::Debug for Reauthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reauthorization")
            .field("filter", &self.filter)
            .field("projection", &self.projection)
            .finish_non_exhaustive()
    }
}
