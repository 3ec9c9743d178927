use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The one that a request was authenticated as: a value of the application's own
/// type, compared and hashed by that type, with the type itself erased.
///
/// Principals of different types are never equal. Clones share the value.
///
/// # Examples
///
/// ```
/// use downlink::live::Principal;
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// struct User(u64);
///
/// let principal = Principal::new(User(7));
/// assert_eq!(principal, Principal::new(User(7)));
/// assert_ne!(principal, Principal::new(7_u64));
/// assert_eq!(principal.get::<User>(), Some(&User(7)));
/// ```
#[derive(Clone)]
pub struct Principal(Arc<dyn Value>);

impl Principal {
    /// Erases the type of `principal`.
    #[must_use]
    pub fn new<P>(principal: P) -> Self
    where
        P: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    {
        Self(Arc::new(principal))
    }

    /// The value, if it is of this type.
    #[must_use]
    pub fn get<P: 'static>(&self) -> Option<&P> {
        self.as_any().downcast_ref()
    }

    pub(super) fn as_any(&self) -> &dyn Any {
        &*self.0
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

trait Value: Any + fmt::Debug + Send + Sync {
    fn equals(&self, other: &dyn Any) -> bool;

    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<P: Eq + Hash + fmt::Debug + Send + Sync + 'static> Value for P {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<P>().is_some_and(|other| self == other)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.type_id().hash(&mut state);
        self.hash(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn principals_are_compared_by_type_and_value() {
        let principals: HashSet<_> = [Principal::new(1_u32), Principal::new(1_u64)].into();
        assert!(principals.contains(&Principal::new(1_u32)));
        assert!(principals.contains(&Principal::new(1_u64)));
        assert!(!principals.contains(&Principal::new(2_u32)));
        assert_eq!(Principal::new("ann").get(), Some(&"ann"));
        assert_eq!(Principal::new("ann").get::<String>(), None);
        assert_eq!(format!("{:?}", Principal::new("ann")), "\"ann\"");
    }
}
