use crate::error::{Error, Result};
use crate::limits;

/// Checks the rules that all names share: 1 to 255 bytes, no control
/// characters, and neither `.` nor `..`, which URL normalization removes.
pub(super) fn check(what: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(format!("{what} is empty: give it 1 to 255 bytes")));
    }
    if name.len() > limits::MAX_NAME_BYTES {
        let (bytes, limit) = (name.len(), limits::MAX_NAME_BYTES);
        let message = format!("{what} has {bytes} bytes: the limit is {limit}");
        return Err(Error::too_large(message, limit));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "{what} {name:?} contains a control character: remove it"
        )));
    }
    if name == "." || name == ".." {
        return Err(Error::invalid(format!(
            "{what} is '{name}', which URLs cannot contain: use another name"
        )));
    }
    Ok(())
}

/// Declares a validated string type with shared text.
macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            #[doc = concat!("Validates a text and makes it ", $what, ".")]
            ///
            /// # Errors
            ///
            /// [`Invalid`](crate::ErrorKind::Invalid) if it is empty, `.`, `..`
            /// or contains control characters,
            /// [`TooLarge`](crate::ErrorKind::TooLarge) above 255 bytes.
            pub fn new(name: impl AsRef<str>) -> crate::Result<Self> {
                let name = name.as_ref();
                super::name::check($what, name)?;
                Ok(Self(name.into()))
            }

            #[doc = concat!("Makes a string literal ", $what, ".")]
            ///
            /// # Panics
            ///
            /// Panics where [`new`](Self::new) returns an error. For text that is
            /// not a literal, use [`new`](Self::new).
            #[must_use]
            #[track_caller]
            pub fn from_static(name: &'static str) -> Self {
                Self::new(name).unwrap_or_else(|error| panic!("{error}"))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Error;

            fn from_str(name: &str) -> crate::Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::Error;

            fn try_from(name: &str) -> crate::Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::Error;

            fn try_from(name: String) -> crate::Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = crate::Error;

            fn try_from(name: &String) -> crate::Result<Self> {
                Self::new(name)
            }
        }

        impl From<$name> for std::sync::Arc<str> {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }
    };
}
pub(super) use name;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn limits_hold_at_n_minus_one_n_and_n_plus_one() {
        assert!(check("a name", &"a".repeat(254)).is_ok());
        assert!(check("a name", &"a".repeat(255)).is_ok());
        let error = check("a name", &"a".repeat(256)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(check("a name", "x").is_ok());
        assert_eq!(check("a name", "").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn names_that_break_urls_or_lines_are_refused() {
        for bad in [".", "..", "a\nb", "a\0b", "\u{7f}", "a\u{85}b", "\r"] {
            assert_eq!(check("a name", bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        }
        for good in ["...", "a b", "flight/UA 1545", "été", "%", "_", "'", "\u{2028}", "😀"] {
            assert!(check("a name", good).is_ok(), "{good:?}");
        }
    }
}
