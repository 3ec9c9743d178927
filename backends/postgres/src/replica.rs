use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Error, ErrorKind, Position, Result};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::connection::Server;
use crate::error::{code, driver_error};
use crate::options::Options;
use crate::readers::Pool;

/// How long the replica may take for a page.
const DEADLINE: Duration = Duration::from_secs(2);

/// The pauses after failures. During a pause the replica is not asked.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long the replica is not asked for pages at or after a place where it ended.
const LATE_PAUSE: Duration = Duration::from_millis(500);

/// A streaming replica, which serves pages far behind the end of the log.
///
/// Its log is a prefix of the primary's, because appends write their commit records in the order
/// of their positions. A page that ends before that prefix does is the page of the primary, except
/// for the end of the log. So the primary is asked for that, and verifies the cursor at the end of
/// the page in the same snapshot: nothing is returned that the primary does not have, or does not
/// have yet.
#[derive(Debug)]
pub(crate) struct Replica {
    pool: Pool,
    distance: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The end of the log at the primary, when it was last read.
    head: Position,
    failures: u32,
    /// When the replica may be asked again after a failure.
    rests_until: Option<Instant>,
    /// The lowest place after which the replica had too little, and until when that is assumed.
    late: Option<(Position, Instant)>,
    /// Whether it was logged that the replica does not have the log.
    has_warned: bool,
}

/// What the replica has of a page.
#[derive(Debug)]
enum Answer {
    Page(Page),
    /// It ends where the log ends, so it may have grown since, or only the primary can answer.
    End,
    /// It ends where the replica ends, before the end of the log.
    Late,
}

impl Answer {
    fn page(self) -> Option<Page> {
        match self {
            Self::Page(page) => Some(page),
            Self::End | Self::Late => None,
        }
    }
}

impl Replica {
    /// The replica of these options, to which nothing is connected yet.
    pub(crate) fn of(options: &Options, runtime: &Handle) -> Result<Option<Self>> {
        let Some(url) = options.replica() else { return Ok(None) };
        let deadline = options.step_deadline().min(DEADLINE);
        let server = Server::new(url, &options.clone().with_step_deadline(deadline))?;
        Ok(Some(Self {
            pool: Pool::new(&Arc::new(server), options.readers(), runtime.clone()),
            distance: options.replica_distance(),
            state: Mutex::default(),
        }))
    }

    /// The page, if the replica has it and the primary confirms it.
    pub(crate) async fn log_page(&self, read: &ReadLog, primary: &Pool) -> Option<Page> {
        if read.is_live() || read.direction() == Direction::Backward || read.limit() == 0 {
            return None;
        }
        let from = read.after().map_or(Position::ZERO, Mark::position);
        let attempt = self.state().attempt(from, self.distance)?;
        match self.ask(read, primary).await {
            Ok(found) => {
                self.has_answered();
                if let Answer::Late = found {
                    self.state().was_late(from);
                }
                found.page()
            }
            // It had to go on with the log of the primary, and this read was in the way.
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.has_answered();
                tracing::debug!(%error, "the replica has stopped a read");
                None
            }
            Err(error) => {
                self.has_failed(attempt, &error);
                None
            }
        }
    }

    async fn ask(&self, read: &ReadLog, primary: &Pool) -> Result<Answer> {
        let asked = timeout(DEADLINE, self.pool.log_page(read.clone())).await;
        let page = match asked {
            Ok(Ok(page)) if page.more => page,
            Ok(Ok(page)) if page.head.position() < self.state().head => return Ok(Answer::Late),
            Ok(Ok(_)) => return Ok(Answer::End),
            Ok(Err(error)) if error.kind() == ErrorKind::CursorAhead => return Ok(Answer::Late),
            // Or the primary has not seen this cursor either: it tells.
            Ok(Err(error)) if error.kind() == ErrorKind::HistoryChanged => return Ok(Answer::End),
            Ok(Err(error)) if has_no_log(&error) => {
                self.warn_without_log(&error);
                return Ok(Answer::Late);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let message = format!("the replica did not answer within {DEADLINE:?}");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        };
        // Verifies the cursor, and reads the end of the log.
        let confirming = ReadLog::log().with_after(page.scanned).with_limit(0);
        match primary.log_page(confirming).await {
            Ok(end) => {
                self.has_grown_to(end.head);
                Ok(Answer::Page(Page { events: page.events, ..end }))
            }
            Err(error) if error.kind() == ErrorKind::HistoryChanged => {
                let message = "the replica has another log than the primary: correct its URL";
                Err(Error::with_source(ErrorKind::Invalid, message, error))
            }
            // The primary does not have all of it yet, or does not answer. Its own read tells.
            Err(_) => Ok(Answer::End),
        }
    }

    /// Tells the end of the log at the primary.
    pub(crate) fn has_grown_to(&self, head: Cursor) {
        self.state().head = head.position();
    }

    fn has_answered(&self) {
        let mut state = self.state();
        let failures = std::mem::take(&mut state.failures);
        if failures > 0 {
            state.rests_until = None;
            tracing::info!("the replica answers again");
        }
    }

    fn has_failed(&self, attempt: u32, error: &Error) {
        let Some(pause) = self.state().has_failed(attempt) else { return };
        if attempt == 0 {
            tracing::warn!(
                %error, "the replica cannot be used: reading from the primary, and trying again in {pause:?}"
            );
        } else {
            tracing::debug!(%error, "the replica cannot be used: trying again in {pause:?}");
        }
    }

    fn warn_without_log(&self, error: &Error) {
        if !std::mem::replace(&mut self.state().has_warned, true) {
            tracing::warn!(
                %error, "the replica does not have the log: correct its URL, unless the log is new"
            );
        }
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many attempts have failed so far, if a page after this place is likely to be had.
    fn attempt(&mut self, from: Position, distance: u64) -> Option<u32> {
        let now = Instant::now();
        let is_far = self.head.get().checked_sub(from.get()).is_some_and(|far| far >= distance);
        let is_late = self.late.is_some_and(|(place, until)| from >= place && now < until);
        if !is_far || is_late || self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        // After a failure one read tries, and the others wait for what becomes of it.
        self.rests_until = (self.failures > 0).then(|| now + pause(self.failures));
        Some(self.failures)
    }

    /// The pause after this attempt, unless another one that ran at the same time has begun it.
    fn has_failed(&mut self, attempt: u32) -> Option<Duration> {
        if self.failures != attempt {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = pause(self.failures);
        self.rests_until = Some(Instant::now() + pause);
        Some(pause)
    }

    fn was_late(&mut self, from: Position) {
        let now = Instant::now();
        let known = self.late.filter(|(_, until)| now < *until).map(|(place, _)| place);
        let place = known.map_or(from, |place| place.min(from));
        self.late = Some((place, now + LATE_PAUSE));
    }
}

/// The pause after this many failures.
fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// Whether the replica does not have the log, or does not have it yet.
fn has_no_log(error: &Error) -> bool {
    const NO_SCHEMA: &str = "3F000";
    const NO_TABLE: &str = "42P01";
    matches!(driver_error(error).and_then(code), Some(NO_SCHEMA | NO_TABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position).expect("a position")
    }

    #[test]
    fn only_pages_far_behind_are_asked_for() {
        let mut state = State { head: at(100), ..State::default() };
        assert_eq!(state.attempt(at(91), 10), None);
        assert_eq!(state.attempt(at(90), 10), Some(0));
        assert_eq!(state.attempt(at(101), 0), None, "past the end");
        state.was_late(at(50));
        assert_eq!(state.attempt(at(50), 10), None);
        assert_eq!(state.attempt(at(49), 10), Some(0));
        state.was_late(at(60));
        assert_eq!(state.attempt(at(50), 10), None, "the lowest place counts");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_coincide_are_one_and_a_pause_ends_with_one_attempt() {
        let mut state = State { head: at(100), ..State::default() };
        let attempts = [state.attempt(at(1), 0), state.attempt(at(2), 0)];
        assert_eq!(attempts, [Some(0), Some(0)]);
        assert_eq!(state.has_failed(0), Some(FIRST_PAUSE));
        assert_eq!(state.has_failed(0), None);
        assert_eq!(state.attempt(at(1), 0), None);
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(state.attempt(at(1), 0), Some(1));
        assert_eq!(state.attempt(at(1), 0), None, "one at a time");
        assert_eq!(state.has_failed(1), Some(2 * FIRST_PAUSE));
        assert_eq!(
            (pause(6), pause(7), pause(99)),
            (32 * FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE)
        );
    }
}
