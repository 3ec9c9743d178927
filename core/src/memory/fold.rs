use std::fmt;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::event::Event;
use crate::filter::Filter;
use crate::projection::Projection;

/// A projection that folds events into a value of the type `S`, which
/// [`MemoryProjections`](crate::memory::MemoryProjections) keeps. The value before the first
/// event is the default one.
///
/// # Examples
///
/// How many delays each flight has:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use std::collections::BTreeMap;
///
/// use downlink::memory::{self, Fold};
/// use downlink::{Expected, Filter, NewEvent};
///
/// type Counts = BTreeMap<String, u32>;
///
/// let hub = memory::hub().await?;
/// let delayed = NewEvent::json("FlightDelayed", r#"{"minutes":20}"#)?;
/// let appended = hub.append_to("flight-UA1545", Expected::Any, [delayed]).await?;
///
/// let filter = Filter::types(["FlightDelayed"]);
/// let delays = Fold::new("delays", filter, |counts: &mut Counts, event| {
///     *counts.entry(event.stream().to_string()).or_default() += 1;
///     Ok(())
/// });
/// let delays = delays.start(&hub).await?;
///
/// let (counts, cursor) = delays.read();
/// assert_eq!((counts["flight-UA1545"], cursor), (1, appended.cursor));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fold<S> {
    pub(super) name: &'static str,
    version: u32,
    filter: Filter,
    evolve: Evolve<S>,
}

type Evolve<S> = fn(&mut S, &Event) -> Result<(), BoxError>;

impl<S> Fold<S> {
    /// The projection with this name that applies the events which the filter matches, one at
    /// a time and in log order. Its version is 1.
    #[must_use]
    pub fn new(name: &'static str, filter: Filter, evolve: Evolve<S>) -> Self {
        Self { name, version: 1, filter, evolve }
    }

    /// Sets the [version](Projection::version).
    #[must_use]
    pub fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

#[async_trait]
impl<S: Default + Send + 'static> Projection for Fold<S> {
    type Tx = S;

    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn filter(&self) -> Filter {
        self.filter.clone()
    }

    async fn prepare(&self, state: &mut S) -> Result<(), BoxError> {
        *state = S::default();
        Ok(())
    }

    async fn apply(&self, events: &[Event], state: &mut S) -> Result<(), BoxError> {
        events.iter().try_for_each(|event| (self.evolve)(state, event))
    }
}

impl<S> fmt::Debug for Fold<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fold")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
