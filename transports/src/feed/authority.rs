use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host, by its name or its address.
///
/// Addresses compare as such: `[0:0:0:0:0:0:0:1]` is `[::1]`, and an IPv4 address
/// that is written as an IPv6 one is the IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case, without a trailing dot.
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// `None` for anything that browsers do not send.
    fn parse(text: &str) -> Option<Self> {
        if let Some(literal) = text.strip_prefix('[') {
            let address: Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        // A trailing dot marks the name as complete; it is the same name.
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let is_name = !name.is_empty() && name.bytes().all(is_name_byte);
        is_name.then_some(Self::Name(name))
    }

    /// Whether this is the machine itself, independent of any resolver:
    /// `localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Whether this is a name below `parent`.
    pub(super) fn is_below(&self, parent: &Self) -> bool {
        let (Self::Name(name), Self::Name(parent)) = (self, parent) else { return false };
        name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
}

/// A host and an optional port, as in `Host` and after the scheme of an `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
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
        Some(Self { host: Host::parse(host)?, port })
    }

    /// Whether both are the same, with the default port of `scheme`.
    pub(super) fn is_same(&self, other: &Self, scheme: &str) -> bool {
        let default = if scheme == "https" { 443 } else { 80 };
        self.host == other.host && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_as_addresses() {
        let is_same = |one: &str, other: &str| {
            Authority::parse(one)
                .zip(Authority::parse(other))
                .is_some_and(|(one, other)| one == other)
        };
        assert!(is_same("[0:0:0:0:0:0:0:1]:3000", "[::1]:3000"));
        assert!(is_same("[0000::0001]", "[::1]"));
        assert!(is_same("[2001:DB8::A]", "[2001:db8:0::a]"));
        assert!(is_same("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
        assert!(is_same("[::ffff:7f00:1]", "127.0.0.1"));
        assert!(is_same("127.0.0.1.", "127.0.0.1"));
        assert!(!is_same("[::1]", "127.0.0.1"));
        assert!(!is_same("[::1]:3000", "[::1]:3001"));
        // Not mapped, but with the deprecated form of a compatible address.
        assert!(!is_same("[::127.0.0.1]", "127.0.0.1"));
    }
}
