use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A gate: the letter of a pier and a number, such as `C71`.
///
/// Gates are not in the records, so they are [assigned](Self::assigned) by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct Gate(String);

/// The gates of a group of airlines at an airport.
struct Pier {
    airport: &'static str,
    airlines: &'static [&'static str],
    letter: char,
    gates: (u32, u32),
}

/// The piers of the airlines, roughly as in 2013.
const PIERS: [Pier; 12] = [
    pier("EWR", &["UA"], 'C', (70, 128)),
    pier("EWR", &["EV"], 'A', (10, 28)),
    pier("EWR", &["DL", "9E"], 'B', (40, 47)),
    pier("EWR", &["AA", "AS", "B6", "MQ", "US", "VX", "WN"], 'A', (30, 39)),
    pier("JFK", &["DL", "9E"], 'B', (18, 49)),
    pier("JFK", &["B6", "HA"], 'E', (1, 29)),
    pier("JFK", &["AA", "MQ"], 'H', (31, 47)),
    pier("JFK", &["UA", "US", "VX"], 'G', (1, 12)),
    pier("LGA", &["DL", "9E"], 'D', (1, 11)),
    pier("LGA", &["AA", "MQ"], 'C', (1, 14)),
    pier("LGA", &["UA", "B6", "WN", "FL", "F9"], 'B', (1, 8)),
    pier("LGA", &["US"], 'E', (15, 33)),
];

/// The gates of all other airlines.
const OTHERS: Pier = pier("", &[], 'A', (1, 9));

/// The distance to the new gate after a change.
const MOVE_DISTANCE: u32 = 3;

const fn pier(
    airport: &'static str,
    airlines: &'static [&'static str],
    letter: char,
    gates: (u32, u32),
) -> Pier {
    Pier { airport, airlines, letter, gates }
}

impl Gate {
    /// The initial gate of a flight: its airline has a pier at the airport, and the
    /// flight's name determines the number.
    #[must_use]
    pub fn assigned(airport: &str, airline: &str, flight: &str) -> Self {
        let pier = Pier::of(airport, airline);
        let name = flight.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        pier.gate(name)
    }

    /// The gate that a flight at this gate changes to: another of the same pier.
    #[must_use]
    pub fn moved(&self, airport: &str, airline: &str) -> Self {
        let pier = Pier::of(airport, airline);
        let number: u32 =
            self.0.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        pier.gate((number + MOVE_DISTANCE).saturating_sub(pier.gates.0))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pier {
    fn of(airport: &str, airline: &str) -> &'static Self {
        let is_theirs = |pier: &&Self| pier.airport == airport && pier.airlines.contains(&airline);
        PIERS.iter().find(is_theirs).unwrap_or(&OTHERS)
    }

    fn gate(&self, number: u32) -> Gate {
        let (first, last) = self.gates;
        Gate(format!("{}{}", self.letter, first + number % (last - first + 1)))
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Gate> for String {
    fn from(gate: Gate) -> Self {
        gate.0
    }
}

/// The error of a text that is not a valid gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidGate(String);

impl fmt::Display for InvalidGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.chars().take(32).collect();
        write!(
            f,
            "'{text}' is not a valid gate: use a letter and up to three digits, for example C71"
        )
    }
}

impl std::error::Error for InvalidGate {}

impl TryFrom<String> for Gate {
    type Error = InvalidGate;

    fn try_from(text: String) -> Result<Self, InvalidGate> {
        if is_gate(text.as_bytes()) { Ok(Self(text)) } else { Err(InvalidGate(text)) }
    }
}

impl FromStr for Gate {
    type Err = InvalidGate;

    fn from_str(text: &str) -> Result<Self, InvalidGate> {
        text.to_owned().try_into()
    }
}

fn is_gate(text: &[u8]) -> bool {
    let [letter, number @ ..] = text else { return false };
    letter.is_ascii_uppercase()
        && (1..=3).contains(&number.len())
        && number.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_on_the_pier_of_the_airline() {
        assert_eq!(Gate::assigned("EWR", "UA", "UA1545"), Gate::assigned("EWR", "UA", "UA1545"));
        for number in 0..1_000 {
            let gate = Gate::assigned("EWR", "UA", &format!("UA{number}"));
            let moved = gate.moved("EWR", "UA");
            assert_ne!(gate, moved);
            for gate in [gate, moved] {
                let number: u32 = gate.as_str().strip_prefix('C').unwrap().parse().unwrap();
                assert!((70..=128).contains(&number), "{gate}");
            }
        }
    }

    #[test]
    fn every_airline_has_a_valid_gate() {
        for airport in ["EWR", "JFK", "LGA", "???"] {
            for airline in ["UA", "DL", "HA", "OO", ""] {
                let gate = Gate::assigned(airport, airline, "XX1");
                assert_eq!(gate.as_str().parse(), Ok(gate.clone()));
                assert_ne!(gate.moved(airport, airline), gate);
            }
        }
    }

    #[test]
    fn invalid_texts_are_refused() {
        for text in ["", "C", "71", "c71", "C7100", "CC1", "C7a", "C 7", "Ç71"] {
            assert!(text.parse::<Gate>().is_err(), "'{text}' was accepted");
        }
    }
}
