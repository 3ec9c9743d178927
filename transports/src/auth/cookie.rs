use std::fmt;

use http::header::COOKIE;
use http::request::Parts;

use crate::feed::has_token;

/// The name of a cookie that only this host can have set, over HTTPS, for all of its
/// paths: it begins with `__Host-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieName(String);

impl CookieName {
    pub(super) fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let rest = name.strip_prefix("__Host-").unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(
            !rest.is_empty() && rest.bytes().all(is_plain),
            "{name:?} is not a name for a session cookie: use one like '__Host-session'"
        );
        Self(name)
    }

    /// The value of this cookie, unless the request says by a header of its own who
    /// sent it: the check of origins then does not apply, so the cookie must not either.
    pub(super) fn value<'a>(&self, parts: &'a Parts) -> Option<&'a str> {
        if has_token(&parts.headers) {
            return None;
        }
        let lines = parts.headers.get_all(COOKIE).iter();
        // Cookies of other names may have any bytes.
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.trim() == self.0).map(|(_, value)| value);
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Some(value.trim())
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_cookie_is_read_if_it_is_the_only_one_of_its_name() {
        let name = CookieName::new("__Host-s");
        let value = |lines: &[&str]| {
            let request = lines
                .iter()
                .fold(Request::builder(), |request, line| request.header(COOKIE, *line));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            name.value(&parts).map(str::to_owned)
        };
        assert_eq!(value(&["a=b; __Host-s=x=y ; c=d"]).as_deref(), Some("x=y"));
        assert_eq!(value(&["a=b", "__Host-s=x"]).as_deref(), Some("x"));
        assert_eq!(value(&["a=\u{e9}; __Host-s=x"]).as_deref(), Some("x"));
        for lines in
            [&[][..], &["s=x"], &["__Host-s"], &["__Host-s=x; __Host-s=x"], &["__host-s=x"]]
        {
            assert_eq!(value(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_does_not_count_beside_a_token() {
        let request =
            Request::builder().header(COOKIE, "__Host-s=x").header(AUTHORIZATION, "Bearer y");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(CookieName::new("__Host-s").value(&parts), None);
    }

    #[test]
    #[should_panic(expected = "use one like '__Host-session'")]
    fn a_cookie_that_another_host_can_set_is_refused() {
        CookieName::new("session");
    }
}
