use std::fmt;
use std::sync::Arc;

use crate::error::Result;

/// The identity of a read model: the name of a projection and its version.
///
/// The name is 1 to 255 bytes of UTF-8 without control characters, compared
/// byte by byte. A higher version is a newer one. Clones share the name.
///
/// # Examples
///
/// ```
/// use downlink::id::ProjectionId;
///
/// let board = ProjectionId::new("board", 2)?;
/// assert_eq!(board.to_string(), "board version 2");
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectionId {
    name: Arc<str>,
    version: u32,
}

impl ProjectionId {
    /// Creates the id of this version of the projection with this name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that is empty, `.`,
    /// `..` or contains control characters,
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above 255 bytes.
    pub fn new(name: impl AsRef<str>, version: u32) -> Result<Self> {
        let name = name.as_ref();
        super::name::check("the name of a projection", name)?;
        Ok(Self { name: name.into(), version })
    }

    /// The name of the projection.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the projection.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for ProjectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.name, self.version)
    }
}
