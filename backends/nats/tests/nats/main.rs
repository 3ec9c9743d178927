//! Tests of the bus with a server of their own. All are ignored by default, as they need
//! `nats-server`.

mod fixture;
mod laws;
mod outage;
mod server;
