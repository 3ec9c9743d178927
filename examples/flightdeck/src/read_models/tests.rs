use std::collections::BTreeMap;
use std::time::Duration;

use downlink::live::{Update, Watch};
use downlink::{Cursor, Event, Executor, Hub, Read};
use downlink_any::Log;
use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::rows::{FlightRow, PunctualityRow, RouteRow};
use super::*;
use crate::day::Day;
use crate::flight::{FlightCommand, FlightId, Flights};

const DEADLINE: Duration = Duration::from_mins(1);
const DRIVERS: [&str; 2] = ["rusqlite", "sqlx"];

struct Fixture {
    log: Log,
    hub: Hub,
    read_models: ReadModels,
    _folder: TempDir,
}

impl Fixture {
    async fn new(driver: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flightdeck.db");
        let log = Log::open(&format!("{driver}:{}", path.display())).await.unwrap();
        let hub = log.hub().await.unwrap();
        let read_models = ReadModels::start(&hub, &log).unwrap();
        Self { log, hub, read_models, _folder: folder }
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

    /// The rows of a model, once it has all events.
    async fn query(&self, model: &Model, airport: Option<&str>) -> Value {
        let head = self.hub.head().await.unwrap();
        let watch = Watch::new(model.name).with_at_least(head);
        let params = airport.map(|airport| ("airport", airport)).into_iter().collect();
        let watch = watch.with_params(params);
        rows_and_cursor(&self.read_models, watch).await.0
    }

    async fn end(self) {
        self.hub.shutdown().await;
        self.log.close().await;
    }
}

/// The first answer of a live query, and its cursor.
async fn rows_and_cursor(read_models: &ReadModels, watch: Watch) -> (Value, Cursor) {
    let answer = async {
        let mut rows = read_models.live().watch(watch).await.unwrap();
        let Some(Update::Result(answer)) = rows.next().await else { panic!("no answer") };
        let json = [b"[", &**answer.rows_json(), b"]"].concat();
        (serde_json::from_slice(&json).unwrap(), answer.token().cursor)
    };
    timeout(DEADLINE, answer).await.expect("an answer in time")
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
        for model in Model::ALL {
            answer.push(fixture.query(model, None).await);
            answer.push(fixture.query(model, Some("JFK")).await);
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
    let fixture = Fixture::new("rusqlite").await;
    fixture.fly(1).await;
    let board = fixture.query(&BOARD, None).await;
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
    let punctuality = fixture.query(&PUNCTUALITY, None).await;
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
                answers.push(rows_and_cursor(&read_models, Watch::new("board")).await);
            }
            answers
        };
        let ((), answers) = tokio::join!(flying, asking);
        let log: Vec<Event> = fixture.hub.log_events(Read::log()).try_collect().await.unwrap();
        for (found, cursor) in answers {
            let seen = log.partition_point(|event| event.cursor() <= cursor);
            let found = rows(&found).iter().map(|row| {
                let flight = format!("flight-{}", row["id"].as_str().unwrap());
                (flight, row["version"].as_u64().unwrap())
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), versions(&log[..seen]), "{driver:?}");
        }
        fixture.end().await;
    }
}
