use std::convert::Infallible;
use std::fmt;

/// Why the application refuses a command, as clients receive it: a 409 with a
/// problem document of the application's own type and code.
///
/// Implement it for the [`Error`](downlink::Decider::Error) of a decider. Its
/// [`Display`](fmt::Display) is the document's `detail`, so it says to the user what
/// to do.
///
/// # Examples
///
/// ```
/// use std::fmt;
///
/// use downlink_transports::command::CommandRefusal;
///
/// #[derive(Debug)]
/// enum Refused {
///     Departed,
///     UnknownGate { gate: String },
/// }
///
/// impl fmt::Display for Refused {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         match self {
///             Self::Departed => f.write_str("the flight has departed: choose another"),
///             Self::UnknownGate { gate } => write!(f, "there is no gate {gate}: choose another"),
///         }
///     }
/// }
///
/// impl CommandRefusal for Refused {
///     const NAMESPACE: &'static str = "urn:airport:problem:";
///
///     fn code(&self) -> &'static str {
///         match self {
///             Self::Departed => "departed",
///             Self::UnknownGate { .. } => "unknown-gate",
///         }
///     }
/// }
/// ```
pub trait CommandRefusal: fmt::Display {
    /// What the `type` of the problem document begins with; the code follows it.
    /// `urn:downlink:problem:` is reserved: clients recognize a feed's problems by it.
    const NAMESPACE: &'static str;

    /// What programs match on: a few words in lower case, joined by hyphens.
    fn code(&self) -> &'static str;
}

/// For deciders that never refuse.
impl CommandRefusal for Infallible {
    const NAMESPACE: &'static str = "about:blank";

    fn code(&self) -> &'static str {
        match *self {}
    }
}
