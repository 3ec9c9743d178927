//! Errors of commands as problem documents.

use downlink::decider::ExecuteError;
use downlink::{Error, ErrorKind};

use super::CommandRefusal;
use crate::wire::{Code, Problem};

/// A refusal is a 409 with the application's own type and code, an error of the store
/// what it is for an append. Repeating a command may help after a conflict, too,
/// because the executor has given up only for now: it is 503 `busy`.
impl<R: CommandRefusal> From<ExecuteError<R>> for Problem {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => {
                Self::refused(R::NAMESPACE, refusal.code(), refusal.to_string())
            }
            ExecuteError::Store(error) => not_executed(error),
            ExecuteError::Undecodable(error) => error.into(),
        }
    }
}

/// The texts of these kinds are about appends, which a client of commands does not know.
fn not_executed(error: Error) -> Problem {
    let (code, detail) = match error.kind() {
        ErrorKind::Conflict => (
            Code::Busy,
            "other commands were faster each time, and nothing was written: repeat it later",
        ),
        ErrorKind::IdReused => (
            Code::IdReused,
            "the Idempotency-Key belongs to another command, and nothing was written: repeat a \
             request unchanged, and create a new key for every command",
        ),
        ErrorKind::OutcomeUnknown => (
            Code::OutcomeUnknown,
            "it is unknown whether the command was executed: repeat it with the same \
             Idempotency-Key",
        ),
        _ => return error.into(),
    };
    Problem::new(code, detail)
}
