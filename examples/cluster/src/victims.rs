use std::fmt;

use crate::args::BusChoice;
use crate::postgres::Crash;

/// What is killed, and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The server with this index.
    Server(usize),
    Postgres(Crash),
    Nats,
}

/// The order in which everything is killed: servers every other time, and PostgreSQL and NATS in
/// turn between them.
#[derive(Debug)]
pub(crate) struct Victims {
    bus: BusChoice,
    servers: usize,
    next: usize,
}

impl Victims {
    pub(crate) fn new(bus: BusChoice, servers: usize) -> Self {
        Self { bus, servers, next: 0 }
    }
}

impl Iterator for Victims {
    type Item = Victim;

    fn next(&mut self) -> Option<Victim> {
        let (round, turn) = (self.next / 4, self.next % 4);
        let server = Victim::Server((self.next / 2) % self.servers);
        self.next += 1;
        Some(match (turn, self.bus) {
            (1, _) if round.is_multiple_of(2) => Victim::Postgres(Crash::Kill),
            (1, _) => Victim::Postgres(Crash::Immediate),
            (3, BusChoice::Nats) => Victim::Nats,
            _ => server,
        })
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(index) => write!(f, "kill -9 of server {}", index + 1),
            Self::Postgres(Crash::Kill) => f.write_str("kill -9 of PostgreSQL"),
            Self::Postgres(Crash::Immediate) => f.write_str("restart -m immediate of PostgreSQL"),
            Self::Nats => f.write_str("kill -9 of NATS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_gets_its_turn() {
        let names = |bus| {
            let victims = Victims::new(bus, 3).take(24);
            victims.map(|victim| victim.to_string()).collect::<Vec<_>>()
        };
        for bus in [BusChoice::Nats, BusChoice::Postgres] {
            let all = names(bus);
            for server in 1..=3 {
                assert!(all.contains(&format!("kill -9 of server {server}")), "{all:?}");
            }
            assert!(all.contains(&"kill -9 of PostgreSQL".to_owned()), "{all:?}");
            assert!(all.contains(&"restart -m immediate of PostgreSQL".to_owned()), "{all:?}");
            assert_eq!(all.contains(&"kill -9 of NATS".to_owned()), bus == BusChoice::Nats);
        }
    }
}
