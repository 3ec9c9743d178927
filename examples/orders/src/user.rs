use std::fmt;

use downlink::{Error, ErrorKind, Filter, FilterItem, Result, StreamId, Tag};
use serde::{Deserialize, Serialize};

/// The name of a user, such as `ada`: lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String")]
pub struct User(String);

impl User {
    // ANCHOR: tag
    /// The tag of this user's orders, by which rights and feeds select them.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::new(format!("customer:{self}")).expect("a short name")
    }

    /// The events of this user's orders.
    #[must_use]
    pub fn orders(&self) -> Filter {
        FilterItem::new().with_tag(self.tag()).expect("one tag").into()
    }
    // ANCHOR_END: tag

    /// The stream of this user's role.
    #[must_use]
    pub fn role(&self) -> StreamId {
        StreamId::new(format!("user-{self}")).expect("a short name")
    }

    /// The user whose role a stream has.
    pub(crate) fn of_role(stream: &StreamId) -> Option<Self> {
        stream.as_str().strip_prefix("user-")?.to_owned().try_into().ok()
    }
}

impl TryFrom<String> for User {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if name.is_empty() || name.len() > 20 || !name.bytes().all(is_plain) {
            let message = "a user's name has 1 to 20 lower-case letters and digits";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
