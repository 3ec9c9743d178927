use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::flight::Date;

/// The name of a flight: `UA1545` on 1 January, and `UA1545-0102` on the 2nd.
///
/// The name contains month and day on all days except the replayed one, since a number
/// is used every day. If a carrier uses a number twice a day, the second flight is
/// `UA1545-2` or `UA1545-0102-2`, so that every flight has its own stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct FlightId(String);

/// The longest name: two letters, four digits, a dash and a date, a dash and two digits.
const MAX_BYTES: usize = 14;

impl FlightId {
    /// The `nth` flight, counted from 1, of a carrier's number on a day of 2013.
    ///
    /// # Errors
    ///
    /// [`InvalidFlightId`] if the carrier or the number is invalid.
    pub fn new(airline: &str, number: u16, date: Date, nth: u8) -> Result<Self, InvalidFlightId> {
        let day = match date {
            Date::NEW_YEAR => String::new(),
            date => {
                let (month, day) = date.month_and_day();
                format!("-{month:02}{day:02}")
            }
        };
        let nth = if nth == 1 { String::new() } else { format!("-{nth}") };
        format!("{airline}{number}{day}{nth}").try_into()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stream of this flight: `flight-UA1545`.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("flight-{}", self.0)
    }
}

impl fmt::Display for FlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<FlightId> for String {
    fn from(flight: FlightId) -> Self {
        flight.0
    }
}

/// The error of a text that is not a valid flight name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFlightId(String);

impl fmt::Display for InvalidFlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.chars().take(32).collect();
        write!(f, "'{text}' is not a valid flight: use a name from the board, for example UA1545")
    }
}

impl std::error::Error for InvalidFlightId {}

impl TryFrom<String> for FlightId {
    type Error = InvalidFlightId;

    fn try_from(text: String) -> Result<Self, InvalidFlightId> {
        if is_flight(&text) { Ok(Self(text)) } else { Err(InvalidFlightId(text)) }
    }
}

impl FromStr for FlightId {
    type Err = InvalidFlightId;

    fn from_str(text: &str) -> Result<Self, InvalidFlightId> {
        text.to_owned().try_into()
    }
}

fn is_flight(text: &str) -> bool {
    let Some((airline, rest)) = text.split_at_checked(2) else { return false };
    let mut parts = rest.split('-');
    let number = parts.next().unwrap_or_default();
    let (date, nth) = match (parts.next(), parts.next()) {
        (Some(date), nth) if date.len() == 4 => (date, nth.unwrap_or("2")),
        (nth, None) => ("0102", nth.unwrap_or("2")),
        _ => return false,
    };
    text.len() <= MAX_BYTES
        && parts.next().is_none()
        && airline.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && (1..=4).contains(&number.len())
        && (1..=2).contains(&nth.len())
        && [number, date, nth].concat().bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flight_has_its_own_stream() {
        let stream = |date, nth| FlightId::new("UA", 1545, date, nth).unwrap().stream();
        let tomorrow = Date::from_days(1);
        assert_eq!(stream(Date::NEW_YEAR, 1), "flight-UA1545");
        assert_eq!(stream(Date::NEW_YEAR, 2), "flight-UA1545-2");
        assert_eq!(stream(tomorrow, 1), "flight-UA1545-0102");
        assert_eq!(stream(tomorrow, 2), "flight-UA1545-0102-2");
    }

    #[test]
    fn carriers_can_have_digits() {
        assert_eq!(FlightId::new("9E", 3325, Date::NEW_YEAR, 1).unwrap().as_str(), "9E3325");
        assert_eq!("B6725".parse::<FlightId>().unwrap().as_str(), "B6725");
    }

    #[test]
    fn invalid_texts_are_refused() {
        for text in [
            "",
            "U",
            "UA",
            "ua1545",
            "UA15455",
            "UA1545-",
            "UA1545-123",
            "UA1545-12345",
            "UA1545-2-0102",
            "UA1545-0102-",
            "UA1545-0102-2-2",
            "UA1545/..",
            "ÜA1",
        ] {
            assert!(text.parse::<FlightId>().is_err(), "'{text}' was accepted");
        }
    }
}
