//! The events of a year of flights.

use std::collections::HashMap;
use std::sync::Arc;

use downlink::event::Timestamp;
use downlink::{Event, EventId, NewEvent, Position, StreamId, Version};

/// The flights of one day, with the columns that its first line names.
const DAY: &str = include_str!("../../../../examples/flightdeck/data/flights-2013-01-01.csv");

/// The first second of 2013, in microseconds since 1970.
const NEW_YEAR: u64 = 1_356_998_400_000_000;

/// The microseconds of a day and of a minute.
const DAY_MICROS: u64 = 24 * 60 * MINUTE;
const MINUTE: u64 = 60_000_000;

/// One flight of the day.
struct Flight {
    name: String,
    airports: [String; 2],
    tail: String,
    /// Minutes of the day, and how late it was.
    departs: u64,
    delay: Option<i64>,
    minutes: Option<u64>,
}

/// What happened to a flight, at a minute of the day.
struct Happened {
    minute: u64,
    flight: usize,
    event_type: &'static str,
    payload: String,
}

/// The events of day after day, in the order of their times.
pub(crate) fn events() -> impl Iterator<Item = Event> {
    let flights: Arc<[Flight]> = flights().into();
    let mut day: Vec<_> =
        flights.iter().enumerate().flat_map(|(index, flight)| flight.events(index)).collect();
    day.sort_by_key(|happened| happened.minute);
    let (mut position, mut time) = (Position::ZERO, Timestamp::EPOCH);
    let mut versions: HashMap<StreamId, Version> = HashMap::new();
    (0..).flat_map(move |date: u64| {
        versions.clear();
        let events = day.iter().map(|happened| {
            position = position.next();
            let flight = &flights[happened.flight];
            let stream =
                StreamId::new(format!("flight-{}-{date:03}", flight.name)).expect("a name");
            let version = versions.get(&stream).map_or(Version::FIRST, |version| version.next());
            versions.insert(stream.clone(), version);
            // Some flights land on the next day.
            let minute = NEW_YEAR + date * DAY_MICROS + happened.minute * MINUTE;
            time = time.max(Timestamp::from_micros(minute + position.get() % MINUTE));
            Event::new(position, stream, version, time, happened.content(flight, position, time))
        });
        events.collect::<Vec<_>>()
    })
}

fn flights() -> Vec<Flight> {
    let mut lines = DAY.lines();
    let names: Vec<&str> = lines.next().expect("the names of the columns").split(',').collect();
    let read = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        let column = |name: &str| {
            let at = names.iter().position(|column| *column == name).expect("a column");
            values[at]
        };
        let minutes = |name: &str| column(name).parse::<u64>().ok();
        Flight {
            name: format!("{}{}", column("carrier"), column("flight")),
            airports: ["origin", "dest"].map(|name| column(name).to_owned()),
            tail: column("tailnum").to_owned(),
            departs: minutes("hour").unwrap_or(0) * 60 + minutes("minute").unwrap_or(0),
            delay: column("dep_delay").parse().ok(),
            minutes: minutes("air_time"),
        }
    };
    lines.map(read).collect()
}

impl Flight {
    fn events(&self, flight: usize) -> Vec<Happened> {
        let happened =
            |minute, event_type, payload| Happened { minute, flight, event_type, payload };
        let [from, to] = &self.airports;
        let scheduled = format!(
            r#"{{"flight":"{}","from":"{from}","to":"{to}","departs":{},"tail":"{}"}}"#,
            self.name, self.departs, self.tail
        );
        let mut events =
            vec![happened(self.departs.saturating_sub(120), "FlightScheduled", scheduled)];
        let Some(delay) = self.delay else {
            let reason = r#"{"reason":"weather"}"#.to_owned();
            events.push(happened(self.departs, "FlightCancelled", reason));
            return events;
        };
        events.push(happened(self.departs.saturating_sub(30), "BoardingStarted", "{}".to_owned()));
        let late = u64::try_from(delay).unwrap_or(0);
        if late > 0 {
            let delayed = format!(r#"{{"minutes":{late},"by":"tower"}}"#);
            events.push(happened(self.departs, "FlightDelayed", delayed));
        }
        let departed = self.departs + late;
        events.push(happened(departed, "FlightDeparted", format!(r#"{{"late":{late}}}"#)));
        if let Some(minutes) = self.minutes {
            let landed = format!(r#"{{"minutes":{minutes}}}"#);
            events.push(happened(departed + minutes, "FlightLanded", landed));
        }
        events
    }
}

impl Happened {
    fn content(&self, flight: &Flight, position: Position, time: Timestamp) -> NewEvent {
        let content = NewEvent::json(self.event_type, self.payload.clone());
        let content = content.and_then(|content| {
            content
                .with_id(EventId::derived(time, &position.get().to_be_bytes()))
                .with_metadata_json(r#"{"by":"nycflights13"}"#)?
                .with_tags(flight.airports.iter().map(|airport| format!("airport:{airport}")))
        });
        content.expect("an event within the limits")
    }
}
