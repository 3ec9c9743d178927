use std::fmt;

use crate::postgres::Crash;
use crate::victims::Victim;

/// How often something was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Killed {
    servers: usize,
    postgres: usize,
    postgres_at_once: usize,
    nats: usize,
}

impl Killed {
    pub(crate) fn add(&mut self, victim: Victim) {
        *match victim {
            Victim::Server(_) => &mut self.servers,
            Victim::Postgres(Crash::Kill) => &mut self.postgres,
            Victim::Postgres(Crash::Immediate) => &mut self.postgres_at_once,
            Victim::Nats => &mut self.nats,
        } += 1;
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, postgres, postgres_at_once, nats } = self;
        write!(
            f,
            "{} (servers: {servers}, PostgreSQL: {postgres} by kill -9 and {postgres_at_once} by restart -m immediate, \
             NATS: {nats})",
            servers + postgres + postgres_at_once + nats
        )
    }
}
