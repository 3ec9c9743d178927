use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::event::{Event, NewEvent, typed};
use crate::supervise::panicked;

type Upcast = Arc<dyn Fn(Value) -> Result<Value, BoxError> + Send + Sync>;

/// Decodes events of older forms for a program that uses the newest.
///
/// The type of an event never changes, so that filters find it. The form of its
/// payload may change: then the form gets the next version, and an *upcast* is
/// registered that converts the old form into the new one. The version of a
/// type is the number of its upcasts plus one. It is stored in the event's
/// metadata, as `schema_version`, unless it is 1. Stored events are never
/// changed. Followers of a feed receive them as stored, unless the feed has a schema, too.
///
/// A new optional member needs no new version: use `#[serde(default)]`. Neither
/// does a new name for a variant: use `#[serde(alias)]`; the upcasts of the old
/// name have to lead to the current form of the variant.
///
/// # Examples
///
/// ```
/// use downlink::{NewEvent, Schema};
/// use serde::{Deserialize, Serialize};
/// # use downlink::{Event, Position, Version};
/// # use downlink::event::Timestamp;
/// # fn stored(event: NewEvent) -> Event {
/// #     let stream = "flight-UA1545".try_into().expect("a name");
/// #     Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, event)
/// # }
///
/// // Version 1 had hours, version 2 minutes.
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum FlightEvent {
///     FlightDelayed { minutes: u64 },
/// }
///
/// let schema = Schema::new().with_upcast("FlightDelayed", |old| {
///     let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
///     Ok(serde_json::json!({ "minutes": hours * 60 }))
/// });
///
/// let old = stored(NewEvent::json("FlightDelayed", r#"{"hours":2}"#)?);
/// let expected = FlightEvent::FlightDelayed { minutes: 120 };
/// assert_eq!(schema.decode(&old)?, Some(expected));
///
/// let new = schema.encode(&FlightEvent::FlightDelayed { minutes: 20 })?;
/// assert_eq!(&new.metadata()[..], br#"{"schema_version":2}"#);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Schema {
    upcasts: BTreeMap<String, Vec<Upcast>>,
    ignores_unknown: bool,
    ignores_unreadable: bool,
}

impl Schema {
    /// Creates a schema in which all types have their first form, and unknown
    /// types are errors.
    #[must_use]
    pub const fn new() -> Self {
        Self { upcasts: BTreeMap::new(), ignores_unknown: false, ignores_unreadable: false }
    }

    /// Adds the next version of a type, with the upcast from the version
    /// before: the first call leads from 1 to 2, the second from 2 to 3.
    #[must_use]
    pub fn with_upcast<F>(mut self, event_type: impl Into<String>, upcast: F) -> Self
    where
        F: Fn(Value) -> Result<Value, BoxError> + Send + Sync + 'static,
    {
        self.upcasts.entry(event_type.into()).or_default().push(Arc::new(upcast));
        self
    }

    /// Makes [`decode`](Self::decode) ignore events whose type is not a
    /// variant. By default they are errors.
    ///
    /// For streams that other programs write too, and for readers that need
    /// only some events. Deciders should keep the default: during an upgrade,
    /// the older program may read events of the newer one, and must not decide
    /// as if they had not happened.
    #[must_use]
    pub fn ignoring_unknown(mut self) -> Self {
        self.ignores_unknown = true;
        self
    }

    /// Makes [`decode`](Self::decode) ignore, with a warning in the log, events
    /// of known types that cannot be decoded: a payload that does not fit the
    /// variant, an upcast that fails, a version that is newer than this
    /// program. By default they are errors.
    ///
    /// For readers of a log that other programs write to, which have to
    /// continue after an invalid event. Projections should rather keep the
    /// default and use a [policy](crate::projection::FailurePolicy::skip) that
    /// skips such events. Deciders should keep the default, too, since they
    /// would decide as if the events had not happened.
    #[must_use]
    pub fn ignoring_unreadable(mut self) -> Self {
        self.ignores_unreadable = true;
        self
    }

    /// The version of a type that this program writes.
    #[must_use]
    pub fn version(&self, event_type: &str) -> u32 {
        let upcasts = self.upcasts.get(event_type).map_or(0, Vec::len);
        u32::try_from(upcasts).map_or(u32::MAX, |upcasts| upcasts.saturating_add(1))
    }

    /// Encodes an event in its newest form, with its version in the metadata.
    ///
    /// # Errors
    ///
    /// As [`NewEvent::from_variant`].
    pub fn encode<E: Serialize + ?Sized>(&self, event: &E) -> Result<NewEvent> {
        let event = NewEvent::from_variant(event)?;
        match self.version(event.event_type().as_str()) {
            1 => Ok(event),
            version => event.with_metadata(&Metadata { schema_version: version }),
        }
    }

    /// Decodes an event of any version as a variant of a serde enum. Returns
    /// `None` if there is no such variant and unknown ones are
    /// [ignored](Self::ignoring_unknown), or if the event cannot be decoded and
    /// such events are [ignored](Self::ignoring_unreadable).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the enum has no variant for the type,
    /// if the payload does not fit the variant, if an upcast fails, or if the
    /// version is newer than this program.
    pub fn decode<E: DeserializeOwned>(&self, event: &Event) -> Result<Option<E>> {
        let decoded = self.current(event).and_then(|payload| typed::decode(event, &payload));
        match decoded {
            Err(_) if self.ignores_unknown && typed::is_unknown::<E>(event.event_type()) => {
                Ok(None)
            }
            Err(error)
                if self.ignores_unreadable && !typed::is_unknown::<E>(event.event_type()) =>
            {
                tracing::warn!(%error, "ignoring an event that cannot be decoded");
                Ok(None)
            }
            decoded => decoded.map(Some),
        }
    }

    /// The content of an event in its newest form, with the newest version in the metadata.
    /// Content that is not JSON has no versions, and is returned as stored.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if an upcast fails, or if the version is newer than
    /// this program.
    pub fn upcast<'a>(&self, event: &'a Event) -> Result<Cow<'a, NewEvent>> {
        let content = event.content();
        if !content.content_type().is_json() {
            return Ok(Cow::Borrowed(content));
        }
        let Cow::Owned(payload) = self.current(event)? else { return Ok(Cow::Borrowed(content)) };
        let mut metadata: Map<String, Value> =
            serde_json::from_slice(event.metadata()).map_err(|error| no_version(event, error))?;
        metadata.insert(VERSION.into(), self.version(event.event_type().as_str()).into());
        let metadata = Value::from(metadata).to_string();
        Ok(Cow::Owned(content.with_form(payload.into(), metadata.into())))
    }

    /// The payload in its newest form.
    fn current<'a>(&self, event: &'a Event) -> Result<Cow<'a, [u8]>> {
        let name = event.event_type().as_str();
        let (stored, newest) = (stored_version(event)?, self.version(name));
        if stored == newest {
            return Ok(Cow::Borrowed(event.payload()));
        }
        if stored > newest {
            let message = format!(
                "event {} of type '{name}' has version {stored}, but this program supports only up to {newest}: \
                 read it with a newer program",
                event.cursor()
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let upcasts = self.upcasts.get(name).map(Vec::as_slice).unwrap_or_default();
        let skipped = usize::try_from(stored - 1).unwrap_or(usize::MAX);
        let payload = raise(event.payload(), &upcasts[skipped.min(upcasts.len())..]);
        payload.map(Cow::Owned).map_err(|error| {
            let message = format!(
                "event {} of type '{name}' cannot be upcast from version {stored} to {newest}: {error}",
                event.cursor()
            );
            Error::with_source(ErrorKind::Corrupt, message, error)
        })
    }
}

fn raise(payload: &[u8], upcasts: &[Upcast]) -> Result<Vec<u8>, BoxError> {
    let payload = serde_json::from_slice(payload)?;
    // Code of the application, which may not expect what another program has stored.
    let raised = catch_unwind(AssertUnwindSafe(|| {
        upcasts.iter().try_fold(payload, |payload, upcast| upcast(payload))
    }));
    Ok(serde_json::to_vec(&raised.map_err(|panic| panicked(&*panic))??)?)
}

/// The member of the metadata, as [`Metadata`] names it.
const VERSION: &str = "schema_version";

#[derive(Serialize, Deserialize)]
struct Metadata {
    #[serde(default = "first")]
    schema_version: u32,
}

fn first() -> u32 {
    1
}

fn stored_version(event: &Event) -> Result<u32> {
    // Most events have no metadata.
    if event.metadata() == "{}" {
        return Ok(first());
    }
    let metadata = serde_json::from_slice::<Metadata>(event.metadata());
    let metadata = metadata.map_err(|error| no_version(event, error))?;
    Ok(metadata.schema_version.max(first()))
}

fn no_version(event: &Event, error: serde_json::Error) -> Error {
    let message =
        format!("the metadata of event {} has no valid schema version: {error}", event.cursor());
    Error::with_source(ErrorKind::Corrupt, message, error)
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.upcasts.keys().map(|name| (name, self.version(name)));
        f.debug_struct("Schema")
            .field("versions", &versions.collect::<BTreeMap<_, _>>())
            .field("ignores_unknown", &self.ignores_unknown)
            .field("ignores_unreadable", &self.ignores_unreadable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::{ContentType, Timestamp};
    use crate::id::{Position, StreamId, Version};

    /// Version 1 had `hours`, version 2 `minutes`, version 3 adds `by`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum FlightEvent {
        FlightDelayed {
            minutes: u64,
            by: String,
        },
        #[serde(alias = "FlightEnded")]
        FlightLanded {
            gate: String,
        },
    }

    fn schema() -> Schema {
        Schema::new()
            .with_upcast("FlightDelayed", |old| {
                let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
                Ok(json!({ "minutes": hours * 60 }))
            })
            .with_upcast("FlightDelayed", |mut old| {
                old["by"] = "airline".into();
                Ok(old)
            })
            .with_upcast("FlightEnded", |old| Ok(json!({ "gate": old })))
    }

    fn delayed(minutes: u64, by: &str) -> FlightEvent {
        FlightEvent::FlightDelayed { minutes, by: by.into() }
    }

    fn stored(event: NewEvent) -> Event {
        let stream = StreamId::new("flight-UA1545").unwrap();
        Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, event)
    }

    fn written(name: &str, version: u32, payload: &Value) -> Event {
        let event = NewEvent::json(name, payload.to_string()).unwrap();
        stored(event.with_metadata(&json!({"schema_version": version, "user": "tower"})).unwrap())
    }

    #[test]
    fn every_older_form_is_upcast_step_by_step() {
        let first = stored(NewEvent::json("FlightDelayed", r#"{"hours":2}"#).unwrap());
        let second = written("FlightDelayed", 2, &json!({"minutes": 20}));
        let third = written("FlightDelayed", 3, &json!({"minutes": 5, "by": "visitor"}));
        assert_eq!(schema().decode(&first).unwrap(), Some(delayed(120, "airline")));
        assert_eq!(schema().decode(&second).unwrap(), Some(delayed(20, "airline")));
        assert_eq!(schema().decode(&third).unwrap(), Some(delayed(5, "visitor")));
    }

    #[test]
    fn an_upcast_event_has_its_newest_form_and_everything_else_as_stored() {
        let second = written("FlightDelayed", 2, &json!({"minutes": 20}));
        let upcast = schema().upcast(&second).unwrap().into_owned();
        assert_eq!((upcast.id(), upcast.event_type()), (second.id(), second.event_type()));
        assert_eq!(upcast.payload(), r#"{"by":"airline","minutes":20}"#);
        assert_eq!(upcast.metadata(), r#"{"schema_version":3,"user":"tower"}"#);
        // A second reader with the same schema must not apply the upcasts again.
        let again = stored(upcast);
        assert!(matches!(schema().upcast(&again).unwrap(), Cow::Borrowed(_)));
        assert_eq!(schema().decode(&again).unwrap(), Some(delayed(20, "airline")));
    }

    #[test]
    fn an_upcast_that_panics_is_an_error_of_its_event() {
        // The upcast sets a member of an object.
        let text = written("FlightDelayed", 2, &json!("twenty minutes"));
        let error = schema().upcast(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }

    #[test]
    fn what_has_no_older_form_is_not_copied() {
        let png = ContentType::new("image/png").unwrap();
        let photo = stored(NewEvent::bytes("FlightDelayed", png, vec![0]).unwrap());
        let landed = written("FlightLanded", 1, &json!({"gate": "B12"}));
        for event in [photo, landed] {
            assert!(matches!(schema().upcast(&event).unwrap(), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn an_old_name_leads_to_the_form_of_the_variant() {
        let old = written("FlightEnded", 1, &json!("B12"));
        let landed = FlightEvent::FlightLanded { gate: "B12".into() };
        assert_eq!(schema().decode(&old).unwrap(), Some(landed));
    }

    #[test]
    fn an_upcast_that_fails_names_the_event() {
        let broken = written("FlightDelayed", 1, &json!({"days": 1}));
        let error = schema().decode::<FlightEvent>(&broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("a delay without hours"), "{error}");
    }

    #[test]
    fn a_newer_version_is_an_error_even_if_it_would_decode() {
        let future = written("FlightDelayed", 4, &json!({"minutes": 5, "by": "visitor"}));
        for schema in [schema(), schema().ignoring_unknown()] {
            let error = schema.decode::<FlightEvent>(&future).unwrap_err();
            assert!(error.to_string().contains("newer"), "{error}");
        }
    }

    #[test]
    fn unknown_types_are_errors_unless_they_are_ignored() {
        let png = ContentType::new("image/png").unwrap();
        let photo = NewEvent::bytes("Photo", png, vec![0]).unwrap();
        for event in [stored(photo), written("GateTaken", 7, &json!({}))] {
            assert!(schema().decode::<FlightEvent>(&event).is_err());
            assert_eq!(schema().ignoring_unknown().decode::<FlightEvent>(&event).unwrap(), None);
        }
        let broken = written("FlightDelayed", 3, &json!({"minutes": "soon"}));
        assert!(schema().ignoring_unknown().decode::<FlightEvent>(&broken).is_err());
    }

    #[test]
    fn unreadable_events_are_errors_unless_they_are_ignored() {
        let png = ContentType::new("image/png").unwrap();
        let tolerant = schema().ignoring_unreadable();
        for event in [
            written("FlightDelayed", 3, &json!({"minutes": "soon"})),
            written("FlightDelayed", 1, &json!({"days": 1})),
            written("FlightDelayed", 4, &json!({"minutes": 5, "by": "visitor"})),
            stored(NewEvent::bytes("FlightLanded", png, vec![0]).unwrap()),
        ] {
            assert!(schema().decode::<FlightEvent>(&event).is_err());
            assert_eq!(tolerant.decode::<FlightEvent>(&event).unwrap(), None, "{event:?}");
        }
        let good = written("FlightLanded", 1, &json!({"gate": "B12"}));
        assert!(tolerant.decode::<FlightEvent>(&good).unwrap().is_some());
        let unknown = written("GateTaken", 1, &json!({}));
        assert!(
            tolerant.decode::<FlightEvent>(&unknown).is_err(),
            "unknown types have an option of their own"
        );
    }

    #[test]
    fn metadata_without_a_valid_version_is_an_error() {
        let event = NewEvent::json("FlightLanded", r#"{"gate":"B12"}"#).unwrap();
        let event = stored(event.with_metadata(&json!({"schema_version": "new"})).unwrap());
        assert_eq!(schema().decode::<FlightEvent>(&event).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    proptest! {
        #[test]
        fn encoded_events_decode(minutes: u64, by in ".{0,8}") {
            let event = delayed(minutes, &by);
            let stored = stored(schema().encode(&event).unwrap());
            prop_assert_eq!(schema().decode(&stored).unwrap(), Some(event));
        }

        #[test]
        fn any_chain_applies_every_later_step_once(steps in 0..6_u32, from in 1..7_u32) {
            #[derive(Debug, PartialEq, Serialize, Deserialize)]
            enum Counted {
                Counted(Vec<u32>),
            }

            let schema = (1..=steps).fold(Schema::new(), |schema, step| {
                schema.with_upcast("Counted", move |mut payload| {
                    payload.as_array_mut().ok_or("no list")?.push(step.into());
                    Ok(payload)
                })
            });
            let outcome = schema.decode::<Counted>(&written("Counted", from, &json!([])));
            if from > steps + 1 {
                prop_assert!(outcome.is_err());
            } else {
                let expected = Counted::Counted((from..=steps).collect());
                prop_assert_eq!(outcome.unwrap(), Some(expected));
            }
        }
    }
}
