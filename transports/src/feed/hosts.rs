use super::authority::{Authority, Host};

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
        let authority = Authority::parse(text)?;
        let has_subdomains = matches!(authority.host, Host::Name(_));
        (has_subdomains || !with_subdomains).then_some(Self { authority, with_subdomains })
    }

    fn allows(&self, asked: &Authority) -> bool {
        let Authority { host, port } = &self.authority;
        let is_host =
            if self.with_subdomains { asked.host.is_below(host) } else { asked.host == *host };
        // Without a port it is the default one, of a scheme that only a proxy may know.
        let is_port =
            asked.port == *port || (asked.port.is_none() && matches!(port, Some(80 | 443)));
        is_host && (port.is_none() || is_port)
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
    pub(super) fn allow(&self, asked: &Authority) -> bool {
        let all = self.rules.is_empty() && !self.local;
        let is_local = self.local && asked.host.is_local();
        all || is_local || self.rules.iter().any(|rule| rule.allows(asked))
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
            "[0:0:0:0:0:0:0:1]:3000",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7F00:1]:3000",
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
            "[::ffff:128.0.0.1]",
            "[::127.0.0.1]",
            "[::1%25lo]",
            "[::1]evil.test",
            "[::1].",
            "[127.0.0.1]",
            "[]",
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
        let rules = [
            "feed.example",
            "*.apps.example",
            "admin.example:8443",
            "tls.example:443",
            "[2001:db8::7]",
            "10.0.0.7",
        ];
        let rules = rules.iter().filter_map(|rule| HostRule::parse(rule)).collect();
        let hosts = Hosts { rules, local: false };
        assert!(allows(&hosts, "Feed.Example:99"));
        assert!(allows(&hosts, "a.apps.example"));
        assert!(allows(&hosts, "admin.example:8443"));
        assert!(allows(&hosts, "[2001:DB8:0:0:0:0:0:7]:3000"));
        assert!(allows(&hosts, "[::ffff:10.0.0.7]"));
        assert!(allows(&hosts, "tls.example") && allows(&hosts, "tls.example:443"));
        assert!(!allows(&hosts, "tls.example:80"));
        assert!(!allows(&hosts, "apps.example"));
        assert!(!allows(&hosts, "evilapps.example"));
        assert!(!allows(&hosts, "admin.example"));
        assert!(!allows(&hosts, "localhost"));
        assert!(allows(&Hosts::default(), "anything.test"));
        assert!(HostRule::parse("*.127.0.0.1").is_none());
        assert!(HostRule::parse("*.[::1]").is_none());
    }
}
