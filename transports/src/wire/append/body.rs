use downlink::NewEvent;

use super::event;
use super::scanner::{Scanner, Stop};
use crate::wire::{Code, Problem};

/// The body of an append that arrives in pieces: one event or an array of events.
///
/// Every limit is checked while the body arrives, so that a body which cannot be
/// accepted need not be taken to its end, and the events of the others take no
/// more than a small multiple of its bytes. The problems are those of
/// [`parse_events`](super::parse_events), whatever the pieces are.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::AppendBody;
///
/// let mut body = AppendBody::new();
/// for piece in [&br#"{"type":"FlightDelayed","#[..], br#""data":{"minutes":20}}"#] {
///     assert!(body.push(piece)?, "more bytes may follow");
/// }
/// assert_eq!(body.parse()?.len(), 1);
/// # Ok::<(), downlink_transports::wire::Problem>(())
/// ```
#[derive(Debug, Default)]
pub struct AppendBody {
    bytes: Vec<u8>,
    scanner: Scanner,
    is_malformed: bool,
}

impl AppendBody {
    /// A body without any bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A body of which so many bytes are expected. Their memory is reserved at once, if the
    /// system grants it, and used as they arrive: so a large body is not copied while it
    /// grows.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut body = Self::default();
        // Without it the body grows step by step.
        let _ = body.bytes.try_reserve_exact(bytes);
        body
    }

    /// Adds a piece. Returns whether the rest of the body is needed: if not, the body
    /// is not valid, and [`parse`](Self::parse) says why.
    ///
    /// # Errors
    ///
    /// As [`parse_events`](super::parse_events), for a body that exceeds a limit.
    pub fn push(&mut self, piece: &[u8]) -> Result<bool, Problem> {
        if self.bytes.capacity() - self.bytes.len() < piece.len() {
            // Not doubled: many large bodies may be under way, and a budget counts their bytes.
            self.bytes.reserve_exact(piece.len().max(self.bytes.len() / 8));
        }
        self.bytes.extend_from_slice(piece);
        if self.is_malformed {
            return Ok(false);
        }
        match self.scanner.push(piece) {
            Ok(()) => Ok(true),
            Err(Stop::Malformed) => {
                self.is_malformed = true;
                Ok(false)
            }
            Err(Stop::Refused(problem)) => Err(problem),
        }
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// An upper bound of the memory that the events take once they are parsed, in
    /// bytes, without that of the body itself.
    #[must_use]
    pub fn parsed_size(&self) -> usize {
        self.scanner.parsed_size(self.bytes.len())
    }

    /// Parses the body, which takes about 10 ms per MiB.
    ///
    /// # Errors
    ///
    /// As [`parse_events`](super::parse_events).
    pub fn parse(&self) -> Result<Vec<NewEvent>, Problem> {
        let events = event::parse(&self.bytes)?;
        if self.is_malformed {
            // What follows was not taken, so this must not be the whole body.
            return Err(Problem::new(Code::BadEvent, "the body is not valid JSON"));
        }
        Ok(events)
    }
}

/// Parses a body that has arrived.
pub(super) fn parse(body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    match Scanner::default().push(body) {
        Ok(()) | Err(Stop::Malformed) => event::parse(body),
        Err(Stop::Refused(problem)) => Err(problem),
    }
}

#[cfg(test)]
mod tests;
