//! The first departures of 1 January 2013, as commands.

use downlink::decider::{CommandContext, CommandId, ExecuteError};
use downlink::event::Timestamp;
use downlink::{Cursor, EventId, Executor};

use crate::flight::{Command, Flights, Refused};

/// The flights: name, origin, destination and delay in minutes.
pub const FLIGHTS: [(&str, &str, &str, u32); 6] = [
    ("UA1545", "EWR", "IAH", 2),
    ("UA1714", "LGA", "IAH", 4),
    ("AA1141", "JFK", "MIA", 2),
    ("B6725", "JFK", "BQN", 0),
    ("DL461", "LGA", "ATL", 0),
    ("UA1696", "EWR", "ORD", 0),
];

/// Lets all of them depart, and returns the cursor of the last departure. Calling it
/// again changes nothing: commands are recognized by their ids.
///
/// # Errors
///
/// Those of [`Executor::execute_with`].
///
/// # Cancel safety
///
/// If the future is dropped, some flights have departed; call it again for the rest.
// ANCHOR: give
pub async fn depart_all(flights: &Executor<Flights>) -> Result<Cursor, ExecuteError<Refused>> {
    let mut last = Cursor::START;
    for (flight, from, to, late) in FLIGHTS {
        let schedule = Command::Schedule { from: from.into(), to: to.into() };
        execute(flights, flight, "schedule", schedule).await?;
        if late > 0 {
            execute(flights, flight, "delay", Command::Delay { minutes: late }).await?;
        }
        last = last.max(execute(flights, flight, "depart", Command::Depart).await?);
    }
    Ok(last)
}

async fn execute(
    flights: &Executor<Flights>,
    flight: &str,
    step: &str,
    command: Command,
) -> Result<Cursor, ExecuteError<Refused>> {
    let context = CommandContext::of(id_of(flight, step)?);
    let done = flights.execute_with(&context, format!("flight-{flight}"), command).await?;
    Ok(done.cursor)
}

/// The same command has the same id in every run of the program.
fn id_of(flight: &str, step: &str) -> downlink::Result<CommandId> {
    let morning: Timestamp = "2013-01-01T10:15:00Z".parse()?;
    Ok(EventId::derived(morning, format!("{step} {flight}").as_bytes()).into())
}
// ANCHOR_END: give
