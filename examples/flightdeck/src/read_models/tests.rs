use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use downlink::{Event, Executor, Hub, Read};
use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::rows::{FlightRow, PunctualityRow, RouteRow};
use super::*;
use crate::database::Database;
use crate::day::Day;
use crate::driver::Driver;
use crate::flight::{FlightCommand, FlightId, Flights};

const DEADLINE: Duration = Duration::from_mins(1);
const DRIVERS: [Driver; 2] = [Driver::Rusqlite, Driver::Sqlx];

struct Fixture {
    database: Database,
    hub: Hub,
    read_models: ReadModels,
    _folder: TempDir,
}

impl Fixture {
    async fn new(driver: &Driver) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("flightdeck.db");
        let database = Database::open(driver, &path, None).await.unwrap();
        let hub = database.hub().await.unwrap();
        let read_models = ReadModels::start(&hub, &database).unwrap();
        Self { database, hub, read_models, _folder: folder }
    }

    /// Executes the commands of the first flights, ordered by time.
    async fn fly(&self, flights: usize) {
        let day = Day::recorded();
        let commands = |plan: &crate::day::FlightPlan| -> Vec<(FlightId, FlightCommand)> {
            plan.commands.iter().map(|command| (plan.flight.clone(), command.clone())).collect()
        };
        let mut all: Vec<_> = day.flights()[..flights].iter().flat_map(commands).collect();
        all.sort_by_key(|(_, command)| command.at);
        let executor = Executor::new(&self.hub, Flights);
        for (flight, command) in all {
            executor.execute(flight.stream(), command).await.unwrap();
        }
    }

    /// Reads a model, once it has all events.
    async fn query(&self, model: &'static Model, filter: RowFilter) -> Value {
        let head = self.hub.head().await.unwrap();
        for projection in self.read_models.projections() {
            timeout(DEADLINE, projection.wait_for(head)).await.unwrap().unwrap();
        }
        self.read_models.wait_live().await.unwrap();
        let answer = self.read_models.query(model, filter).await.unwrap();
        serde_json::from_str(answer.rows.get()).unwrap()
    }

    async fn end(self) {
        self.hub.shutdown().await;
        self.database.close().await;
    }
}

fn all() -> RowFilter {
    RowFilter::default()
}

fn of(airport: &str) -> RowFilter {
    RowFilter { airport: Some(airport.into()), airline: None }
}

/// Fails if the rows are not as the page's types say.
fn assert_rows<Row: Serialize + DeserializeOwned>(answer: &Value) {
    let rows: Vec<Row> = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(&serde_json::to_value(rows).unwrap(), answer);
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer.as_array().unwrap()
}

#[tokio::test]
async fn both_drivers_build_the_same_models() {
    let mut answers = Vec::new();
    for driver in &DRIVERS {
        let fixture = Fixture::new(driver).await;
        fixture.fly(60).await;
        let mut answer = Vec::new();
        for model in [&BOARD, &PUNCTUALITY, &ROUTES] {
            answer.push(fixture.query(model, all()).await);
            answer.push(fixture.query(model, of("JFK")).await);
        }
        answers.push(answer);
        fixture.end().await;
    }
    assert_eq!(answers[0], answers[1]);
    assert_rows::<FlightRow>(&answers[0][0]);
    assert_rows::<PunctualityRow>(&answers[0][2]);
    assert_rows::<RouteRow>(&answers[0][4]);
    let [board, board_of_jfk, punctuality, .., routes, _] = &answers[0][..] else { panic!() };
    assert_eq!(rows(board).len(), 60);
    assert!(rows(board_of_jfk).iter().all(|flight| flight["from"] == "JFK"));
    let departed: u64 =
        rows(punctuality).iter().map(|airline| airline["departed"].as_u64().unwrap()).sum();
    assert_eq!(departed, 60, "all of the first flights must have departed");
    assert!(rows(routes).len() == 10);
    assert!(rows(routes).is_sorted_by(|a, b| a["departed"].as_u64() >= b["departed"].as_u64()));
}

#[tokio::test]
async fn a_row_has_the_state_of_the_flight() {
    let fixture = Fixture::new(&Driver::Rusqlite).await;
    fixture.fly(1).await;
    let board = fixture.query(&BOARD, all()).await;
    let row = &rows(&board)[0];
    for (name, value) in [
        ("id", json!("UA1545")),
        ("version", json!(4)),
        ("status", json!("landed")),
        ("scheduled", json!("2013-01-01T05:15")),
        ("departs", json!("2013-01-01T05:17")),
        ("landed", json!("2013-01-01T09:30")),
        ("changed", json!("2013-01-01T09:30")),
        ("wasDiverted", json!(false)),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let punctuality = fixture.query(&PUNCTUALITY, all()).await;
    let expected = json!([{
        "airline": "UA", "departed": 1, "onTime": 1, "minutesLate": 2, "cancelled": 0, "diverted": 0
    }]);
    assert_eq!(punctuality, expected);
    fixture.end().await;
}

/// The flights in these events, with their versions.
fn versions(log: &[Event]) -> BTreeMap<String, u64> {
    log.iter().map(|event| (event.stream().to_string(), event.version().get())).collect()
}

#[tokio::test]
async fn rows_have_exactly_the_events_up_to_their_cursor() {
    for driver in &DRIVERS {
        let fixture = Fixture::new(driver).await;
        fixture.read_models.wait_live().await.unwrap();
        let (read_models, flying) = (fixture.read_models.clone(), fixture.fly(40));
        let asking = async {
            let mut answers = Vec::new();
            for _ in 0..20 {
                answers.push(read_models.query(&BOARD, all()).await.unwrap());
            }
            answers
        };
        let ((), answers) = tokio::join!(flying, asking);
        let log: Vec<Event> = fixture.hub.log_events(Read::log()).try_collect().await.unwrap();
        for answer in answers {
            let seen = log.partition_point(|event| event.cursor() <= answer.cursor);
            let found: Value = serde_json::from_str(answer.rows.get()).unwrap();
            let found = rows(&found).iter().map(|row| {
                let flight = format!("flight-{}", row["id"].as_str().unwrap());
                (flight, row["version"].as_u64().unwrap())
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), versions(&log[..seen]), "{driver:?}");
        }
        fixture.end().await;
    }
}
