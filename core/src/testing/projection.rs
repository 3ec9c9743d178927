use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::error::{BoxError, Error, Result};
use crate::event::{Event, IntoNewEvent, Timestamp};
use crate::id::{Position, StreamId, Version};
use crate::projection::Projection;

/// Begins a test of a projection whose read model is a value in memory.
///
/// # Examples
///
/// ```
/// # use downlink::{BoxError, Event, Filter, Projection};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug)]
/// # struct Delays;
/// # #[async_trait::async_trait]
/// # impl Projection for Delays {
/// #     type Tx = u32;
/// #     fn name(&self) -> &str { "delays" }
/// #     fn version(&self) -> u32 { 1 }
/// #     fn filter(&self) -> Filter {
/// #         Filter::types(["FlightDelayed"])
/// #     }
/// #     async fn prepare(&self, minutes: &mut u32) -> Result<(), BoxError> {
/// #         *minutes = 0;
/// #         Ok(())
/// #     }
/// #     async fn apply(&self, events: &[Event], minutes: &mut u32) -> Result<(), BoxError> {
/// #         for event in events {
/// #             if let FlightEvent::FlightDelayed { minutes: more } = event.decode_raw()? { *minutes += more; }
/// #         }
/// #         Ok(())
/// #     }
/// # }
/// # #[derive(Serialize, Deserialize)]
/// # enum FlightEvent { FlightDelayed { minutes: u32 }, FlightDeparted }
/// use downlink::testing;
///
/// testing::projection(Delays)
///     .given("flight-UA1545", [FlightEvent::FlightDelayed { minutes: 20 }])
///     .given("flight-AA1141", [FlightEvent::FlightDelayed { minutes: 5 }, FlightEvent::FlightDeparted])
///     .number_of_times(3)
///     .then(&25);
/// ```
#[must_use = "nothing is tested without an expectation"]
pub fn projection<P: Projection>(projection: P) -> ProjectionTest<P> {
    ProjectionTest { projection, given: Vec::new(), times: 1 }
}

/// A test of a projection: the projection and the log of the test.
#[derive(Debug)]
#[must_use = "nothing is tested without an expectation"]
pub struct ProjectionTest<P> {
    projection: P,
    given: Vec<Event>,
    times: usize,
}

impl<P> ProjectionTest<P>
where
    P: Projection<Tx: Clone + Debug + Default + PartialEq>,
{
    /// Appends events to this stream in the log of the test. Events that do not
    /// match the projection's filter are not applied.
    ///
    /// # Panics
    ///
    /// Panics if the stream's name or an event is invalid.
    #[track_caller]
    pub fn given<S, E>(mut self, stream: S, events: E) -> Self
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let stream = stream.try_into().map_err(Error::from);
        let stream = stream.unwrap_or_else(|error| panic!("the stream is invalid: {error}"));
        for event in events {
            let event = self.placed(stream.clone(), event);
            self.given.push(event.unwrap_or_else(|error| panic!("an event is invalid: {error}")));
        }
        self
    }

    /// Sets how often the read model is built, each time on top of what the
    /// time before has left: once by default.
    ///
    /// This is what happens to a projection in production: a transaction is
    /// rolled back and the events are applied again in other batches, or the
    /// projection is reset and starts again. Each time has to yield the same
    /// model.
    pub fn number_of_times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Expects this read model each time.
    ///
    /// # Panics
    ///
    /// Panics with both models if they differ, or if the projection fails.
    #[track_caller]
    pub fn then(self, expected: &P::Tx) {
        let mut model = P::Tx::default();
        for time in 1..=self.times {
            let size = self.size_of_steps(time);
            if let Err(error) = self.make(&mut model, size) {
                panic!("time {time}, in batches of {size}: the projection fails: {error}");
            }
            assert!(
                model == *expected,
                "time {time}, in batches of {size}: the read model is not the expected one\n  \
                 expected\n    {expected:?}\n  but was\n    {model:?}"
            );
        }
    }

    /// All events in one batch the first time, then batches of one, two, and so
    /// on.
    fn size_of_steps(&self, time: usize) -> usize {
        if time == 1 { self.given.len().max(1) } else { time - 1 }
    }

    fn make(&self, model: &mut P::Tx, size: usize) -> Result<(), BoxError> {
        at_once(self.projection.prepare(model))?;
        let filter = self.projection.filter();
        let wanted = self.given.iter().filter(|event| filter.matches_event(event));
        for events in wanted.cloned().collect::<Vec<_>>().chunks(size) {
            // The batch is first applied in a transaction that is rolled back, and then again.
            let mut rolled_back = model.clone();
            at_once(self.projection.apply(events, &mut rolled_back))?;
            at_once(self.projection.apply(events, model))?;
        }
        Ok(())
    }

    fn placed(&self, stream: StreamId, event: impl IntoNewEvent) -> Result<Event> {
        let last = self.given.last().map_or(Position::ZERO, Event::position);
        let before = self.given.iter().rev().find(|event| *event.stream() == stream);
        let version = Version::following(before.map(Event::version));
        let event = event.into_new_event()?;
        Ok(Event::new(last.next(), stream, version, Timestamp::EPOCH, event))
    }
}

/// Polls a future that has nothing to wait for.
fn at_once(future: impl Future<Output = Result<(), BoxError>>) -> Result<(), BoxError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err("it awaits something, which a test in memory does not support".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::event::NewEvent;
    use crate::filter::Filter;

    /// Counts delays, with at most one bug.
    #[derive(Debug, Default)]
    struct Delays {
        keeps_old_state: bool,
        counts_steps: bool,
        remembers: Option<AtomicU32>,
        waits: bool,
    }

    #[async_trait]
    impl Projection for Delays {
        type Tx = u32;

        fn name(&self) -> &'static str {
            "delays"
        }

        fn version(&self) -> u32 {
            1
        }

        fn filter(&self) -> Filter {
            Filter::types(["FlightDelayed"])
        }

        async fn prepare(&self, count: &mut u32) -> Result<(), BoxError> {
            if !self.keeps_old_state {
                *count = 0;
            }
            Ok(())
        }

        async fn apply(&self, events: &[Event], count: &mut u32) -> Result<(), BoxError> {
            if self.waits {
                std::future::pending::<()>().await;
            }
            let more = if self.counts_steps { 1 } else { u32::try_from(events.len())? };
            *count = match &self.remembers {
                Some(sum) => sum.fetch_add(more, Ordering::Relaxed) + more,
                None => *count + more,
            };
            Ok(())
        }
    }

    fn given(delays: Delays) -> ProjectionTest<Delays> {
        let event = |name| NewEvent::json(name, "{}").unwrap();
        let [first, second] =
            [["FlightDelayed", "FlightDeparted"], ["FlightDelayed", "FlightDelayed"]];
        projection(delays)
            .given("flight-UA1545", first.map(event))
            .given("flight-AA1141", second.map(event))
            .given("flight-UA1545", [event("FlightLanded")])
    }

    fn failure(delays: Delays, times: usize) -> String {
        let test = || given(delays).number_of_times(times).then(&3);
        let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("a test that fails");
        panic.downcast_ref::<String>().cloned().expect("a message")
    }

    #[test]
    fn the_same_model_every_time_passes() {
        given(Delays::default()).number_of_times(4).then(&3);
    }

    #[test]
    fn events_get_positions_and_versions() {
        let places = given(Delays::default()).given;
        let places = places.iter().map(|event| (event.position().get(), event.version().get()));
        assert_eq!(places.collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3)]);
    }

    #[test]
    fn leftovers_of_an_earlier_time_are_found() {
        let delays = || Delays { keeps_old_state: true, ..Delays::default() };
        given(delays()).then(&3);
        let text = failure(delays(), 2);
        assert!(text.contains("time 2") && text.contains("expected\n    3\n"), "{text}");
        assert!(text.contains("but was\n    6"), "{text}");
    }

    #[test]
    fn a_model_that_depends_on_the_size_of_steps_is_found() {
        let text = failure(Delays { counts_steps: true, ..Delays::default() }, 2);
        assert!(text.contains("time 1"), "{text}");
    }

    #[test]
    fn effects_that_survive_a_rollback_are_found() {
        let text = failure(Delays { remembers: Some(AtomicU32::new(0)), ..Delays::default() }, 1);
        assert!(text.contains("but was\n    6"), "{text}");
    }

    #[test]
    fn a_projection_that_awaits_is_refused() {
        let text = failure(Delays { waits: true, ..Delays::default() }, 1);
        assert!(text.contains("the projection fails: it awaits"), "{text}");
    }
}
