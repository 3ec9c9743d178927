use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A struct that is read from a JSON object and nothing else.
///
/// A derived struct also accepts an array of its members, so `[]` would be read
/// as all defaults: as a filter that matches everything, for example. Read JSON
/// from outside as an object instead.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::Object;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Delay {
///     minutes: u32,
/// }
///
/// let Object(delay) = serde_json::from_str::<Object<Delay>>(r#"{"minutes":20}"#)?;
/// assert_eq!(delay.minutes, 20);
/// assert!(serde_json::from_str::<Delay>("[20]").is_ok());
/// assert!(serde_json::from_str::<Object<Delay>>("[20]").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

/// Reads bytes that are one JSON object.
#[cfg(feature = "client")]
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).map(|Object(members)| members)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A value that is a string in JSON.
#[cfg(feature = "client")]
pub(super) struct Text<T>(pub(super) T);

#[cfg(feature = "client")]
impl<'de, T: std::str::FromStr<Err = downlink::Error>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Reads a member that may be absent, but not `null`.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
