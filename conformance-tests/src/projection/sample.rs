use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::{BoxError, Event, Filter, Projection};

use super::ProjectionFixture;

/// The type of events that the sample fails to apply.
pub(super) const FAILS: &str = "Fails";

/// The type of events at which the sample panics.
pub(super) const PANICS: &str = "Panics";

/// The suite's projection: one line for each event, in the order of the log.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) id: ProjectionId,
    pub(super) filter: Filter,
    failures: Arc<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    is_repaired: AtomicBool,
    /// How often a failing event was tried in a step of its own.
    tries: AtomicUsize,
}

impl Sample {
    pub(super) fn new(name: &str, version: u32) -> Self {
        let id = ProjectionId::new(name, version).expect("a valid name");
        Self { id, filter: Filter::everything(), failures: Arc::default() }
    }

    pub(super) fn of(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Makes it apply everything from now on.
    pub(super) fn repair(&self) {
        self.failures.is_repaired.store(true, Ordering::SeqCst);
    }

    pub(super) fn tries(&self) -> usize {
        self.failures.tries.load(Ordering::SeqCst)
    }

    pub(super) fn list(&self) -> String {
        format!("{}_{}", self.id.name(), self.id.version())
    }

    /// The lines of those of these events that match.
    pub(super) fn fold<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
        events.into_iter().filter(|event| self.filter.matches_event(event)).map(line).collect()
    }

    fn check(&self, event: &Event, is_alone: bool) -> Result<(), BoxError> {
        if self.failures.is_repaired.load(Ordering::SeqCst) {
            return Ok(());
        }
        match event.event_type().as_str() {
            FAILS => {
                self.failures.tries.fetch_add(usize::from(is_alone), Ordering::SeqCst);
                Err("this event fails, on purpose".into())
            }
            PANICS => panic!("this event panics, on purpose"),
            _ => Ok(()),
        }
    }
}

pub(super) fn line(event: &Event) -> String {
    event.cursor().to_string()
}

/// The sample as a projection of the fixture's store.
pub(super) struct SampleProjection<F> {
    pub(super) sample: Sample,
    pub(super) fixture: Arc<F>,
}

impl<F> fmt::Debug for SampleProjection<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sample.fmt(f)
    }
}

#[async_trait]
impl<F: ProjectionFixture> Projection for SampleProjection<F> {
    type Tx = F::Tx;

    fn name(&self) -> &str {
        self.sample.id.name()
    }

    fn version(&self) -> u32 {
        self.sample.id.version()
    }

    fn filter(&self) -> Filter {
        self.sample.filter.clone()
    }

    async fn prepare(&self, tx: &mut F::Tx) -> Result<(), BoxError> {
        self.fixture.make_list(&self.sample.list(), tx).await
    }

    async fn apply(&self, events: &[Event], tx: &mut F::Tx) -> Result<(), BoxError> {
        let list = self.sample.list();
        for event in events {
            self.sample.check(event, events.len() == 1)?;
            self.fixture.add_line(&list, &line(event), tx).await?;
        }
        Ok(())
    }
}
