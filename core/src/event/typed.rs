//! Serde enums as events: the variant's name is the event's type, its content
//! the payload. Encoding splits serde's external tagging, decoding restores it.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, VariantAccess,
    Visitor,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::shape::Shape;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::EventType;

/// The name of the variant and the bytes of its content.
pub(super) fn encode<T: Serialize + ?Sized>(event: &T) -> Result<(String, Bytes)> {
    // Checked first: a struct with one field, a map and a string have the same JSON as a variant,
    // and would be stored under a name that is not a variant's.
    if let Shape::Other(what) = Shape::of(event) {
        return Err(not_a_variant(&what));
    }
    let tagged = serde_json::to_vec(event).map_err(|error| {
        Error::with_source(
            ErrorKind::Invalid,
            format!("the event cannot be serialized as JSON: {error}"),
            error,
        )
    })?;
    let tagged = Bytes::from(tagged);
    if let Ok(name) = serde_json::from_slice::<String>(&tagged) {
        return Ok((name, Bytes::from_static(b"{}")));
    }
    let Entry(name, payload) = serde_json::from_slice(&tagged)
        .map_err(|_| not_a_variant("a value whose serialization varies"))?;
    let payload = tagged.slice_ref(payload.get().as_bytes());
    Ok((name, payload))
}

fn not_a_variant(what: &str) -> Error {
    Error::invalid(format!(
        "a typed event has to be a variant of a serde enum that is tagged externally (serde's default), \
         but this is {what}: make it a variant, or give its type with NewEvent::json"
    ))
}

/// A map with exactly one entry.
struct Entry<'a>(String, &'a RawValue);

impl<'de> Deserialize<'de> for Entry<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneEntry;

        impl<'de> Visitor<'de> for OneEntry {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map with one entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let missing = || serde::de::Error::invalid_length(0, &self);
                let (name, payload) = map.next_entry()?.ok_or_else(missing)?;
                match map.next_key::<String>()? {
                    None => Ok(Entry(name, payload)),
                    Some(_) => Err(serde::de::Error::invalid_length(2, &self)),
                }
            }
        }

        deserializer.deserialize_map(OneEntry)
    }
}

/// Decodes the variant that has the event's type as its name from `payload`,
/// which may differ from the stored one because upcasts were applied.
pub(crate) fn decode<T: DeserializeOwned>(event: &Event, payload: &[u8]) -> Result<T> {
    if !event.content_type().is_json() {
        let message = format!("event {} is {}, not JSON", event.cursor(), event.content_type());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let unknown = Cell::new(false);
    let name = event.event_type().as_str();
    T::deserialize(Tagged { name, payload, unknown: &unknown }).map_err(|error| {
        let advice = if unknown.get() {
            "; add a variant for it, or skip unknown types with Schema::ignoring_unknown"
        } else {
            ""
        };
        let (cursor, stream) = (event.cursor(), event.stream());
        let message = format!(
            "event {cursor} of type '{name}' in stream '{stream}' does not decode: {error}{advice}"
        );
        Error::with_source(ErrorKind::Corrupt, message, error)
    })
}

/// Whether `T` is an enum without a variant of this name.
pub(crate) fn is_unknown<T: DeserializeOwned>(name: &EventType) -> bool {
    let unknown = Cell::new(false);
    let tagged = Tagged { name: name.as_str(), payload: b"", unknown: &unknown };
    T::deserialize(tagged).is_err() && unknown.get()
}

/// Serde's view of an event as an externally tagged enum.
#[derive(Clone, Copy)]
struct Tagged<'a> {
    name: &'a str,
    payload: &'a [u8],
    /// Set if the enum has no variant of this name.
    unknown: &'a Cell<bool>,
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Tagged<'de> {
    type Error = serde_json::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), Self::Error> {
        let name: StrDeserializer<'_, Self::Error> = self.name.into_deserializer();
        let variant = seed.deserialize(name).inspect_err(|_| self.unknown.set(true))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    // A variant may have lost its content: the payload of older events is ignored.
    fn unit_variant(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Self::Error> {
        seed.deserialize(&mut serde_json::Deserializer::from_slice(self.payload))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        serde_json::Deserializer::from_slice(self.payload).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // As a map: deserializing a struct would also accept an array of its fields.
        serde_json::Deserializer::from_slice(self.payload).deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NewEvent, Timestamp};
    use crate::id::{Position, StreamId, Version};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum FlightEvent {
        BoardingStarted,
        FlightDelayed {
            minutes: u32,
            reason: Option<String>,
        },
        #[serde(rename = "flight.landed")]
        FlightLanded(String),
        Rerouted(String, u8),
    }

    fn stored(content: NewEvent) -> Event {
        let stream = StreamId::new("flight-UA1545").unwrap();
        Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, content)
    }

    #[test]
    fn every_kind_of_variant_round_trips() {
        let all = [
            (FlightEvent::BoardingStarted, "BoardingStarted", "{}"),
            (
                FlightEvent::FlightDelayed { minutes: 20, reason: None },
                "FlightDelayed",
                r#"{"minutes":20,"reason":null}"#,
            ),
            (FlightEvent::FlightLanded("IAH".into()), "flight.landed", r#""IAH""#),
            (FlightEvent::Rerouted("BDL".into(), 2), "Rerouted", r#"["BDL",2]"#),
        ];
        for (event, name, payload) in all {
            let new = NewEvent::from_variant(&event).unwrap();
            assert_eq!(new.event_type().as_str(), name);
            assert_eq!(new.payload(), payload);
            assert_eq!(stored(new).decode_raw::<FlightEvent>().unwrap(), event);
        }
    }

    #[test]
    fn values_that_are_not_variants_are_refused_with_advice() {
        #[derive(Serialize)]
        struct FlightDeparted {
            gate: &'static str,
        }

        for error in [
            NewEvent::from_variant(&7).unwrap_err(),
            NewEvent::from_variant(&[1, 2]).unwrap_err(),
            NewEvent::from_variant("delayed by 20 minutes").unwrap_err(),
            NewEvent::from_variant(&serde_json::json!({"minutes": 20})).unwrap_err(),
            NewEvent::from_variant(&serde_json::json!({})).unwrap_err(),
            NewEvent::from_variant(&FlightDeparted { gate: "C71" }).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("NewEvent::json"), "{error}");
        }
        let named = NewEvent::from_variant(&FlightDeparted { gate: "C71" }).unwrap_err();
        assert!(named.to_string().contains("the struct 'FlightDeparted'"), "{named}");
    }

    #[test]
    fn only_a_missing_variant_makes_a_type_unknown() {
        let unknown = |name| is_unknown::<FlightEvent>(&EventType::new(name).unwrap());
        assert!(unknown("Unknown"));
        assert!(!unknown("FlightDelayed") && !unknown("BoardingStarted"));
        assert!(!is_unknown::<String>(&EventType::new("Unknown").unwrap()));
    }

    #[test]
    fn an_unknown_type_and_a_wrong_payload_name_the_event() {
        for (name, payload) in [
            ("Unknown", "{}"),
            ("FlightDelayed", r#"{"minutes":"soon"}"#),
            ("FlightDelayed", "[20,null]"),
        ] {
            let event = stored(NewEvent::json(name, payload).unwrap());
            let error = event.decode_raw::<FlightEvent>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("flight-UA1545"), "{text}");
            assert_eq!(text.contains("add a variant"), name == "Unknown", "{text}");
        }
    }
}
