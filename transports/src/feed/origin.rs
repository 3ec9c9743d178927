use super::authority::Authority;

/// An origin as browsers send it: a scheme, a host and an optional port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    authority: Authority,
}

impl Origin {
    /// `None` for `null` and everything else that is not a valid origin.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let authority = Authority::parse(authority)?;
        is_scheme.then(|| Self { scheme: scheme.to_ascii_lowercase(), authority })
    }

    /// The origin of a page, by its address.
    pub(super) fn of_page(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
        Self::parse(&format!("{scheme}://{authority}"))
    }

    /// Whether this is the origin of the requested host.
    pub(super) fn is_of(&self, host: &Authority) -> bool {
        self.authority.is_same(host, &self.scheme)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.authority.is_same(&other.authority, &self.scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_matches_a_host_by_name_and_port() {
        let is_of = |origin: &str, host: &str| {
            Origin::parse(origin).zip(Authority::parse(host)).is_some_and(|(o, h)| o.is_of(&h))
        };
        assert!(is_of("http://localhost:3000", "localhost:3000"));
        assert!(is_of("https://feed.example", "feed.example"));
        assert!(is_of("https://feed.example", "feed.example:443"));
        assert!(is_of("http://feed.example:80", "feed.example"));
        assert!(is_of("http://[::1]:3000", "[::1]:3000"));
        assert!(is_of("http://[::1]:3000", "[0:0:0:0:0:0:0:1]:3000"));
        assert!(is_of("http://127.0.0.1:3000", "[::ffff:127.0.0.1]:3000"));
        assert!(!is_of("http://localhost:3001", "localhost:3000"));
        assert!(!is_of("http://localhost", "localhost:3000"));
        assert!(!is_of("null", "null"));
        assert!(!is_of("http://localhost:3000/", "localhost:3000"));
        assert!(!is_of("://localhost", "localhost"));
    }

    #[test]
    fn a_page_has_the_origin_of_its_address() {
        let of_page = |url: &str| Origin::of_page(url);
        let own = Origin::parse("http://feed.example:3000");
        assert!(own.is_some());
        for page in ["/", "", "/a/b?c=d#e", "?a=http://evil.test/", "#a"] {
            assert_eq!(of_page(&format!("http://feed.example:3000{page}")), own, "{page}");
        }
        for other in [
            "http://evil.test/http://feed.example:3000/",
            "http://feed.example:3000.evil.test/",
            "http://feed.example:3000@evil.test/",
            "http://feed.example:3000\\@evil.test/",
            "feed.example:3000/",
            "/",
            "",
        ] {
            assert_ne!(of_page(other), own, "{other}");
        }
    }
}
