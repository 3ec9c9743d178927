use std::error::Error as StdError;

use crate::cursor::Cursor;
use crate::event::{Event, Timestamp};
use crate::id::EventId;

/// The longest error text that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 4_096;

/// An event that a projection could not apply and that was skipped.
///
/// The read model is as if the event had not happened. To include the event,
/// fix the projection and [reset](crate::ProjectionHandle::reset) it, or raise
/// its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event's cursor.
    pub cursor: Cursor,
    /// The event's id.
    pub id: EventId,
    /// The projection's error and its causes, in one text of at most 4,096
    /// bytes.
    pub error: String,
    /// When the event was skipped.
    pub skipped_at: Timestamp,
}

impl DeadLetter {
    /// Creates a dead letter for this event, skipped now because of this error.
    #[must_use]
    pub fn new(event: &Event, error: &(dyn StdError + 'static)) -> Self {
        Self {
            cursor: event.cursor(),
            id: event.id(),
            error: chain(error),
            skipped_at: Timestamp::now(),
        }
    }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let end = (0..=MAX_ERROR_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn an_error_is_kept_with_its_causes_up_to_a_maximal_length() {
        let error = Error::with_source(ErrorKind::Backend, "could not add a row", "no such table");
        assert_eq!(chain(&error), "could not add a row: no such table");
        let long = Error::new(ErrorKind::Backend, "é".repeat(MAX_ERROR_BYTES));
        assert_eq!(chain(&long), "é".repeat(MAX_ERROR_BYTES / 2));
    }
}
