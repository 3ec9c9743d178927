use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and an optional port, as in `Host` and after the scheme of an `Origin`:
/// lower case, without user and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// `None` for anything that browsers do not send.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((_, port)) if port.contains(']') => (text, None),
            Some((_, port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        // A trailing dot marks the name as complete; it is the same name.
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let is_literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match is_literal {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_host_byte),
        };
        is_host.then_some(Self { host, port })
    }

    /// Whether this is a name of the machine itself, independent of any resolver:
    /// `localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`.
    fn is_local(&self) -> bool {
        let host = self.host.as_str();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || host == "[::1]"
    }

    /// Whether both are the same, with the default port of `scheme`.
    fn is_same(&self, other: &Self, scheme: &str) -> bool {
        let default = if scheme == "https" { 443 } else { 80 };
        self.host == other.host && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
}

/// One entry of the host list: a host or `*.host`, and an optional port.
#[derive(Clone, Debug)]
pub(super) struct HostRule {
    authority: Authority,
    with_subdomains: bool,
}

impl HostRule {
    /// `None` if this is not a valid host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, with_subdomains) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Some(Self { authority: Authority::parse(text)?, with_subdomains })
    }

    fn allows(&self, asked: &Authority) -> bool {
        let Authority { host, port } = &self.authority;
        let is_host = if self.with_subdomains {
            asked.host.strip_suffix(host.as_str()).is_some_and(|rest| rest.ends_with('.'))
        } else {
            asked.host == *host
        };
        is_host && (port.is_none() || *port == asked.port)
    }
}

/// The hosts that a feed accepts.
///
/// After DNS rebinding, a page of `evil.test` reaches this machine with
/// `evil.test` as host and as origin; only a list of hosts can refuse it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    pub(super) rules: Vec<HostRule>,
    /// Whether local names are allowed too, and an empty list does not mean every
    /// host.
    pub(super) local: bool,
}

impl Hosts {
    pub(super) fn allow(&self, host: &Authority) -> bool {
        let all = self.rules.is_empty() && !self.local;
        all || (self.local && host.is_local()) || self.rules.iter().any(|rule| rule.allows(host))
    }
}

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

    fn allows(hosts: &Hosts, host: &str) -> bool {
        Authority::parse(host).is_some_and(|host| hosts.allow(&host))
    }

    #[test]
    fn local_names_are_recognized() {
        let local = Hosts { rules: Vec::new(), local: true };
        for good in [
            "localhost",
            "LOCALHOST:3000",
            "app.localhost:80",
            "127.0.0.1:3000",
            "127.255.0.9",
            "[::1]",
            "[::1]:3000",
            "localhost:",
            "[::1]:",
            "localhost.",
            "app.localhost.:3000",
        ] {
            assert!(allows(&local, good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "evil.test",
            "localhost.evil.test",
            "evillocalhost",
            "127.0.0.1.evil.test",
            "128.0.0.1",
            "127.1",
            "0177.0.0.1",
            "2130706433",
            "0.0.0.0",
            "[::]",
            "[::2]:3000",
            "::1",
            "evil@localhost",
            "evil/x.localhost",
            "localhost:port",
            "localhost:99999",
            "localhost..",
            "localhost.evil.test.",
            ".",
            ":",
        ] {
            assert!(!allows(&local, bad), "{bad}");
        }
    }

    #[test]
    fn rules_have_hosts_and_optional_ports() {
        let rules = ["feed.example", "*.apps.example", "admin.example:8443"];
        let rules = rules.iter().filter_map(|rule| HostRule::parse(rule)).collect();
        let hosts = Hosts { rules, local: false };
        assert!(allows(&hosts, "Feed.Example:99"));
        assert!(allows(&hosts, "a.apps.example"));
        assert!(allows(&hosts, "admin.example:8443"));
        assert!(!allows(&hosts, "apps.example"));
        assert!(!allows(&hosts, "evilapps.example"));
        assert!(!allows(&hosts, "admin.example"));
        assert!(!allows(&hosts, "localhost"));
        assert!(allows(&Hosts::default(), "anything.test"));
    }

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
        assert!(!is_of("http://localhost:3001", "localhost:3000"));
        assert!(!is_of("http://localhost", "localhost:3000"));
        assert!(!is_of("null", "null"));
        assert!(!is_of("http://localhost:3000/", "localhost:3000"));
        assert!(!is_of("://localhost", "localhost"));
    }
}
