use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use downlink::live::{LiveError, LiveQuery, Model, Params, Rows, Scope};
use downlink::{BoxError, Event, Filter, NewEvent, Projection, Result};
use serde_json::{Value, json};

use super::LiveFixture;

/// Sets the value of a stream to the payload.
const SET: &str = "Set";

/// Removes a stream.
const REMOVED: &str = "Removed";

/// An event that the model ignores.
const OTHER: &str = "Other";

pub(super) fn set(value: u32) -> NewEvent {
    NewEvent::json(SET, value.to_string()).expect("a valid event")
}

pub(super) fn removed() -> NewEvent {
    NewEvent::json(REMOVED, "0").expect("a valid event")
}

pub(super) fn other() -> NewEvent {
    NewEvent::json(OTHER, "0").expect("a valid event")
}

pub(super) fn filter() -> Filter {
    Filter::types([SET, REMOVED])
}

/// The suite's read model: one line for each event that sets or removes.
pub(super) struct Board<F> {
    pub(super) fixture: Arc<F>,
    pub(super) version: u32,
}

impl<F> fmt::Debug for Board<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("version", &self.version).finish_non_exhaustive()
    }
}

fn list(version: u32) -> String {
    format!("board_{version}")
}

fn line(event: &Event) -> String {
    let value = String::from_utf8_lossy(event.payload());
    format!("{} {} {value}", event.event_type(), event.stream())
}

#[async_trait]
impl<F: LiveFixture> Projection for Board<F> {
    type Tx = F::Tx;

    fn name(&self) -> &'static str {
        "board"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn filter(&self) -> Filter {
        filter()
    }

    async fn prepare(&self, tx: &mut F::Tx) -> Result<(), BoxError> {
        self.fixture.make_list(&list(self.version), tx).await
    }

    async fn apply(&self, events: &[Event], tx: &mut F::Tx) -> Result<(), BoxError> {
        for event in events {
            self.fixture.add_line(&list(self.version), &line(event), tx).await?;
        }
        Ok(())
    }
}

/// The suite's query: the streams with their values, the largest value first.
pub(super) struct BoardQuery<F> {
    pub(super) fixture: Arc<F>,
    /// The filter of the events that it claims to be affected by.
    pub(super) affected_by: Filter,
    pub(super) evaluations: Arc<AtomicUsize>,
}

impl<F> fmt::Debug for BoardQuery<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoardQuery")
    }
}

#[async_trait]
impl<F: LiveFixture> LiveQuery for BoardQuery<F> {
    type Tx = F::Tx;
    type Principal = ();

    fn name(&self) -> &'static str {
        "board"
    }

    fn projection(&self) -> &'static str {
        "board"
    }

    fn key(&self) -> &'static str {
        "stream"
    }

    fn parameters(&self) -> &[&str] {
        &["copy"]
    }

    fn scope(&self, _: Option<&()>, _: &Params) -> Result<Scope, LiveError> {
        Ok(Scope::everything())
    }

    async fn eval(
        &self,
        model: &mut Model<'_, F::Tx>,
        _: &Scope,
        _: &Params,
    ) -> Result<Rows, BoxError> {
        self.evaluations.fetch_add(1, Ordering::SeqCst);
        let version = model.version();
        let lines = self.fixture.read_lines(&list(version), &mut *model).await?;
        Ok(Rows::collect(rows(version, &lines))?)
    }

    fn affected_by(&self, _: &Scope, _: &Params) -> Result<Filter> {
        Ok(self.affected_by.clone())
    }
}

/// The answer for these lines.
fn rows(version: u32, lines: &[String]) -> Vec<Value> {
    let mut values = BTreeMap::new();
    for line in lines {
        let mut words = line.split(' ');
        let (kind, stream) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let value = words.next().and_then(|value| value.parse::<u32>().ok()).unwrap_or_default();
        if kind == REMOVED {
            values.remove(stream);
        } else {
            values.insert(stream, value);
        }
    }
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by_key(|&(stream, value)| (std::cmp::Reverse(value), stream));
    let row = |(stream, value): (&str, u32)| json!({"padding": "as long as rows usually are", "stream": stream, "value": value, "version": version});
    values.into_iter().map(row).collect()
}

/// The answer after these events, as the rows that a client has to hold.
pub(super) fn answer<'a>(version: u32, log: impl Iterator<Item = &'a Event>) -> Vec<String> {
    let filter = filter();
    let lines: Vec<_> = log.filter(|event| filter.matches_event(event)).map(line).collect();
    rows(version, &lines).iter().map(Value::to_string).collect()
}
