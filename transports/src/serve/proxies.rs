use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use http::header::{FORWARDED, HeaderMap};

/// The proxies in front of a server that are trusted to report the client's
/// address.
///
/// A proxy appends the address of its own peer to a header. Read from the end, the
/// first address that is not a listed proxy is the client; the ones before it may
/// be forged. The header must be the one that the proxies write, because they
/// forward any other unchanged.
///
/// # Examples
///
/// ```
/// use downlink_transports::serve::{Server, TrustedProxies};
///
/// let proxies = TrustedProxies::by_x_forwarded_for(["127.0.0.1", "10.0.0.0/8"]);
/// let server = Server::new(axum::Router::new()).with_trusted_proxies(proxies);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: HeaderName,
}

impl TrustedProxies {
    /// Proxies that write `X-Forwarded-For`, as most do, by their addresses or
    /// networks.
    ///
    /// # Panics
    ///
    /// Panics if one is neither an address nor a network.
    pub fn by_x_forwarded_for<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Self {
        Self::by(HeaderName::from_static("x-forwarded-for"), networks)
    }

    /// Proxies that write `Forwarded` (RFC 7239), by their addresses or networks.
    ///
    /// # Panics
    ///
    /// Panics if one is neither an address nor a network.
    pub fn by_forwarded<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Self {
        Self::by(FORWARDED, networks)
    }

    fn by<T: AsRef<str>>(header: HeaderName, networks: impl IntoIterator<Item = T>) -> Self {
        let network = |text: T| {
            let text = text.as_ref();
            Network::parse(text).unwrap_or_else(|| {
                panic!("{text:?} is neither an address nor a network: use a form like '10.0.0.0/8'")
            })
        };
        Self { networks: networks.into_iter().map(network).collect(), header }
    }

    /// Whether this is the address of a trusted proxy.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address.to_canonical()))
    }

    /// The address of the client of a request that came through a trusted proxy.
    pub(super) fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = proxy;
        for line in headers.get_all(&self.header).iter().rev() {
            for element in line.to_str().unwrap_or_default().rsplit(',') {
                // If an address is missing or malformed, the proxy before it counts as the client.
                let Some(address) = self.address(element.trim()) else { return client };
                client = address;
                if !self.trust(address) {
                    return client;
                }
            }
        }
        client
    }

    fn address(&self, element: &str) -> Option<IpAddr> {
        if self.header != FORWARDED {
            return address(element);
        }
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        address(node.trim().trim_matches('"'))
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// All addresses with the same prefix.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address = address.parse().ok()?;
        let all = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address, bits })
    }

    fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client(proxies: &TrustedProxies, lines: &[&'static str]) -> String {
        let proxy = PROXY.parse().unwrap();
        assert!(proxies.trust(proxy));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&proxies.header, HeaderValue::from_static(line));
        }
        proxies.client(proxy, &headers).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        let proxies = TrustedProxies::by_x_forwarded_for(["10.0.0.0/8", "2001:db8::/32"]);
        for (lines, expected) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["2001:bad::7"], "2001:bad::7"),
            (&["[2001:bad::7]:443"], "2001:bad::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            // Addresses before it are sent by the client and may be forged.
            (&["127.0.0.1, 192.0.2.7"], "192.0.2.7"),
            (&["127.0.0.1", "evil, 192.0.2.7 , 10.9.9.9", "2001:db8::9"], "192.0.2.7"),
            (&["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            (&["192.0.2.7, nonsense, 10.0.0.3"], "10.0.0.3"),
            (&["192.0.2.7, "], PROXY),
            (&["nonsense"], PROXY),
            (&[], PROXY),
        ] {
            assert_eq!(client(&proxies, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_parsed() {
        let proxies = TrustedProxies::by_forwarded([PROXY]);
        for (lines, expected) in [
            (&["for=192.0.2.7;proto=https"][..], "192.0.2.7"),
            (&[r#"for=127.0.0.1, Proto=http; For="[2001:bad::7]:4711""#], "2001:bad::7"),
            (&["for=192.0.2.7", "for=10.0.0.1;by=10.0.0.1"], "192.0.2.7"),
            (&["for=unknown"], PROXY),
            (&["for=_hidden, for=10.0.0.1"], PROXY),
            (&["proto=https"], PROXY),
        ] {
            assert_eq!(client(&proxies, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_network_contains_addresses_with_its_prefix() {
        let holds = |network: &str, address: &str| {
            Network::parse(network)
                .is_some_and(|network| network.contains(address.parse().unwrap()))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "192.0.2.7") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!holds("2001:db8::/33", "2001:db8:8000::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "proxy.example", "::1/129", "/8"]
        {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }
}
