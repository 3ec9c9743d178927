use serde::Serialize;
use serde::de::DeserializeOwned;

use super::canonical;
use crate::error::{Error, ErrorKind, Result};

/// What a principal may see of a live query, as far as the query depends on it: part of the
/// key of its evaluations. All who have the same scope and parameters share one.
///
/// # Examples
///
/// ```
/// use downlink::live::Scope;
///
/// let scope = Scope::of(&"EWR")?;
/// assert_eq!(scope.get::<String>()?, "EWR");
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    json: String,
}

impl Scope {
    /// The scope of a query that shows everybody the same.
    #[must_use]
    pub fn everything() -> Self {
        Self { json: "null".to_owned() }
    }

    /// The scope that this value describes.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it cannot be written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Self> {
        let json = canonical::text(value);
        json.map(|json| Self { json }).map_err(|error| {
            let message = format!("the scope of a live query cannot be written as JSON: {error}");
            Error::with_source(ErrorKind::Invalid, message, error)
        })
    }

    /// The value of the scope.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is not of this type.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.json).map_err(|error| {
            let message = format!("the scope of a live query is of another type: {error}");
            Error::with_source(ErrorKind::Invalid, message, error)
        })
    }
}
