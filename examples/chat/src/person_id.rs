use std::fmt;

use downlink::{Error, ErrorKind, EventId, Result};
use serde::{Deserialize, Serialize};

/// A person who has the page open: a UUID that the page generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(EventId);

impl TryFrom<String> for PersonId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
            .map(Self)
            .map_err(|_| Error::new(ErrorKind::Invalid, "a person id must be a UUID"))
    }
}

impl From<PersonId> for String {
    fn from(person: PersonId) -> Self {
        person.to_string()
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
impl PersonId {
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(EventId::from_bytes(bytes))
    }
}
