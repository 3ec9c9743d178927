use std::fmt;
use std::str::FromStr;

use downlink::{Expected, Version};

/// A command for a peer, sent as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PeerCommand {
    /// Append this many events; answer with the new version of the stream.
    Append { stream: String, after: Option<Version>, count: usize },
    /// Answer with the number of events that can be read from a stream.
    Count { stream: String },
    /// Race for every version of a stream until it has this many events; answer
    /// with the batches that won.
    Race { stream: String, until: usize },
    /// Append this many batches, whatever the version; answer with all of them.
    Batches { stream: String, count: usize },
    /// Append without a pause; answer when this many appends are stored, and
    /// continue.
    Saturate { count: usize },
    /// Stop appending without a pause.
    StopSaturating,
    /// Subscribe from the start; answer when the subscription is live.
    Follow,
    /// Answer with the position of the next event of the subscription.
    Next,
}

impl PeerCommand {
    /// An append that expects the stream at `after`; `None` expects no stream.
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
            Self::StopSaturating => f.write_str("rest"),
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
            ["rest"] => Self::StopSaturating,
            ["follow"] => Self::Follow,
            ["next"] => Self::Next,
            _ => return Err(format!("`{line}` is not a command")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_its_text_form() {
        let stream = || "flight-UA1545".to_owned();
        for command in [
            PeerCommand::append("flight-UA1545", None, 2),
            PeerCommand::append("flight-UA1545", Version::new(7), 2),
            PeerCommand::Count { stream: stream() },
            PeerCommand::Race { stream: stream(), until: 9 },
            PeerCommand::Batches { stream: stream(), count: 3 },
            PeerCommand::Saturate { count: 4 },
            PeerCommand::StopSaturating,
            PeerCommand::Follow,
            PeerCommand::Next,
        ] {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
    }
}
