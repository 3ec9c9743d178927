//! A projection into a value in memory, tested without a log.

use std::collections::BTreeMap;

use async_trait::async_trait;
use departures::flight::FlightEvent;
use downlink::{BoxError, Event, Filter, Projection, testing};

// ANCHOR: projection
/// Departures by airport, in memory.
#[derive(Debug)]
struct ByAirport;

#[async_trait]
impl Projection for ByAirport {
    type Tx = BTreeMap<String, u32>;

    fn name(&self) -> &'static str {
        "by_airport"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::types(["FlightDeparted"])
    }

    async fn prepare(&self, departed: &mut Self::Tx) -> Result<(), BoxError> {
        departed.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], departed: &mut Self::Tx) -> Result<(), BoxError> {
        for event in events {
            if let FlightEvent::FlightDeparted { from, .. } = event.decode_raw()? {
                *departed.entry(from).or_default() += 1;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: projection

fn departed(from: &str) -> FlightEvent {
    FlightEvent::FlightDeparted { from: from.into(), late: 0 }
}

// ANCHOR: test
#[test]
fn departures_are_counted_by_airport() {
    testing::projection(ByAirport)
        .given("flight-UA1545", [departed("EWR")])
        .given("flight-AA1141", [FlightEvent::FlightDelayed { minutes: 2 }, departed("JFK")])
        .given("flight-B6725", [departed("JFK")])
        .number_of_times(3)
        .then(&BTreeMap::from([("EWR".to_owned(), 1), ("JFK".to_owned(), 2)]));
}
// ANCHOR_END: test
