//! Determines how serde serializes a value, without serializing it.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error as SerError, Impossible, Serializer};

/// The serde data type of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A variant of an enum that is tagged externally.
    Variant(&'static str),
    /// Anything else, with a description.
    Other(String),
}

impl Shape {
    /// The shape of `value`, of which only the outermost layer is inspected.
    pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        match value.serialize(Probe) {
            Err(shape) => shape,
            Ok(never) => match never {},
        }
    }

    fn other<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Other(what.into()))
    }
}

/// The shape is returned as an error, which ends the serialization before any
/// content is visited.
impl SerError for Shape {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(format!("a value that cannot be serialized: {message}"))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variant(name) => write!(f, "the variant '{name}'"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Shape {}

/// Uninhabited: no value is ever serialized successfully.
enum Never {}

type Probed<T = Never> = Result<T, Shape>;
type Nothing = Impossible<Never, Shape>;

struct Probe;

macro_rules! other {
    ($($method:ident($type:ty) $what:literal,)*) => {
        $(fn $method(self, _: $type) -> Probed {
            Shape::other($what)
        })*
    };
}

impl Serializer for Probe {
    type Ok = Never;
    type Error = Shape;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    other! {
        serialize_bool(bool) "a bool",
        serialize_i8(i8) "a number",
        serialize_i16(i16) "a number",
        serialize_i32(i32) "a number",
        serialize_i64(i64) "a number",
        serialize_i128(i128) "a number",
        serialize_u8(u8) "a number",
        serialize_u16(u16) "a number",
        serialize_u32(u32) "a number",
        serialize_u64(u64) "a number",
        serialize_u128(u128) "a number",
        serialize_f32(f32) "a number",
        serialize_f64(f64) "a number",
        serialize_char(char) "a string",
        serialize_str(&str) "a string",
        serialize_bytes(&[u8]) "bytes",
    }

    fn serialize_none(self) -> Probed {
        Shape::other("an Option")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Probed {
        Shape::other("an Option")
    }

    fn serialize_unit(self) -> Probed {
        Shape::other("()")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Probed {
        Shape::other(format!("the struct '{name}'"))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Probed {
        Err(Shape::Variant(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, _: &T) -> Probed {
        Shape::other(format!("the struct '{name}'"))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Probed {
        Err(Shape::Variant(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Probed<Nothing> {
        Shape::other("a list")
    }

    fn serialize_tuple(self, _: usize) -> Probed<Nothing> {
        Shape::other("a tuple or an array")
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Probed<Nothing> {
        Shape::other(format!("the struct '{name}'"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Probed<Nothing> {
        Err(Shape::Variant(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Probed<Nothing> {
        Shape::other("a map or a JSON object")
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Probed<Nothing> {
        Shape::other(format!("the struct '{name}', or an enum with another tag"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Probed<Nothing> {
        Err(Shape::Variant(variant))
    }
}

#[cfg(test)]
mod tests;
