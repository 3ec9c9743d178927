use serde::Serialize;
use serde::de::DeserializeOwned;

/// What one stream's events amount to, and what commands make of it.
///
/// All decisions of the example are made here, by pure functions: no clock, no
/// log, no lock. [`Processor`](crate::Processor) brings them together with the
/// log.
pub trait Decider: Default + Send {
    /// What can be asked.
    type Command: Clone + Send;
    /// What can happen: a serde enum whose variants are the event types.
    type Event: Serialize + DeserializeOwned + Send;
    /// Why something does not happen.
    type Refused;

    /// The state after this event.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// What a command makes happen.
    ///
    /// # Errors
    ///
    /// The refusal, if it makes nothing happen and should not.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refused>;

    /// The words by which the events that led here are found.
    fn tags(&self) -> Vec<String>;
}
