use std::fmt;
use std::str::FromStr;

use downlink::{Expected, Version};

/// What a peer is told to do, as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PeerCommand {
    /// Append so many events; answer with the stream's version then.
    Append { stream: String, after: Option<Version>, count: usize },
    /// Answer with the number of events that can be read of a stream.
    Count { stream: String },
    /// Race for every version of a stream until it has so many events; answer
    /// with what was won.
    Race { stream: String, until: usize },
    /// Append so many batches, whatever the version; answer with all of them.
    Batches { stream: String, count: usize },
    /// Append without a pause; answer when so many appends are stored, and go
    /// on.
    Saturate { count: usize },
    /// Stop that.
    Rest,
    /// Subscribe from the start; answer when that is live.
    Follow,
    /// Answer with the position of the next event of the subscription.
    Next,
}

impl PeerCommand {
    /// The expectation that is `after` this version; none expects no stream.
    pub(super) fn append(stream: &str, after: Option<Version>, count: usize) -> Self {
        Self::Append { stream: stream.to_owned(), after, count }
    }

    pub(super) fn expectation(after: Option<Version>) -> Expected {
        Expected::at(after)
    }
}

impl fmt::Display for PeerCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { stream, after, count } => {
                write!(f, "append {stream} {} {count}", after.map_or(0, Version::get))
            }
            Self::Count { stream } => write!(f, "count {stream}"),
            Self::Race { stream, until } => write!(f, "race {stream} {until}"),
            Self::Batches { stream, count } => write!(f, "batches {stream} {count}"),
            Self::Saturate { count } => write!(f, "saturate {count}"),
            Self::Rest => f.write_str("rest"),
            Self::Follow => f.write_str("follow"),
            Self::Next => f.write_str("next"),
        }
    }
}

impl FromStr for PeerCommand {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().map_err(|error| format!("{line}: {error}"));
        Ok(match words[..] {
            ["append", stream, after, count] => {
                let after = after.parse().map_err(|error| format!("{line}: {error}"))?;
                Self::append(stream, Version::new(after), number(count)?)
            }
            ["count", stream] => Self::Count { stream: stream.to_owned() },
            ["race", stream, until] => {
                Self::Race { stream: stream.to_owned(), until: number(until)? }
            }
            ["batches", stream, count] => {
                Self::Batches { stream: stream.to_owned(), count: number(count)? }
            }
            ["saturate", count] => Self::Saturate { count: number(count)? },
            ["rest"] => Self::Rest,
            ["follow"] => Self::Follow,
            ["next"] => Self::Next,
            _ => return Err(format!("`{line}` is no order")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let stream = || "flight-UA1545".to_owned();
        for order in [
            PeerCommand::append("flight-UA1545", None, 2),
            PeerCommand::append("flight-UA1545", Version::new(7), 2),
            PeerCommand::Count { stream: stream() },
            PeerCommand::Race { stream: stream(), until: 9 },
            PeerCommand::Batches { stream: stream(), count: 3 },
            PeerCommand::Saturate { count: 4 },
            PeerCommand::Rest,
            PeerCommand::Follow,
            PeerCommand::Next,
        ] {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
    }
}
