use serde::Serialize;

use crate::error::Result;
use crate::event::NewEvent;

/// A value that can be appended: a [`NewEvent`], or a variant of a serde enum,
/// which [`NewEvent::from_variant`] converts.
///
/// Implemented for every type that serializes, since Rust's type system cannot
/// tell an enum from a struct. A value that is not a variant is refused when it
/// is converted.
pub trait IntoNewEvent {
    /// Converts the value into an event.
    ///
    /// # Errors
    ///
    /// As [`NewEvent::from_variant`].
    fn into_new_event(self) -> Result<NewEvent>;
}

impl IntoNewEvent for NewEvent {
    fn into_new_event(self) -> Result<NewEvent> {
        Ok(self)
    }
}

impl<T: Serialize> IntoNewEvent for T {
    fn into_new_event(self) -> Result<NewEvent> {
        NewEvent::from_variant(&self)
    }
}
