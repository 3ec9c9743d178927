use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::Duration;

use downlink::{Cursor, Error, ErrorKind, Result};
use downlink_any::copy::{Comparison, Copied, LogCopy};
use downlink_any::{BusUrl, Log, Options};

use crate::arguments::{Arguments, Place};
use crate::display::Display;
use crate::signals::{Signal, Signals};

/// The two logs differ.
const DIFFERENT: u8 = 1;
/// Any other error.
const FAILED: u8 = 3;

/// How often a log that is followed is asked for more.
const POLL: Duration = Duration::from_millis(500);

/// How long PostgreSQL may take for a batch, in which events may be larger than appends store.
const STEP: Duration = Duration::from_mins(1);

/// How the program ends.
enum End {
    Same,
    Different,
    Stopped(Signal),
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("downlink-copy: the runtime could not be started: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(copy(arguments)) {
        Ok(End::Same) => ExitCode::SUCCESS,
        Ok(End::Different) => ExitCode::from(DIFFERENT),
        Ok(End::Stopped(signal)) => ExitCode::from(signal.status()),
        Err(error) => {
            eprintln!("downlink-copy: {}", chain(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// The error and its causes, in one line, without causes that were told before.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn StdError), |&cause| cause.source());
    causes.map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

async fn copy(arguments: &Arguments) -> Result<End> {
    let signals = Signals::new().map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, "could not listen to signals", error)
    })?;
    let from = open(&arguments.from, true).await?;
    refuse_empty(&from, &arguments.from).await?;
    let to = open(&arguments.to, !arguments.copies).await?;
    let mut copy = LogCopy::new(from.store(), to.import_store());
    if let Some(name) = &arguments.name {
        println!("positions change: cursors are translated where no event is skipped, or refused");
        copy = copy.into_existing(name);
    }
    let run = Run { copy, signals, display: Display::new() };
    let end = run.run(arguments).await;
    from.close().await;
    to.close().await;
    end
}

/// Opens a log. One that is only read has to exist.
async fn open(place: &Place, exists: bool) -> Result<Log> {
    if let Some(file) = place.store.file()
        && exists
        && !file.exists()
    {
        let message = format!("there is no file {}: correct its name", file.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut postgres = downlink_postgres::Options::new().with_step_deadline(STEP);
    if let Some(schema) = &place.schema {
        postgres = postgres.with_schema(schema);
    }
    let options = Options::new(place.store.clone()).with_bus(BusUrl::Local);
    let opened = options.with_postgres(postgres).open().await;
    opened.map_err(|error| {
        Error::with_source(error.kind(), format!("could not open {}", place.store), error)
    })
}

/// A database or a schema by mistake has no events, and a copy of it would look like success.
async fn refuse_empty(log: &Log, place: &Place) -> Result<()> {
    if log.store().head().await? != Cursor::START {
        return Ok(());
    }
    let schema =
        place.schema.as_deref().map_or(String::new(), |schema| format!(" in schema {schema}"));
    let message = format!(
        "the log in {}{schema} has no events: correct its name, its database or --from-schema",
        place.store
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

/// A run of the program.
struct Run {
    copy: LogCopy,
    signals: Signals,
    display: Display,
}

impl Run {
    async fn run(mut self, arguments: &Arguments) -> Result<End> {
        if !arguments.copies {
            return self.compare(None).await;
        }
        match self.copy(arguments.follows).await? {
            Ended::Stopped(signal) => Ok(End::Stopped(signal)),
            Ended::At(_) if !arguments.compares => Ok(End::Same),
            Ended::At(head) => self.compare(Some(head)).await,
        }
    }

    async fn copy(&mut self, follows: bool) -> Result<Ended> {
        let Self { copy, signals, display } = self;
        let first = tokio::select! {
            copied = copy.run(|progress| display.show(progress)) => copied,
            signal = signals.next() => {
                display.end();
                println!("stopped; run it again to continue");
                return Ok(Ended::Stopped(signal));
            }
        };
        display.end();
        let mut copied = first?;
        report(&copied, follows);
        if !follows {
            return Ok(Ended::At(copied.head));
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = signals.next() => break,
            }
            // Not interrupted, so that what was copied is compared to its end.
            copied = copy.run(|progress| display.show(progress)).await?;
            display.end();
            if copied.events > 0 {
                report(&copied, follows);
            }
        }
        Ok(Ended::At(copied.head))
    }

    /// Compares the logs, up to this event of the original, or to its end.
    async fn compare(&mut self, end: Option<Cursor>) -> Result<End> {
        let Self { copy, signals, display } = self;
        let end = match end {
            Some(end) => end,
            None => copy.end().await?,
        };
        let compared = tokio::select! {
            compared = copy.compare(end, |progress| display.show(progress)) => compared,
            signal = signals.next() => {
                display.end();
                return Ok(End::Stopped(signal));
            }
        };
        display.end();
        Ok(conclude(compared?))
    }
}

/// How copying has ended.
enum Ended {
    At(Cursor),
    Stopped(Signal),
}

fn report(copied: &Copied, follows: bool) {
    let Copied { resumed_at, events, head, original, .. } = copied;
    let events = counted(*events);
    if *resumed_at == Cursor::START {
        println!("copied {events}, up to {head} of the original");
    } else {
        println!("copied {events} after {resumed_at}, up to {head} of the original");
    }
    if original != head && !follows {
        println!("meanwhile {original} was appended; run it again to copy the rest, or --follow");
    }
}

fn conclude(comparison: Comparison) -> End {
    let Comparison { events, difference, has_more, .. } = comparison;
    if let Some(difference) = difference {
        println!("different after {events} equal events: {difference}");
        return End::Different;
    }
    let events = counted(events);
    println!("identical: {events}, with positions, ids, versions, times, metadata and order");
    if has_more {
        println!("the copy has further events after them");
    }
    End::Same
}

fn counted(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}
