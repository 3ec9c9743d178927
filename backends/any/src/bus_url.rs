use std::fmt;
use std::str::FromStr;

use downlink::{Error, ErrorKind, Result};

/// What wakes the hubs of a log.
///
/// As text, `local`, `sqlite`, `postgres` or `nats://HOST:4222`. It is displayed without a password.
#[derive(Clone, PartialEq, Eq)]
pub enum BusUrl {
    /// The store, for appends of this process only.
    Local,
    /// The file of a log in SQLite, for appends of all processes that have it open.
    Sqlite,
    /// `LISTEN` and `NOTIFY` of the database of a log in PostgreSQL.
    Postgres,
    /// The NATS server of this URL, for a log in PostgreSQL.
    Nats(String),
}

impl BusUrl {
    /// The texts that are parsed, for messages.
    pub const FORMS: &str = "`local`, `sqlite`, `postgres` or `nats://HOST:4222`";
}

impl FromStr for BusUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "local" => Ok(Self::Local),
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ if ["nats://", "tls://"].iter().any(|scheme| text.starts_with(scheme)) => {
                Ok(Self::Nats(text.into()))
            }
            _ => Err(Error::new(ErrorKind::Invalid, format!("use {}", Self::FORMS))),
        }
    }
}

impl fmt::Display for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Nats(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
                let server = rest.rsplit_once('@').map_or(rest, |(_, server)| server);
                return write!(f, "{scheme}://{server}");
            }
        })
    }
}

/// Without a password.
impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BusUrl({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn buses_are_parsed_and_shown_without_passwords() {
        for text in ["local", "sqlite", "postgres", "nats://host:4222", "tls://host"] {
            assert_eq!(text.parse::<BusUrl>().unwrap().to_string(), text);
        }
        let nats: BusUrl = "nats://me:secret@host".parse().unwrap();
        assert_eq!(format!("{nats:?}"), "BusUrl(nats://host)");
        assert!("redis://host".parse::<BusUrl>().unwrap_err().to_string().contains("nats://"));
    }
}
