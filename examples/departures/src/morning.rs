//! The first departures of 1 January 2013, as commands.

use downlink::{CommandId, Context, Cursor, EventId, ExecuteError, Executor, Timestamp};

use crate::flight::{Command, Flights, Refused};

/// The flights: from where, to where, and by how many minutes late.
pub const FLIGHTS: [(&str, &str, &str, u32); 6] = [
    ("UA1545", "EWR", "IAH", 2),
    ("UA1714", "LGA", "IAH", 4),
    ("AA1141", "JFK", "MIA", 2),
    ("B6725", "JFK", "BQN", 0),
    ("DL461", "LGA", "ATL", 0),
    ("UA1696", "EWR", "ORD", 0),
];

/// Lets all of them leave, and returns the place in the log behind the last.
/// Nothing happens twice, however often this is called.
///
/// # Errors
///
/// What a command was answered.
///
/// # Cancel safety
///
/// Dropped half-way, some have left; called again, the others do.
// ANCHOR: give
pub async fn depart(flights: &Executor<Flights>) -> Result<Cursor, ExecuteError<Refused>> {
    let mut last = Cursor::START;
    for (flight, from, to, late) in FLIGHTS {
        let schedule = Command::Schedule { from: from.into(), to: to.into() };
        give(flights, flight, "schedule", schedule).await?;
        if late > 0 {
            give(flights, flight, "delay", Command::Delay { minutes: late }).await?;
        }
        last = last.max(give(flights, flight, "depart", Command::Depart).await?);
    }
    Ok(last)
}

async fn give(
    flights: &Executor<Flights>,
    flight: &str,
    step: &str,
    command: Command,
) -> Result<Cursor, ExecuteError<Refused>> {
    let context = Context::of(id_of(flight, step)?);
    let done = flights.execute_in(&context, format!("flight-{flight}"), command).await?;
    Ok(done.cursor)
}

/// The same command has the same id in every run of the program.
fn id_of(flight: &str, step: &str) -> downlink::Result<CommandId> {
    let morning: Timestamp = "2013-01-01T10:15:00Z".parse()?;
    Ok(EventId::derived(morning, format!("{step} {flight}").as_bytes()).into())
}
// ANCHOR_END: give
